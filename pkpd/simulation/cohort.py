"""Who is simulated: the parameters and covariates of every subject, in every draw of the typical values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import MismatchError, ModelError, UsageError, suggestion
from pkpd.simulation.covariates import Covariates
from pkpd.simulation.streams import check_seed, normals
from pkpd.simulation.uncertainty import Typical, typical_values

if TYPE_CHECKING:
    from pkpd.model.model import Model

BETWEEN_SUBJECTS = "between-subject variability"
PARAMETERS = "parameter uncertainty"
NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Everybody who is simulated, D draws of N subjects with P parameters.

    Parameters
    ----------
    values : (D, N, P) float
        Individual parameter values on their natural scale, in the order of the model.
    parameters : tuple of str
        P names.
    covariates : Covariates
        One number for all, or one for each of the N subjects.
    uncertainty : str
        What differs between the draws and subjects, in words, for labels and attributes.
    seed : int or None
        None where nothing is left to chance.
    notes : tuple of str
        What a reader of the result must know, such as a parameter that has no published uncertainty.
    """

    values: np.ndarray
    parameters: tuple[str, ...]
    covariates: Covariates
    uncertainty: str
    seed: int | None
    notes: tuple[str, ...] = ()

    @property
    def draws(self) -> int:
        """D, the number of draws of the typical values."""
        return self.values.shape[0]

    @property
    def subjects(self) -> int:
        """N, the number of subjects in each draw."""
        return self.values.shape[1]


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
    """Draw a cohort.

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
    centre = typical.draw(seed, draws) if draws and seed is not None else typical.centre[None, :]
    shift = np.zeros((max(draws, 1), subjects, len(names)))
    if scatter.any() and seed is not None:
        shift = _scattered(seed, max(draws, 1), subjects, scatter)
    return Cohort(
        values=_natural(model, typical, centre[:, None, :] + shift),
        parameters=names,
        covariates=covariates,
        uncertainty=" and ".join(kinds) or NONE,
        seed=seed if kinds else None,
        notes=typical.notes if draws else (),
    )


def count(model: Model, *, n: int | None, uncertainty: bool | int, covariates: Covariates) -> tuple[int, int]:
    """Give the numbers of draws and of subjects that :func:`gather` would make.

    Raises
    ------
    UsageError
        `n` or `uncertainty` is no count.
    MismatchError
        The number of subjects does not fit the covariates.
    """
    return max(_count_draws(uncertainty), 1), _count_subjects(model, n, covariates)


def typical_cohort(model: Model, covariates: Covariates) -> Cohort:
    """Give the typical subject alone."""
    return gather(
        model, typical_values(model), n=None, seed=None, uncertainty=False, variability=None, covariates=covariates
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
        variance[np.diag_indices(len(names))] += [parameter.iov for parameter in model.parameters.values()]
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


def _scattered(seed: int, draws: int, subjects: int, factor: np.ndarray) -> np.ndarray:
    """ETAs, shape (D, N, P). Column by column: a matrix product may round differently in batches of another size."""
    draw, subject = (grid.ravel() for grid in np.meshgrid(np.arange(draws), np.arange(subjects), indexing="ij"))
    z = normals(seed, "between subjects", subject, draw, len(factor))
    etas = np.zeros_like(z)
    for j in range(len(factor)):
        if factor[j:, j].any():
            etas += z[:, j, None] * factor[:, j]
    return etas.reshape(draws, subjects, len(factor))


def _natural(model: Model, typical: Typical, transformed: np.ndarray) -> np.ndarray:
    values = np.empty_like(transformed)
    for column, parameter in enumerate(model.parameters.values()):
        there = transformed[..., column]
        # Back and forth through a logarithm is not exact: who is at the centre gets the typical value itself.
        with np.errstate(over="ignore"):  # the engine says who has an infinite parameter
            natural = parameter.inverse(there)
        values[..., column] = np.where(there == typical.centre[column], typical.natural[column], natural)
    return values
