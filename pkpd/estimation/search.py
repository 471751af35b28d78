"""One search by lmfit: from starting values to a local minimum, with the exact Jacobian.

lmfit sees each quantity on its estimation scale, and its name says so: ``log_cl``, ``logit_frac``, ``emax`` (transform
none), ``log_cp_add`` (dots become underscores). What comes back is a :class:`lmfit.model.ModelResult`, so
``ci_report()``, ``conf_interval()``, ``fit_report()``, ``eval()`` and ``plot_fit()`` are at hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pkpd.estimation.coordinates import Coordinates
from pkpd.estimation.objective import Objective

if TYPE_CHECKING:
    import lmfit.model

__all__ = ["Method", "lmfit_names", "search"]

Method = Literal["leastsq", "least_squares"]

# Searches stop where the arithmetic does: they are fast, and digits that depend on when one stopped help nobody. The
# first step is kept short (factor): a long one on a logarithmic scale leaves where the data say anything.
_TOLERANCES: dict[str, dict[str, Any]] = {
    "leastsq": {"ftol": 1e-15, "xtol": 1e-12, "gtol": 0.0, "factor": 0.3},
    "least_squares": {"ftol": 1e-15, "xtol": 1e-12, "gtol": 1e-15, "x_scale": "jac"},
}
# The ends of a profile are looked for to four digits, so its points need not be known better. lmfit profiles with
# leastsq, whatever the method.
_PROFILE = _TOLERANCES["leastsq"] | {"ftol": 1e-7, "xtol": 1e-6}
# lmfit bends the scale near a bound for leastsq; on the bound itself the bent scale is flat and nothing would move.
_OFF_THE_BOUND = 1e-3


def lmfit_names(coordinates: Coordinates) -> tuple[str, ...]:
    """Give the names under which lmfit knows the K quantities; one that is taken already gets another underscore."""
    names: list[str] = []
    for p in coordinates.parameters:
        name = p.name.replace(".", "_") if p.transform == "none" else f"{p.transform}_{p.name.replace('.', '_')}"
        while name in names or name in ("TIME", "data", "weights", "params"):
            name += "_"
        names.append(name)
    return tuple(names)


def search(
    objective: Objective,
    start: np.ndarray,
    *,
    method: Method,
    scale_covar: bool,
    max_evaluations: int | None = None,
) -> tuple[np.ndarray, lmfit.model.ModelResult]:
    """Minimise the sum of squares of an objective.

    Parameters
    ----------
    objective : Objective
    start : (F,) float
        Free quantities on the estimation scale.
    method : "leastsq" or "least_squares"
        MINPACK's Levenberg-Marquardt, or scipy's trust region, which keeps to bounds by itself.
    scale_covar : bool
        Whether the residual variance is taken from the sum of squares. It also decides the test behind lmfit's
        ``conf_interval``: F if so, the likelihood ratio if not.
    max_evaluations : int, optional
        Where to give up.

    Returns
    -------
    z : (F,) float
        The minimum.
    result : lmfit.model.ModelResult
    """
    model_class, result_class = _lmfit_classes()
    model = model_class(objective)
    observations = objective.problem.observations
    result = result_class(
        model,
        _parameters(objective.coordinates, start),
        method=method,
        scale_covar=scale_covar,
        max_nfev=max_evaluations,
        fcn_kws={"TIME": observations.time},
        Dfun=model.jacobian,
        **_TOLERANCES[method],
    )
    result.fit(data=observations.dv)
    result.components = model.components
    if result.aborted:  # lmfit leaves its parameters at the last trial, however bad that was
        for name, value in zip(model.free_names, objective.best):
            result.params[name].value = value
    return np.array([result.params[name].value for name in model.free_names]), result


def _parameters(coordinates: Coordinates, start: np.ndarray) -> lmfit.Parameters:
    import lmfit

    z = coordinates.forward(coordinates.initial)
    z[coordinates.free] = start
    lower, upper = coordinates.limits()
    room = np.where(np.isfinite(upper - lower), upper - lower, 1.0)
    parameters = lmfit.Parameters()
    for k, name in enumerate(lmfit_names(coordinates)):
        inside = np.clip(z[k], lower[k] + _OFF_THE_BOUND * room[k], upper[k] - _OFF_THE_BOUND * room[k])
        free = bool(coordinates.free[k])
        parameters.add(name, value=inside if free else z[k], min=lower[k], max=upper[k], vary=free)
    return parameters


def _likelihood_ratio(best: Any, new: Any) -> float:
    """Say how improbable a profiled minimum is where the sum of squares is -2 log L up to a constant."""
    from scipy.stats import chi2

    return float(chi2.cdf(max(new.chisqr - best.chisqr, 0.0), best.nvarys - new.nvarys))


@cache
def _lmfit_classes() -> tuple[type, type]:
    """Give subclasses of lmfit's Model and ModelResult that work through an Objective; made when first needed."""
    import lmfit
    from lmfit.model import ModelResult

    class EngineModel(lmfit.Model):
        """A model whose predictions, residuals and Jacobian are those of an objective."""

        def __init__(self, objective: Objective) -> None:
            names = lmfit_names(objective.coordinates)
            self.objective = objective
            self.free_names = tuple(name for name, free in zip(names, objective.coordinates.free) if free)
            predict = _with_signature(lambda **given: objective.predict(self._free(given)), ("TIME", *names))
            super().__init__(predict, independent_vars=["TIME"], name=objective.problem.model.name)

        def _residual(self, params: Any, data: Any, weights: Any, **kwargs: Any) -> np.ndarray:
            return self.objective.residuals(self._free(params.valuesdict()))

        def jacobian(self, params: Any, *args: Any, **kwargs: Any) -> np.ndarray:
            # Only the columns of what varies now: lmfit holds one parameter while it traces its profile.
            columns = [params[name].vary for name in self.free_names]
            return self.objective.jacobian(self._free(params.valuesdict()))[:, columns]

        def _free(self, values: Any) -> np.ndarray:
            return np.array([values[name] for name in self.free_names], dtype=float)

    class EngineResult(ModelResult):
        """A result whose confidence intervals use the test that fits the sum of squares."""

        def conf_interval(self, **kwargs: Any) -> Any:
            if not self.scale_covar:
                kwargs.setdefault("prob_func", _likelihood_ratio)
            model: Any = self.model
            exact, self.kws = self.kws, {"Dfun": model.jacobian, **_PROFILE}
            try:
                return super().conf_interval(**kwargs)
            finally:
                self.kws = exact

    return EngineModel, EngineResult


def _with_signature(function: Callable[..., np.ndarray], names: tuple[str, ...]) -> Callable[..., np.ndarray]:
    # lmfit reads the names of parameters from the signature; ours exist only at run time.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])  # type: ignore[attr-defined]
    function.__name__ = "predict"
    return function
