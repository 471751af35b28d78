"""How much of a fit its priors decide: the same fit with each of them narrower, wider, or taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pkpd.data.dose import is_number
from pkpd.errors import CannotFit, check_options
from pkpd.estimation.assemble import prior_share
from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.enlarge import dataset, enlarged
from pkpd.estimation.precision import find_precision
from pkpd.estimation.recall import Recalled, recall
from pkpd.estimation.replicates import FAILURES, SOUND, judged, search_again
from pkpd.estimation.series import in_turn, key_of
from pkpd.estimation.uncertainty import natural_errors
from pkpd.likelihood.priors import Priors

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation.fit import Fit

__all__ = ["prior_sensitivity"]

#: Estimates that move by more standard errors are told.
_MOVED = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What a fit with other priors gave: outer parameters x (X,), standard errors and shares of the N quantities."""

    number: int
    x: np.ndarray
    objective: float
    likelihood: float
    se: np.ndarray
    share: np.ndarray
    status: str
    message: str


def prior_sensitivity(
    fit: Fit,
    data: Dataset,
    *,
    scale: Sequence[float] = (0.5, 2.0),
    remove: bool = True,
    max_iterations: int = 200,
    checkpoint: str | Path | None = None,
) -> Fit:
    """Give a population fit with fits under other priors, in the group ``prior_sensitivity``.

    Each prior in turn, then all together, is made narrower or wider and is taken out; the search starts from the
    estimates. Ctrl-C ends the work with what is done.

    Parameters
    ----------
    fit : Fit
        Of a population, converged, of a model with priors.
    data : Dataset
        What was fitted; the Fit keeps its digest only.
    scale : sequence of float
        Factors on the SD of a prior. What it knows is divided by their squares: for a prior on variances, df + m + 1.
    remove : bool
        Whether priors are also taken out.
    max_iterations : int
        Of each fit.
    checkpoint : path, optional
        A file that keeps what is done; the same call goes on from it.

    Returns
    -------
    Fit
        A new one. For every variant: estimates (``value``), their standard errors, the share of the information that is
        due to priors (``share``), and how far estimates moved in standard errors of the fit (``shift``). The first is
        the fit itself. A quantity that only its prior told is not identified once that is gone: that is a result.

    Raises
    ------
    CannotFit, MismatchError
        The fit is not of the kind, its model has no priors that count, or these are other data.
    UsageError
        There is nothing to change, or a factor is no number above 0 other than 1.
    """
    given = (scale,) if isinstance(scale, (str, int, float)) else tuple(scale)
    check_options(
        "prior_sensitivity", ("scale", scale, all(is_number(one) for one in given), "Factors, such as (0.5, 2).")
    )
    scale = tuple(float(one) for one in given)
    check_options(
        "prior_sensitivity",
        ("scale", scale, all(0 < one < np.inf and one != 1 for one in scale), "Factors above 0, and not 1."),
        ("scale", scale, len(set(scale)) == len(scale), "Every factor once."),
        ("scale", scale, bool(scale) or remove, "A factor at least, or remove=True."),
        ("max_iterations", max_iterations, max_iterations >= 1, "1 or more."),
    )
    known = recall(fit, data, "prior_sensitivity(fit, data)").in_own_order()
    model, effects = known.population.problem.model, known.population.effects
    own = {name: Priors.of(model.replace(priors={name: prior}), effects) for name, prior in model.priors.items()}
    own = {name: one for name, one in own.items() if one.names}
    if not own:
        raise CannotFit(
            "the model has no prior that says anything.",
            where="prior_sensitivity(fit, data)",
            expected="A model with [priors] on what is estimated.",
            remedy="Without priors all information comes from the data.",
        )
    factors = [*scale, *([np.inf] if remove else [])]
    changes = [("", 1.0), *((name, f) for name in own for f in factors)]
    changes += [("all", f) for f in factors] if len(own) > 1 else []
    work = _Work(known=known, own=own, changes=changes, most=max_iterations)
    key = key_of("prior_sensitivity 1", known, data.digest, f"changes={changes}, max_iterations={max_iterations}")
    kept = Checkpoint(path=Path(checkpoint), key=key) if checkpoint is not None else None
    done, stopped = in_turn(range(len(changes)), work, Variant, what="other priors", kept=kept)
    group = _group(known, changes, done)
    return enlarged(fit, {"prior_sensitivity": group}, notes=_notes(known, group, len(changes), stopped), limits=None,
                    text="")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    """Changes priors and fits."""

    known: Recalled
    own: Mapping[str, Priors]
    changes: list[tuple[str, float]]
    most: int

    def __call__(self, number: int) -> Variant:
        """Fit with other priors."""
        known, (changed, factor) = self.known, self.changes[number]
        priors = _together({name: (one, factor if changed in (name, "all") else 1.0) for name, one in self.own.items()})
        population, nan = replace(known.population, priors=priors), float("nan")
        free = known.quantities.coordinates.free
        unknown = np.full(len(free), nan)
        try:
            found = search_again(known, population, hessian=None, most=self.most)
            status, message = judged(known, found)
        except FAILURES as error:
            return Variant(number=number, x=np.full(len(known.x), nan), objective=nan, likelihood=nan, se=unknown,
                           share=unknown, status="failed", message=str(error))  # fmt: skip
        x, se, share = found.x, unknown, unknown
        if status in SOUND:
            lower, upper = known.quantities.limits()
            own = known.quantities.coordinates
            precise = find_precision(known.outer(population), x, (x > lower) & (x < upper), "R",
                                     known.quantities.size(x))  # fmt: skip
            if precise.open:
                status, message = "not identified", f"There are no standard errors: {precise.reason}."
            slopes = known.quantities.slopes(x)
            with np.errstate(invalid="ignore"):
                _, se = natural_errors(
                    own, own.forward(known.quantities.natural(x)), slopes @ precise.covariance @ slopes.T
                )
            share = prior_share(population, known.quantities, x, precise)
        objective = found.point.objective
        return Variant(number=number, x=x, objective=objective, likelihood=objective - priors.value(x), se=se,
                       share=share, status=status, message=message)  # fmt: skip


def _together(parts: Mapping[str, tuple[Priors, float]]) -> Priors:
    """Priors side by side, each with a factor on its SD."""
    first = next(iter(parts.values()))[0]
    kept = [(one, factor) for one, factor in parts.values() if np.isfinite(factor)]
    return Priors(
        names=tuple(name for one, _ in kept for name in one.names),
        centre=np.sum([one.centre for one, _ in kept], axis=0) if kept else np.zeros_like(first.centre),
        precision=np.sum([one.precision / f**2 for one, f in kept], axis=0) if kept else np.zeros_like(first.precision),
        groups=tuple(replace(group, weight=group.weight / f**2) for one, f in kept for group in one.groups),
    )


def _group(known: Recalled, changes: list[tuple[str, float]], done: list[Variant]) -> xr.Dataset:
    own = known.quantities.coordinates
    free = own.free
    natural = np.array([known.quantities.natural(one.x) for one in done])
    table = known.fit.estimates
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = (own.forward(natural) - own.forward(known.quantities.natural(known.x))) / table["transformed_se"].values
    sound = np.array([one.status in SOUND for one in done])[:, None]
    columns = {
        "value": natural[:, free],
        "se": np.array([one.se for one in done])[:, free],
        "share": np.array([one.share for one in done])[:, free],
        "shift": np.where(sound, shift[:, free], np.nan),
        "prior": np.array([changes[one.number][0] for one in done]),
        "scale": np.array([changes[one.number][1] for one in done]),
        "objective": np.array([one.objective for one in done]),
        "likelihood": np.array([one.likelihood for one in done]),
        "status": np.array([one.status for one in done]),
        "message": np.array([one.message for one in done]),
    }
    coords = {"variant": np.array([_label(*changes[one.number]) for one in done]), "parameter": np.array(known.names)}
    return dataset("prior_sensitivity", columns, coords, {"failed": int((~sound).sum())})


def _label(name: str, factor: float) -> str:
    if not name:
        return "as it is"
    what = "all priors" if name == "all" else name
    return f"{what} taken out" if np.isinf(factor) else f"{what}, SD x {factor:g}"


def _notes(known: Recalled, group: xr.Dataset, asked: int, stopped: bool) -> list[str]:
    found = [known.note] if known.note else []
    labels, shift = group["variant"].values.tolist(), group["shift"].values
    far = []
    for label, row in zip(labels, shift, strict=True):
        moved = [f"{known.names[k]} {row[k]:+.1f}" for k in np.flatnonzero(np.nan_to_num(np.abs(row)) > _MOVED)]
        far += [f"{label}: {', '.join(moved)}"] if moved else []
    none = [label for label, status in zip(labels, group["status"].values, strict=True) if status not in SOUND]
    found.append(
        f"With other priors estimates move by more than {_MOVED:g} standard error: {'; '.join(far)}."
        if far
        else f"With other priors no estimate moves by more than {_MOVED:g} standard error."
    )
    if none:
        found.append(f"Without estimates of everything: {'; '.join(none)}.")
    if stopped:
        found.append(f"Other priors: stopped by hand after {len(labels)} of {asked} fits.")
    return found
