"""Parameters whose Box-Cox transform is normal, held to integrals in one dimension, and to equations that say the same.

y_ij = mu_i + 0.3 eps_ij, where (mu_i^shape - 1) / shape is normal.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import pytest
from scipy import integrate

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.model import Model

TYPICAL, SD = 2.0, 0.3
FIXED = {"max_iterations": 0, "covariance": None}


def model(shape: float, variance: float, more: str = "") -> Model:
    return Model(f"""
[parameters]
mu = {{ typical = {TYPICAL}, unit = "mg/L", transform = "boxcox", shape = {shape}, iiv = {variance}{more} }}
[dynamics]
equations = "y = mu"
[outputs]
y = {{ unit = "mg/L", add = {SD} }}
""")


def inverse(z: np.ndarray, shape: float) -> np.ndarray:
    return np.exp(z) if shape == 0 else (shape * z + 1) ** (1 / shape)


def ends(shape: float) -> tuple[float, float]:
    """Of the values of z that have a value."""
    return (-1 / shape if shape > 0 else -np.inf), (-1 / shape if shape < 0 else np.inf)


@lru_cache
def people(shape: float, variance: float, n: int = 12, each: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(8)
    centre = np.log(TYPICAL) if shape == 0 else (TYPICAL**shape - 1) / shape
    low, high = ends(shape)
    found: list[np.ndarray] = []
    while len(found) < n:
        z = centre + variance**0.5 * rng.standard_normal()
        if low < z < high:
            found.append(inverse(z, shape) + SD * rng.standard_normal(each))
    return found


@lru_cache
def data(shape: float, variance: float, n: int = 12, occ: bool = False) -> Dataset:
    rows = [(i + 1, j, y, 1) for i, own in enumerate(people(shape, variance, n)) for j, y in enumerate(own)]
    names = ("ID", "TIME", "DV", "OCC")[: 4 if occ else 3]
    return read_data({name: [row[k] for row in rows] for k, name in enumerate(names)})


def integral(y: np.ndarray, shape: float, variance: float) -> float:
    """-2 log of the integral over z, nothing where there is no value."""
    centre = np.log(TYPICAL) if shape == 0 else (TYPICAL**shape - 1) / shape

    def minus_log(z: np.ndarray) -> np.ndarray:
        scaled = (y - np.asarray(inverse(z, shape))[..., None]) / SD
        return 0.5 * (scaled**2).sum(axis=-1) + y.size * np.log(SD) + 0.5 * (z - centre) ** 2 / variance

    low, high = (np.clip(end, centre - 12 * variance**0.5, centre + 12 * variance**0.5) for end in ends(shape))
    grid = np.linspace(low, high, 20_001)[1:-1]
    near = minus_log(grid)
    best, least = grid[near.argmin()], near.min()
    area, _ = integrate.quad(
        lambda z: np.exp(least - minus_log(z)), low, high, points=[best], epsabs=0, epsrel=1e-11, limit=500
    )
    return 2 * least - 2 * np.log(area / np.sqrt(2 * np.pi * variance))


@pytest.mark.parametrize(("shape", "variance"), [(0.5, 0.3), (-0.5, 0.1), (0.0, 0.2), (1.0, 0.3), (2.0, 0.2)])
def test_the_likelihood_is_the_integral(shape, variance):
    exact = sum(integral(y, shape, variance) for y in people(shape, variance))
    fit = pkpd.fit(model(shape, variance), data(shape, variance), pkpd.Quadrature(nodes=25, **FIXED))
    assert fit.ofv == pytest.approx(exact, abs=1e-5)


def test_zero_is_the_logarithm_and_one_is_none():
    own = data(0.0, 0.2)
    text = model(0.0, 0.2).text
    as_log = Model(text.replace('transform = "boxcox", shape = 0, ', ""))
    by_shape, by_log = (pkpd.fit(m, own, pkpd.Laplace()) for m in (model(0.0, 0.2), as_log))
    assert by_shape.ofv == pytest.approx(by_log.ofv, abs=1e-9)
    plain = Model(model(1.0, 0.3).text.replace('"boxcox", shape = 1', '"none"').replace("shape = 1, ", ""))
    by_shape, by_none = (pkpd.fit(m, data(1.0, 0.3), pkpd.Laplace()) for m in (model(1.0, 0.3), plain))
    assert by_shape.ofv == pytest.approx(by_none.ofv, abs=1e-7)
    assert by_shape.estimates["value"].values == pytest.approx(by_none.estimates["value"].values, rel=1e-4)


@pytest.mark.parametrize(
    "estimator",
    [pkpd.FOCE(), pkpd.Laplace(), pkpd.Quadrature(nodes=9), pkpd.SAEM(seed=2, burn=150, smooth=100)],
)
def test_an_edge_near_by_is_survived(estimator, capsys):
    """The scale ends two SDs from the centre: many trials have no value."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = pkpd.fit(model(0.5, 2.0), data(0.5, 2.0, 40), estimator)
    values = fit.estimates["value"].values
    assert np.isfinite(values).all() and np.isfinite(fit.ofv) and np.isfinite(fit.verdict["marginal"].item())
    assert fit.estimates["value"].sel(parameter="mu").item() == pytest.approx(TYPICAL, rel=0.3)
    assert "nan" not in str(fit).lower() and "warning" not in capsys.readouterr().err.lower()


def test_occasions_move_on_the_scale():
    """One occasion each: the two variances are one."""
    both = pkpd.fit(model(0.5, 0.1, ", iov = 0.2"), data(0.5, 0.3, occ=True), pkpd.Quadrature(nodes=15, **FIXED))
    one = pkpd.fit(model(0.5, 0.3), data(0.5, 0.3), pkpd.Quadrature(nodes=15, **FIXED))
    assert both.ofv == pytest.approx(one.ofv, abs=1e-4)


EQUATIONS = """
[parameters]
typical = { typical = 2.0, unit = "mg/L", iiv = 0 }
eta = { typical = 0, transform = "none", fixed = true, iiv = 0.3 }
shape = { typical = 0.5, transform = "none" }
[dynamics]
equations = '''
bent = (exp(eta * shape) - 1) / shape
y = typical * exp(bent)
'''
[outputs]
y = { unit = "mg/L", add = 0.3 }
"""


def test_an_estimated_shape_of_an_eta_is_written_in_equations():
    """Petersson, Hanze, Savic, Karlsson (2009): eta is replaced by (exp(eta)^shape - 1) / shape."""
    own = data(0.0, 0.2, 40)

    def minus_two_log(shape: float, variance: float, typical: float) -> float:
        total = 0.0
        for y in people(0.0, 0.2, 40):
            eta = np.linspace(-8, 8, 8001) * variance**0.5
            f = typical * np.exp(np.expm1(eta * shape) / shape)
            log = -0.5 * (((y - f[:, None]) / SD) ** 2).sum(axis=1) - y.size * np.log(SD)
            log -= 0.5 * eta**2 / variance + 0.5 * np.log(2 * np.pi * variance)
            total -= 2 * np.log(integrate.simpson(np.exp(log - log.max()), x=eta)) + 2 * log.max()
        return total

    fixed = pkpd.fit(Model(EQUATIONS), own, pkpd.Quadrature(nodes=25, **FIXED))
    assert fixed.ofv == pytest.approx(minus_two_log(0.5, 0.3, 2.0), abs=1e-4)
    fit = pkpd.fit(Model(EQUATIONS), own, pkpd.Quadrature(nodes=15), fixed=["y.add"])
    at = [fit.estimates["value"].sel(parameter=name).item() for name in ("shape", "iiv.eta", "typical")]
    assert fit.status == "converged" and fit.ofv == pytest.approx(minus_two_log(*at), abs=1e-3)
    for k in range(3):
        for step in (-0.02, 0.02):
            moved = list(at)
            moved[k] += step
            assert minus_two_log(*moved) > fit.ofv - 1e-3
