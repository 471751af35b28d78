"""Whether one model is a case of another, and the law of the likelihood ratio if the smaller one is true.

A quantity whose value in the smaller model lies inside what is allowed adds a degree of freedom. One at the edge of it,
a variance of 0 first of all, is estimated at the edge in half of all data sets then: the law is a mixture of
chi-squares.

Self SG, Liang KY. Asymptotic properties of maximum likelihood estimators and likelihood ratio tests under nonstandard
conditions. Journal of the American Statistical Association 1987;82:605-610. doi:10.1080/01621459.1987.10478472
Stram DO, Lee JW. Variance components testing in the longitudinal mixed effects model. Biometrics 1994;50:1171-1177.
doi:10.2307/2533455
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import CannotFit, Finding, MismatchError, raise_all, suggestion
from pkpd.estimation.recall import estimator_of
from pkpd.estimation.saem import SAEM

if TYPE_CHECKING:
    from pkpd.estimation.fit import Fit

__all__ = ["Law", "Nesting", "nesting"]

#: Options that do not change what an objective is.
_BESIDE = {"covariance", "level", "threads", "tolerance", "max_iterations", "starts"}
#: Fixed values of two fits that differ by less, relatively, are the same.
_SAME = 1e-9
#: A likelihood ratio below this is 0.
_ZERO = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The law of a likelihood ratio: chi-squares with `inside` to `inside` + `edge` degrees of freedom, mixed.

    Parameters
    ----------
    inside, edge : int
        How many quantities more the larger model has, whose values in the smaller lie inside or at the edge of what is
        allowed. Those at the edge are taken to be told apart by the data: the weights are binomial then.
    known : bool
        Whether the mixture is known.
    """

    inside: int
    edge: int
    known: bool = True

    @property
    def parts(self) -> list[tuple[float, int]]:
        """Weight and degrees of freedom of every part."""
        return [(comb(self.edge, k) / 2**self.edge, self.inside + k) for k in range(self.edge + 1)]

    @property
    def mean(self) -> float:
        """Its mean; NaN if the law is not known."""
        return sum(weight * df for weight, df in self.parts) if self.known else float("nan")

    def beyond(self, statistic: float) -> float:
        """Give the probability of a ratio as large as this, or larger; NaN if the law is not known."""
        from scipy.stats import chi2

        if not self.known:
            return float("nan")
        return float(sum(w * (chi2.sf(max(statistic, 0.0), df) if df else statistic <= _ZERO) for w, df in self.parts))

    def __str__(self) -> str:
        if not self.edge:
            return f"chi-square with {self.inside} df"
        if not self.known:
            return "a mixture of chi-squares that is not known"
        if self.edge == 1:
            return f"a 50:50 mixture of chi-square with {self.inside} and {self.inside + 1} df"
        weights = ":".join(f"{100 * weight:.3g}" for weight, _ in self.parts)
        return f"a {weights} mixture of chi-square with {self.inside} to {self.inside + self.edge} df"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nesting:
    """How a smaller model lies in a larger one.

    Parameters
    ----------
    extra : tuple of str
        What the larger estimates and the smaller does not.
    null : mapping of str to float
        Their values in the smaller model, natural, where they are known.
    guessed : frozenset of str
        Those of which nothing is known, and 0 is taken.
    edge : tuple of str
        Those whose value in the smaller lies at the edge of what is allowed.
    law : Law
    """

    extra: tuple[str, ...]
    null: Mapping[str, float]
    guessed: frozenset[str]
    edge: tuple[str, ...]
    law: Law

    @property
    def open(self) -> tuple[str, ...]:
        """What has no value at which the larger model is the smaller one, as far as is known."""
        return tuple(name for name in self.extra if name not in self.null)


def nesting(small: Fit, large: Fit, null: Mapping[str, float]) -> Nesting:
    """Say how one model lies in the other, or all that is against it.

    Parameters
    ----------
    small, large : Fit
        Of one population, by one approximation.
    null : mapping of str to float
        Values of quantities of the larger model at which it is the smaller one, where the fits do not say them.

    Raises
    ------
    MismatchError
        With everything that keeps them from being compared.
    """
    where = "compare(small, large)"
    estimators = [estimator_of(one, where) for one in (small, large)]
    found = list(_against(small, large, *(_way(one) for one in estimators)))
    free, fixed = ([_values(one, fixed=held) for one in (small, large)] for held in (False, True))
    extra = tuple(name for name in free[1] if name not in free[0])
    missing = [name for name in free[0] if name not in free[1]]
    if missing:
        what = f"the smaller model estimates {', '.join(missing)}, and the larger does not."
        found.append(_finding(what, "All that the smaller estimates, and more.", "Exchange them, or take other fits."))
    elif not extra:
        what = "the larger model estimates no more than the smaller."
        found.append(_finding(what, "At least one quantity more.", "Compare nested models; AIC compares others."))
    for name in fixed[0]:
        there = {**free[1], **fixed[1]}.get(name)
        if name in fixed[1] and there is not None and abs(there - fixed[0][name]) > _SAME * abs(there):
            found.append(_finding(f"{name} is fixed at {fixed[0][name]:g} in one model, at {there:g} in the other.",
                                  "The same value.", "Fix it alike, and fit again."))  # fmt: skip
    for name in null:
        if name not in extra:
            found.append(_finding(f"null names `{name}`, which is not among what the larger model adds.",
                                  f"Some of {', '.join(extra) or 'nothing'}.", suggestion(name, extra)))  # fmt: skip
    if found:
        raise_all(MismatchError, found)
    return _nested(large, extra, {**{n: v for n, v in fixed[0].items() if n in extra}, **null})


def _nested(large: Fit, extra: tuple[str, ...], known: dict[str, float]) -> Nesting:
    """Fill in what the names of quantities say: a variance that is not there is 0."""
    model, null, guessed, edge = large.model, dict(known), set(), []
    residual = {name for output in model.outputs.values() for name in output.residual_names}
    for name in extra:
        random = name.startswith(("iiv.", "iov."))
        lower, upper = -np.inf, np.inf
        if name in model.parameters:
            own = model.parameters[name]
            lower, upper = own.lower, own.upper
            if name not in null and own.transform == "none" and lower <= 0 <= upper:
                null[name] = 0.0
                guessed.add(name)
        elif random and "," not in name:
            lower, null = 0.0, {name: 0.0} | null
        elif random:
            null = {name: 0.0} | null
        elif name in residual and not name.endswith(".power"):
            lower, null = 0.0, {name: 0.0} | null
        if name in null and (null[name] <= lower or null[name] >= upper):
            edge.append(name)
    variances = {name.partition(".")[2]: name for name in edge if name.startswith(("iiv.", "iov."))}
    joint = [
        name for name in extra if "," in name and all(one in variances for one in name.partition(".")[2].split(","))
    ]
    known_law = not joint and not any(name.startswith("share.") for name in extra) and all(n in null for n in extra)
    law = Law(inside=len(extra) - len(edge), edge=len(edge), known=known_law)
    return Nesting(extra=extra, null=null, guessed=frozenset(guessed), edge=tuple(edge), law=law)


def _against(small: Fit, large: Fit, way: dict[str, Any], other: dict[str, Any]) -> Iterator[Finding]:
    if small.attrs["data_digest"] != large.attrs["data_digest"]:
        yield _finding(
            f"the fits are of other data: {small.attrs['data']} ({small.attrs['data_digest'][:12]}) and "
            f"{large.attrs['data']} ({large.attrs['data_digest'][:12]}).",
            "Two fits of the same records.", "Fit both to the same data.",
        )  # fmt: skip
    if way != other:
        said = [", ".join(f"{name}={value}" for name, value in one.items()) for one in (way, other)]
        yield _finding(f"the objectives are by other approximations: {said[0]}; {said[1]}.",
                       "The same estimator with the same options.", "Fit both by the same one.")  # fmt: skip
    elif small.attrs["objective_name"] != large.attrs["objective_name"] and way["estimator"] != "SAEM":
        said = [str(one.attrs["objective_name"]) for one in (small, large)]
        yield _finding(f"the objectives are {said[0]}; {said[1]}.", "The same approximation.",
                       "Fit both by the same one, such as Laplace().")  # fmt: skip
    for what, one in (("smaller", small), ("larger", large)):
        if one.status in ("failed", "not converged"):
            yield _finding(f"the fit of the {what} model is {one.status}.", "A fit that ended at a minimum.",
                           one.message)  # fmt: skip
        if one.model.priors:
            yield _finding(
                f"the {what} model has priors ({', '.join(one.model.priors)}): its objective is no likelihood.",
                "Models without priors.", "Fit both without: model.replace(priors={}).",
            )  # fmt: skip


def _way(estimator: Any) -> dict[str, Any]:
    """What makes the objective of an estimator what it is."""
    kept = {"censoring"} if isinstance(estimator, SAEM) else {one.name for one in fields(estimator)} - _BESIDE
    return {"estimator": type(estimator).__name__} | {name: getattr(estimator, name) for name in sorted(kept)}


def _values(fit: Fit, *, fixed: bool) -> dict[str, float]:
    """What was estimated, or what was held, with its value."""
    table = fit.estimates
    if "subject" in table.dims:
        raise CannotFit(
            "each subject was fitted alone.", where="compare(small, large)", expected="Fits of a population.",
            remedy="Fit with FOCE(), for instance.",
        )  # fmt: skip
    return {
        str(name): float(value)
        for name, value, held in zip(
            table["parameter"].values, table["value"].values, table["fixed"].values, strict=True
        )
        if bool(held) == fixed
    }


def _finding(what: str, expected: str, remedy: str | None) -> Finding:
    return Finding(code="compare", where="compare(small, large)", what=what, expected=expected, remedy=remedy)
