"""Who is simulated: the parameters and covariates of every subject, in every draw of the typical values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import MismatchError, ModelError, UsageError, suggestion
from pkpd.simulation.covariates import Covariates
from pkpd.simulation.uncertainty import Typical
from pkpd.streams import check_seed, normals

if TYPE_CHECKING:
    from pkpd.model.model import Model

BETWEEN_SUBJECTS = "between-subject variability"
PARAMETERS = "parameter uncertainty"
RESIDUAL = "residual error"
NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Everybody who is simulated, D draws of N subjects with P parameters: a recipe, which makes any part of it.

    Parameters
    ----------
    model : Model
    typical : Typical
        The typical values and how well they are known.
    scatter : (P, P) float
        Lower triangular factor of the variance of the ETAs.
    draws : int
        D, the number of draws of the typical values.
    subjects : int
        N, the number of subjects in each draw.
    drawn : bool
        Whether the typical values are drawn; if not, they are what they are in the one draw.
    covariates : Covariates
        One number for all, or one for each of the N subjects.
    seed : int or None
        None where nothing is left to chance.
    """

    model: Model
    typical: Typical
    scatter: np.ndarray
    draws: int
    subjects: int
    drawn: bool
    covariates: Covariates
    seed: int | None

    @property
    def parameters(self) -> tuple[str, ...]:
        """P names."""
        return tuple(self.model.parameters)

    @property
    def varying(self) -> tuple[str, ...]:
        """Parameters that differ between subjects."""
        return tuple(name for name, row in zip(self.parameters, self.scatter) if row.any())

    @property
    def uncertainty(self) -> str:
        """What differs between the draws and subjects, in words, for labels and attributes."""
        return " and ".join([BETWEEN_SUBJECTS] * bool(self.varying) + [PARAMETERS] * self.drawn) or NONE

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result must know, such as a parameter that has no published uncertainty."""
        return self.typical.notes if self.drawn else ()

    def individuals(self, draws: slice, subjects: slice) -> np.ndarray:
        """Parameters of some subjects in some draws, on their natural scale: shape (d, n, P).

        Who else is asked for changes no bit of them.
        """
        draw, subject = np.arange(*draws.indices(self.draws)), np.arange(*subjects.indices(self.subjects))
        shape = (len(draw), len(subject), len(self.parameters))
        centre = self.typical.centre[None, :]
        if self.drawn and self.seed is not None:
            centre = self.typical.draw(self.seed, draw)
        there = np.empty(shape)
        there[:] = centre[:, None, :]
        if self.varying and self.seed is not None:
            who, which = np.tile(subject, len(draw)), np.repeat(draw, len(subject))
            there += _scattered(self.seed, who, which, self.scatter).reshape(shape)
        return _natural(self.model, self.typical, there)


def gather(
    model: Model,
    typical: Typical,
    *,
    n: int | None,
    seed: int | None,
    uncertainty: bool | int,
    variability: bool | Mapping[str, float] | None,
    covariates: Covariates,
) -> Cohort:
    """Say who is simulated; nobody is drawn yet.

    Parameters
    ----------
    model : Model
    typical : Typical
        The typical values and how well they are known.
    n : int, optional
        Subjects; None: the typical subject, or as many as the covariates have values.
    seed : int, optional
        Needed as soon as something is left to chance.
    uncertainty : bool or int
        Draws of the typical values: False for none, True for 100.
    variability : bool or mapping, optional
        Whether subjects differ; None: where `n` is given. A mapping ``{parameter: variance of ETA}`` is used in place
        of the model's.
    covariates : Covariates

    Raises
    ------
    UsageError
        No seed; `n` or `uncertainty` is no count; subjects are asked for that would all be the same.
    MismatchError
        A parameter that is not of the model, or a number of subjects that does not fit the covariates.
    """
    names = tuple(model.parameters)
    subjects = _count_subjects(model, n, covariates)
    draws = _count_draws(uncertainty)
    varies = n is not None if variability is None else variability is not False
    scatter = _scatter(model, names, variability) if varies else np.zeros((len(names), len(names)))
    if n is not None and varies and n > 1 and not scatter.any() and covariates.subjects is None:
        raise UsageError(
            f"{n} subjects were asked for, but no parameter of `{model.name}` varies between subjects.",
            where="simulate(n=...)",
            expected="A model in which some parameter has iiv (a variance of its ETA).",
            remedy=f"Leave out n for the typical subject, or give variances of your own (variability), such as "
            f"{names[0]}: 0.09.",
        )
    kinds = [BETWEEN_SUBJECTS] * bool(scatter.any()) + [PARAMETERS] * bool(draws)
    if kinds:
        seed = check_seed(seed, why=" and ".join(kinds) + " is drawn at random")
    if draws and seed is not None:
        typical.draw(seed, np.arange(0))  # says now, and not in the midst of the work, if there is nothing to draw from
    return Cohort(
        model=model,
        typical=typical,
        scatter=scatter,
        draws=max(draws, 1),
        subjects=subjects,
        drawn=draws > 0,
        covariates=covariates,
        seed=seed if kinds else None,
    )


def _count_subjects(model: Model, n: int | None, covariates: Covariates) -> int:
    if n is None:
        return covariates.subjects or 1
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise UsageError(
            f"n is {n!r}.",
            where="simulate(n=...)",
            expected="The number of subjects, a whole number of 1 or more.",
            remedy="Leave it out for the typical subject.",
        )
    if covariates.subjects not in (None, n):
        raise MismatchError(
            f"n is {n}, but {covariates.longest} has {covariates.subjects} values.",
            where=f"simulate(`{model.name}`)",
            expected="One value of a covariate for everybody, or one for each of the n subjects.",
            remedy=f"Leave out n, or give {n} values.",
        )
    return int(n)


def _count_draws(uncertainty: bool | int) -> int:
    if isinstance(uncertainty, (bool, np.bool_)):
        return 100 if uncertainty else 0
    if isinstance(uncertainty, (int, np.integer)) and uncertainty >= 2:
        return int(uncertainty)
    raise UsageError(
        f"uncertainty is {uncertainty!r}.",
        where="simulate(uncertainty=...)",
        expected="True (100 draws of the typical values), False, or a number of draws of 2 or more.",
        remedy="Write uncertainty=True.",
    )


def _scatter(model: Model, names: tuple[str, ...], variability: bool | Mapping[str, float] | None) -> np.ndarray:
    """Lower triangular (P, P) factor of the variance of the ETAs, those between occasions included.

    A simulation is one occasion, whose effect adds to that of the subject.
    """
    if not isinstance(variability, Mapping):
        variance = np.array(model.omega.matrix(names), dtype=float)
        variance += model.omega_between_occasions.matrix(names)
        return _factor(variance, names)
    unknown = [name for name in variability if name not in names]
    if unknown:
        raise MismatchError(
            f"`{unknown[0]}` is no parameter of `{model.name}`.",
            where="simulate(variability=...)",
            expected=f"Parameters: {', '.join(names)}.",
            remedy=suggestion(unknown[0], names) or "Name one of these.",
        )
    variances = np.zeros(len(names))
    for name, variance in variability.items():
        number = float(variance) if isinstance(variance, (int, float, np.number)) else np.nan
        variances[names.index(name)] = number
        if not (np.isfinite(number) and number >= 0):
            raise ModelError(
                f"The variance of `{name}` between subjects is {variance!r}.",
                where="simulate(variability=...)",
                expected="A variance of ETA, 0 or more: about the square of the coefficient of variation.",
                remedy="Write 0.09 for a coefficient of variation of 30 %.",
            )
    return np.diag(np.sqrt(variances))


def _factor(variance: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Cholesky factor of a matrix that may have empty rows or be exactly singular.

    Row by row, so that giving one more parameter a variance leaves the numbers of those before it as they are.
    """
    size = len(variance)
    lower = np.zeros((size, size))
    for i in range(size):
        for j in range(i):
            if lower[j, j] > 0:
                lower[i, j] = (variance[i, j] - lower[i, :j] @ lower[j, :j]) / lower[j, j]
        left = variance[i, i] - lower[i, :i] @ lower[i, :i]
        if left < -1e-10 * variance[i, i]:
            raise ModelError(
                f"The variances and covariances of the ETAs up to `{names[i]}` are no covariance matrix.",
                where="omega",
                expected="A positive semi-definite matrix: no correlation beyond ±1.",
                remedy="Check the covariances of this block.",
            )
        lower[i, i] = max(left, 0.0) ** 0.5 if left > 1e-14 * variance[i, i] else 0.0
    return lower


def _scattered(seed: int, subject: np.ndarray, draw: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """ETAs, shape (K, P). Column by column: a matrix product may round differently in batches of another size."""
    sources = np.flatnonzero(factor.any(axis=0))
    z = normals(seed, "between subjects", subject, draw, len(factor), columns=sources)
    etas = np.zeros((len(subject), len(factor)))
    for column, j in enumerate(sources):
        for i in np.flatnonzero(factor[:, j]):
            etas[:, i] += z[:, column] * factor[i, j]
    return etas


def _natural(model: Model, typical: Typical, transformed: np.ndarray) -> np.ndarray:
    values = np.empty_like(transformed)
    for column, parameter in enumerate(model.parameters.values()):
        # Contiguous, whatever the batch: numpy may round an array with gaps in another way.
        there = np.ascontiguousarray(transformed[..., column])
        # Back and forth through a logarithm is not exact: who is at the centre gets the typical value itself.
        with np.errstate(over="ignore"):  # the engine says who has an infinite parameter
            natural = parameter.inverse(there)
        values[..., column] = np.where(there == typical.centre[column], typical.natural[column], natural)
    return values
