"""The information of records that are straight lines in normal random effects.

With the mean E and the covariance matrix V of a person's records, both functions of p quantities q,

    M_ab = dE/dq_a' V^-1 dE/dq_b + tr(V^-1 dV/dq_a V^-1 dV/dq_b) / 2,

which is exact where records are such lines. Where they are not, the lines are those through the predictions of a person
with given random effects b; with G their derivatives by the random effects,

    V = G Omega G' + diag(s^2),

s the residual SDs. At b = 0 that is the first-order method (FO). The matrix is *full* if V moves with the typical
values as G and s do, and *block-diagonal* if typical values move E alone, so that nothing joins them to variances. Of
people who are drawn (FOCE), the parameters of each stay as they are while typical values move, as in

Lindstrom MJ, Bates DM. Nonlinear mixed effects models for repeated measures data. Biometrics 1990;46:673-687.
doi:10.2307/2532087

and so does V: the matrix is block-diagonal, and nobody tells more of a typical value than if his own parameters were
known, 1 / Omega. The full matrix of FO does not keep to that.

Mentré F, Mallet A, Baccar D. Optimal design in random-effects regression models. Biometrika 1997;84:429-442.
doi:10.1093/biomet/84.2.429
Retout S, Mentré F. Further developments of the Fisher information matrix in nonlinear mixed effects models. Journal of
Biopharmaceutical Statistics 2003;13:209-227. doi:10.1081/BIP-120019267
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pkpd.estimation.quantities import Quantities
from pkpd.likelihood.population import Population

__all__ = ["Lines", "slopes_of_omega", "straighten"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The n records of D people of one arm, who differ by the random effects through which their lines go.

    Parameters
    ----------
    mean_q : (D, n, p) float
        Derivatives of E.
    lines : (D, n, d) float
        G.
    lines_q : (D, n, d, p) float
        Derivatives of G.
    variance : (D, n) float
        Of the residual errors.
    variance_q : (D, n, p) float
        Its derivatives.
    omega : (d, d) float
    omega_q : (p, d, d) float
        Its derivatives.
    """

    mean_q: np.ndarray
    lines: np.ndarray
    lines_q: np.ndarray
    variance: np.ndarray
    variance_q: np.ndarray
    omega: np.ndarray
    omega_q: np.ndarray

    def take(self, rows: np.ndarray) -> Lines:
        """Give some of the records: `rows` is (..., k), and n becomes (..., k)."""
        names = ("mean_q", "lines", "lines_q", "variance", "variance_q")
        return replace(self, **{name: getattr(self, name)[:, rows] for name in names})

    def information(self) -> np.ndarray:
        """Give what the records of each of the D people tell, (D, ..., p, p)."""
        g, swap = self.lines, np.swapaxes
        weighted = g @ self.omega
        v = weighted @ swap(g, -1, -2)
        k = np.arange(g.shape[-2])
        v[..., k, k] += self.variance
        root = np.linalg.inv(np.linalg.cholesky(v))
        # Derivatives of V, (D, ..., p, n, n).
        moved = np.einsum("...idp,...jd->...pij", self.lines_q, weighted, optimize=True)
        moved = moved + swap(moved, -1, -2)
        moved += np.einsum("...id,pde,...je->...pij", g, self.omega_q, g, optimize=True)
        moved[..., k, k] += swap(self.variance_q, -1, -2)
        scaled = root[..., None, :, :] @ moved @ swap(root, -1, -2)[..., None, :, :]
        scaled = scaled.reshape(*scaled.shape[:-2], -1)
        mean = root @ self.mean_q
        return swap(mean, -1, -2) @ mean + 0.5 * (scaled @ swap(scaled, -1, -2))


def straighten(population: Population, quantities: Quantities, b: np.ndarray, *, full: bool) -> list[Lines]:
    """Give the lines of each arm.

    Parameters
    ----------
    population : Population
        One person of each of A arms.
    quantities : Quantities
    b : (D, A, d) float
        Random effects through which the lines go.
    full : bool
        Whether V moves with the typical values; for b = 0.

    Raises
    ------
    SolveError
        The model cannot be solved at these random effects.
    """
    effects, draws = population.effects, len(b)
    crowd = population.repeat(draws)
    w = effects.arguments(effects.start, b.reshape(draws * b.shape[1], b.shape[2]))
    at = crowd.slopes(w, order=2)
    if not np.isfinite(at.f).all():
        values, _ = effects.natural(w, crowd.problem.program.parameters)
        crowd.problem.predict(values, threads=crowd.threads).raise_failures()
    spread = crowd.density.residuals.spread(at.f, at.psi, second=True)
    f_w, f_b = at.v[:, 0], at.v[:, 0] @ effects.to_effect
    lines, lines_w = spread.mean_f[:, None] * f_b, np.zeros((*f_b.shape, f_w.shape[1]))
    sd_w = np.einsum("nr,nrw->nw", spread.sd_psi, at.v[:, 1:])
    if full:
        assert spread.mean_ff is not None
        lines_w += spread.mean_ff[:, None, None] * f_b[:, :, None] * f_w[:, None, :]
        u = len(effects.engine)
        bent = np.einsum("wi,nwv->niv", effects.to_effect[:u], crowd.curvature(at).f_uu)
        lines_w[:, :, :u] += spread.mean_f[:, None, None] * bent
        sd_w += spread.sd_f[:, None] * f_w
    by_natural = effects.to_typical / _typical_slopes(quantities)
    later = len(effects.covariance.elements)
    mean_w = spread.mean_f[:, None] * f_w
    mean_q, sd_q = (np.pad(each @ by_natural, ((0, 0), (0, later))) for each in (mean_w, sd_w))
    lines_q = np.pad(lines_w @ by_natural, ((0, 0), (0, 0), (0, later)))
    arrays = {
        "mean_q": mean_q,
        "lines": lines,
        "lines_q": lines_q,
        "variance": spread.sd**2,
        "variance_q": 2 * spread.sd[:, None] * sd_q,
    }
    arrays = {name: each.reshape(draws, len(each) // draws, *each.shape[1:]) for name, each in arrays.items()}
    covariance = effects.covariance
    omega = covariance.matrix(covariance.start)
    omega_q = np.concatenate([np.zeros((len(effects.typical), *omega.shape)), slopes_of_omega(population)])
    return [
        Lines(omega=omega, omega_q=omega_q, **{name: each[:, rows] for name, each in arrays.items()})
        for rows in (np.flatnonzero(population.subject == arm) for arm in range(b.shape[1]))
    ]


def slopes_of_omega(population: Population) -> np.ndarray:
    """Give the derivatives of Omega by the Q variances and covariances that are free, (Q, d, d): zeros and ones."""
    covariance, found = population.effects.covariance, []
    for g, group in enumerate(covariance.groups):
        for i in range(0 if group.fixed else len(group.names)):
            for j in range(i + 1):
                parts = [np.zeros_like(other.start) for other in covariance.groups]
                parts[g][i, j] = parts[g][j, i] = 1.0
                found.append(covariance.place(parts))
    return np.array(found).reshape(len(found), covariance.size, covariance.size)


def _typical_slopes(quantities: Quantities) -> np.ndarray:
    """Give the derivatives of the K natural values by those of the search, (K,)."""
    effects, coordinates = quantities.effects, quantities.coordinates
    z = coordinates.forward(coordinates.initial)
    return coordinates.slope(z)[np.flatnonzero(coordinates.free)[: len(effects.typical)]]
