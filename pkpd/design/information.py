"""The verb ``information``: what a study is expected to tell of the quantities of a model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd import __version__
from pkpd.design.arm import Arm, read_arms
from pkpd.design.open import Known, know
from pkpd.design.scores import draw_scores
from pkpd.design.study import Study, check_method, model_of
from pkpd.errors import PkpdWarning, UsageError, suggestion
from pkpd.estimation import FO, FOCE, Fit, Laplace, Quadrature
from pkpd.estimation.layout import aligned, number
from pkpd.model import Model
from pkpd.schema import describe

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Information", "Method", "as_information", "information", "log_criterion", "places_of", "said"]

Method = FO | FOCE | Laplace | Quadrature
_SCALE = "natural: typical values and residual SDs as they are, iiv and iov as variances and covariances"


def information(
    model: Model | Fit,
    design: Arm | Mapping[str, Arm],
    method: Method = FO(),  # noqa: B008 - frozen
    *,
    full: bool = False,
    draws: int | None = None,
    seed: int | None = None,
) -> Information:
    """Give the Fisher information that a study is expected to have about the quantities of a model.

    Its inverse is the covariance of unbiased estimates that nothing can go below; their standard errors are expected
    ones. Everything is on the natural scale: typical values, coefficients of covariates and residual SDs as they are,
    differences between people (iiv) and occasions (iov) as variances and covariances. What the model fixes is known.

    Parameters
    ----------
    model : Model or Fit
        At its typical values; a fit at its estimates.
    design : Arm, or mapping of str to Arm
    method : FO, FOCE, Laplace or Quadrature
        `FO()`: records are straight lines through those of the typical person. `FOCE()`: through those of people who
        are drawn, averaged; block-diagonal. `Laplace()` and `Quadrature()`: data are drawn, and scores are taken by
        this approximation of the likelihood; by quadrature with many nodes that is exact, but for the Monte Carlo
        error that is told.
    full : bool
        Of FO, the full matrix: the variance of records moves with typical values, too. If not, the matrix is
        block-diagonal; its standard errors were the nearer ones to those of simulated studies (Nyberg 2015).
    draws : int, optional
        People drawn of each arm: 200 for FOCE, 1000 for Laplace and Quadrature.
    seed : int, optional
        Needed where something is drawn.

    Returns
    -------
    Information
        A :class:`~pkpd.PkpdWarning` names what the study cannot identify; its standard error is infinite.

    Raises
    ------
    DataError
        An arm is not as it should be: times, number of people, covariates, occasions, a regimen that cannot be read,
        a sample before there is anything to see. All that is wrong is listed.
    CannotFit
        The method cannot honour something of the model.
    UsageError
        The design is none, an option is wrong or would change nothing, or there is no seed.

    Notes
    -----
    Nyberg J, Bazzoli C, Ogungbenro K, et al. Methods and software tools for design evaluation in population
    pharmacokinetics-pharmacodynamics studies. British Journal of Clinical Pharmacology 2015;79:6-17.
    doi:10.1111/bcp.12352

    Examples
    --------
    >>> import pkpd
    >>> model = pkpd.load("theophylline_boeckmann1994")
    >>> known = pkpd.information(model, pkpd.Arm("320 mg oral", [0.5, 2, 5, 9, 24], n=12))
    >>> bool(known["rse"].sel(parameter="cl") < 20)
    True
    """
    where = "information"
    count, start = check_method(method, draws, seed, full, where)
    own = model_of(model, where)
    study = Study.of(own, read_arms(own, design), method, where)
    if isinstance(method, Laplace | Quadrature):
        s = draw_scores(study.population, study.quantities, method, draws=count, seed=start)
        each = s[..., :, None] * s[..., None, :]
    else:
        lines = study.lines(method, draws=count, seed=start, full=full)
        each = np.stack([one.information() for one in lines], axis=1)
    how = {"method": said(method, full), "draws": count, "seed": seed if count else "none"}
    found = as_information(study, each, how)
    if found.open:
        warnings.warn(_not_identified(found, where), stacklevel=2)
    return found


@dataclass(frozen=True, repr=False, eq=False)
class Information:
    """What a study is expected to tell.

    Parameters
    ----------
    data : xarray.Dataset
        ``information`` and ``covariance`` along ``(parameter, parameter_)``, ``value``, ``se`` and ``rse`` along
        ``parameter``, ``n`` along ``arm``, see :mod:`pkpd.schema`; with ``information_error`` and ``se_error``, Monte
        Carlo errors, where something was drawn. Its attributes say by which method, and the rank, the condition number
        and what is left open.
    """

    data: xr.Dataset

    def __getitem__(self, name: str) -> xr.DataArray:
        """Give a variable."""
        return self.data[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities that are estimated."""
        return tuple(self.data["parameter"].values.tolist())

    @property
    def open(self) -> tuple[str, ...]:
        """What the study leaves undetermined, in words; empty if it identifies everything."""
        return tuple(line for line in str(self.data.attrs["open"]).splitlines() if line)

    @property
    def condition(self) -> float:
        """Condition number of the correlation of the estimates: its largest over its smallest eigenvalue."""
        return float(self.data.attrs["condition"])

    def criterion(self, *names: str) -> float:
        """Give the D-criterion, det(M)^(1/p); of some quantities alone Ds: (det M / det M_22)^(1/s).

        M_22 is the information of all others, so that Ds is det(C)^(-1/s) of the covariance of those named. It is 0 if
        the study does not identify them.
        """
        return float(
            np.exp(log_criterion(self.data["information"].values, places_of(self.names, names, "criterion(...)")))
        )

    def people_for(self, rse: float | Mapping[str, float]) -> dict[str, int]:
        """Give how many people each arm needs for relative standard errors of at most `rse` percent.

        Parameters
        ----------
        rse : float or mapping of str to float
            For every quantity, or by name. Arms keep their proportions; numbers are rounded up.

        Raises
        ------
        UsageError
            It is no number above 0, a name is not known, or no number of people is enough.
        """
        where = "people_for(rse=...)"
        wanted = dict(rse) if isinstance(rse, Mapping) else dict.fromkeys(self.names, rse)
        places_of(self.names, tuple(wanted), where)
        now, factor = self.data["rse"], 0.0
        for name, most in wanted.items():
            if isinstance(most, bool) or not isinstance(most, int | float) or not most > 0:
                raise UsageError(f"{name} is to have {most!r} %.", where=where,
                                 expected="A number above 0, in percent.", remedy="Write people_for(30).")  # fmt: skip
            factor = max(factor, (float(now.sel(parameter=name)) / most) ** 2)
        if not np.isfinite(factor):
            lost = [name for name in wanted if not np.isfinite(float(now.sel(parameter=name)))]
            raise UsageError(f"no number of people tells {', '.join(lost)} so well.", where=where,
                             expected="Quantities that the study identifies, and that are not 0.",
                             remedy=" ".join(self.open) or "Name others.")  # fmt: skip
        people = self.data["n"]
        return {str(arm): int(np.ceil(n * factor * (1 - 1e-12)))
                for arm, n in zip(people["arm"].values, people.values, strict=True)}  # fmt: skip

    def __repr__(self) -> str:
        a = self.data.attrs
        return f"Information({a['model']}, {a['method']}: {a['rank']} of {len(self.names)} quantities)"

    def __str__(self) -> str:
        a, data = self.data.attrs, self.data
        errors = "se_error" in data
        rows = [
            (
                name,
                number(float(data["value"][k])),
                str(data["unit"].values[k]).replace("1", "") if str(data["unit"].values[k]) == "1"
                else str(data["unit"].values[k]),
                number(float(data["se"][k]), 3),
                f"± {float(data['se_error'][k]):.1g}" if errors and np.isfinite(data["se_error"][k]) else "",
                number(float(data["rse"][k]), 3),
            )
            for k, name in enumerate(self.names)
        ]  # fmt: skip
        arms = "; ".join(f"{arm}: {int(n)}" for arm, n in zip(data["arm"].values, data["n"].values, strict=True))
        lines = [
            f"What a study of {a['people']} people ({arms}) with {a['samples']} samples is expected to tell of "
            f"{a['model']}",
            f"Method: {a['method']}" + (f"; {a['draws']} draws, seed {a['seed']}" if a["draws"] else ""),
            "",
            *aligned(("", "value", "unit", "SE", "", "RSE %"), rows),
            "",
            f"D-criterion {self.criterion():.6g}; rank {a['rank']} of {len(self.names)}"
            + (f"; condition number {self.condition:.4g}" if np.isfinite(self.condition) else ""),
            f"Scale: {_SCALE}.",
        ]
        if a["assumed"]:
            lines.append(f"Covariates at the model's reference: {a['assumed']}.")
        return "\n".join([*lines, *self.open])


def as_information(study: Study, each: np.ndarray, how: Mapping[str, Any]) -> Information:
    """Give the information of a study from that of people who were drawn of each arm, (D, A, p, p)."""
    import xarray as xr

    people, draws = study.people, len(each)
    matrix = np.einsum("a,aij->ij", people, each.mean(axis=0))
    known: Known = know(matrix, study.quantities.coordinates)
    free = [p for p, is_free in zip(study.quantities.coordinates.parameters, study.quantities.coordinates.free)
            if is_free]  # fmt: skip
    value = np.array([p.typical for p in free])
    with np.errstate(divide="ignore", invalid="ignore"):
        rse = np.where(np.isinf(known.se), np.inf, 100 * known.se / np.abs(value))
    rse[(value == 0) & np.isfinite(known.se)] = np.inf
    both = ("parameter", "parameter_")
    columns: dict[str, tuple[Any, np.ndarray]] = {
        "value": ("parameter", value),
        "se": ("parameter", known.se),
        "rse": ("parameter", rse),
        "unit": ("parameter", np.array([p.unit for p in free])),
        "information": (both, matrix),
        "covariance": (both, known.covariance),
        "n": ("arm", people.astype(int)),
    }
    if draws > 1:
        spread = each.var(axis=0, ddof=1) / draws
        columns["information_error"] = both, np.sqrt(np.einsum("a,aij->ij", people**2, spread))
        with np.errstate(invalid="ignore"):
            moved = np.einsum("ip,dapq,qi->dai", known.covariance, each, known.covariance, optimize=True)
            error = np.sqrt((people**2) @ (moved.var(axis=0, ddof=1) / draws)) / (2 * known.se)
        columns["se_error"] = "parameter", error
    names = [p.name for p in free]
    attrs = {
        "model": study.model.name,
        "model_hash": study.model.hash,
        **how,
        "scale": _SCALE,
        "people": int(people.sum()),
        "samples": int(sum(plan.n * sum(at.size for at in plan.times.values()) for plan in study.plans)),
        "rank": known.rank,
        "condition": known.condition,
        "open": "\n".join(known.words),
        "assumed": "; ".join(dict.fromkeys(plan.assumed for plan in study.plans if plan.assumed)),
        "source": f"pkpd {__version__}",
    }
    return Information(
        data=xr.Dataset(
            {name: (dims, values, describe("information", name)) for name, (dims, values) in columns.items()},
            {"parameter": names, "parameter_": names, "arm": [plan.name for plan in study.plans]},
            attrs,
        )
    )


def log_criterion(matrix: np.ndarray, places: Sequence[int] = ()) -> np.ndarray:
    """Give the logarithm of the D- or Ds-criterion of matrices (..., p, p); -inf where they are singular."""
    p = matrix.shape[-1]
    sign, log = np.linalg.slogdet(matrix)
    log = np.where(sign > 0, log, -np.inf)
    if not len(places):
        return log / p
    rest = np.setdiff1d(np.arange(p), places)
    sign, others = np.linalg.slogdet(matrix[..., rest[:, None], rest])
    with np.errstate(invalid="ignore"):
        return np.where(sign > 0, log - others, -np.inf) / len(places)


def places_of(known: Sequence[str], names: Sequence[str], where: str) -> list[int]:
    """Give the places of names among those that are estimated.

    Raises
    ------
    UsageError
        One is not among them, or stands there twice.
    """
    for name in names:
        if name not in known or list(names).count(name) > 1:
            raise UsageError(
                f"`{name}` is named twice." if name in known else f"`{name}` is nothing that is estimated.",
                where=where,
                expected=f"Names: {', '.join(known)}.",
                remedy=suggestion(str(name), known) or "Name some of these.",
            )
    return [list(known).index(name) for name in names]


def said(method: Method, full: bool) -> str:
    """Say the method in words."""
    if isinstance(method, FO | FOCE):
        through = "the typical person (FO)" if isinstance(method, FO) else "people who are drawn (FOCE)"
        return f"straight lines through {through}, {'full' if full else 'block-diagonal'} matrix"
    return f"mean square of scores by {method.title}"


def _not_identified(found: Information, where: str) -> PkpdWarning:
    lost = [name for name, se in zip(found.names, found["se"].values, strict=True) if not np.isfinite(se)]
    return PkpdWarning(
        f"{where}, model {found.data.attrs['model']}: the study does not identify {', '.join(lost)}. "
        f"{' '.join(found.open)}\n  Expected: samples that tell all {len(found.names)} quantities apart. "
        "Add samples, arms or doses, or fix what is known: model.fix(...)."
    )
