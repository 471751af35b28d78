"""How well the typical values are known, and draws of what they may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import CannotFit, UsageError
from pkpd.streams import normals

if TYPE_CHECKING:
    from pkpd.model.model import Model

_ATTEMPTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Typical:
    """Typical values on the scale of estimation, and their covariance there.

    Parameters
    ----------
    natural : (P,) float
        Typical values.
    centre : (P,) float
        The same, transformed.
    covariance : (P, P) float or None
        None: it is not known how well they are known. A parameter held fixed has a row and a column of zeros.
    lower, upper : (P,) float
        Bounds, transformed; a draw stays inside them.
    refusal : UsageError or None
        What to say when draws are asked for and there is no covariance.
    notes : tuple of str
    """

    natural: np.ndarray
    centre: np.ndarray
    covariance: np.ndarray | None
    lower: np.ndarray
    upper: np.ndarray
    refusal: UsageError | None = None
    notes: tuple[str, ...] = ()

    def draw(self, seed: int, numbers: np.ndarray) -> np.ndarray:
        """Sets of transformed typical values, shape (D, P); each depends on the seed and its own number alone.

        Parameters
        ----------
        seed : int
        numbers : (D,) int
            Which draws, counted from 0.

        Raises
        ------
        UsageError
            There is no covariance to draw from.
        CannotFit
            The covariance is so wide that hardly a draw falls inside the bounds.
        """
        if self.covariance is None:
            raise self.refusal or UsageError("There is no covariance of the parameters.")
        factor = _root(self.covariance)
        result = np.empty((len(numbers), len(self.centre)))
        missing = np.arange(len(numbers))
        for attempt in range(_ATTEMPTS):
            own = numbers[missing]
            z = normals(seed, f"parameters {attempt}", np.zeros_like(own), own, len(self.centre))
            result[missing] = self.centre + sum(z[:, j, None] * factor[:, j] for j in range(len(self.centre)))
            inside = np.all((result[missing] >= self.lower) & (result[missing] <= self.upper), axis=1)
            missing = missing[~inside]
            if not missing.size:
                return result
        raise CannotFit(
            f"{missing.size} of {len(numbers)} draws of the parameters fell outside the bounds {_ATTEMPTS} times.",
            where="simulate(uncertainty=...)",
            expected="A covariance that is narrow beside the bounds of the parameters.",
            remedy="Fix the parameters that the data do not determine, or use profile intervals.",
        )


def typical_values(model: Model) -> Typical:
    """Typical values of a model, with the standard errors that its source printed, where it did.

    A published relative standard error r of a value x becomes the standard deviation r x / (dx/dz) on the transformed
    scale z; for a log-transformed parameter that is r itself. Correlations are seldom printed: none are assumed.
    """
    parameters = model.parameters
    natural = np.array([p.typical for p in parameters.values()], dtype=float)
    centre = np.array([float(p.forward(p.typical)) for p in parameters.values()])
    slope = np.array([float(p.d_inverse(z)) for p, z in zip(parameters.values(), centre)])
    lower, upper = _bounds(model)
    known = {name: p.rse for name, p in parameters.items() if p.rse is not None and not p.fixed}
    if not known:
        refusal = UsageError(
            f"`{model.name}` does not say how well its parameters are known.",
            where="simulate(uncertainty=...)",
            expected="A fit, which has a covariance, or a model whose parameters carry `rse` (published relative "
            "standard errors).",
            remedy="Fit the model first, or leave out `uncertainty`.",
        )
        return Typical(natural=natural, centre=centre, covariance=None, lower=lower, upper=upper, refusal=refusal)
    sd = np.array([(known.get(name) or 0.0) * abs(p.typical) for name, p in parameters.items()]) / slope
    held = [name for name in parameters if name not in known]
    notes = ["Parameter uncertainty is that of published standard errors, without correlations."]
    if held:
        notes.append(f"No standard error is known of {', '.join(held)}: held at the typical value.")
    return Typical(
        natural=natural, centre=centre, covariance=np.diag(sd**2), lower=lower, upper=upper, notes=tuple(notes)
    )


def _bounds(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Bounds on the transformed scale; a bound that the transform cannot reach is at infinity."""
    sides: tuple[list[float], list[float]] = ([], [])
    for parameter in model.parameters.values():
        for side, bound, infinite in ((sides[0], parameter.lower, -np.inf), (sides[1], parameter.upper, np.inf)):
            with np.errstate(all="ignore"):
                edge = np.nan if bound is None or parameter.transform == "logit" else float(parameter.forward(bound))
            side.append(infinite if np.isnan(edge) else edge)
    return np.array(sides[0]), np.array(sides[1])


def _root(covariance: np.ndarray) -> np.ndarray:
    """Give a square root of a covariance, of whatever rank: eigenvectors times roots of eigenvalues."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    # The sign of an eigenvector is the library's whim: fixed here, for the same numbers everywhere.
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(len(values))])
    return vectors * np.sqrt(np.clip(values, 0.0, None))
