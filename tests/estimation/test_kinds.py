"""Fits of scores, categories, yes or no and counts: by every estimator, with exact slopes, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import pkpd
from pkpd.errors import CannotFit, MismatchError
from pkpd.estimation.population import population_of
from pkpd.likelihood.marginal import laplace
from pkpd.likelihood.modes import find_modes
from pkpd.likelihood.problem import make_problem
from pkpd.likelihood.quadrature import quadrature
from pkpd.likelihood.redraw import simulate_population
from pkpd.model.write import write

KINDS = {
    "score": "score = { lower = 0, upper = 100, scale = 'latent', sd = 0.6 }",
    "integer": "score = { lower = 0, upper = 10, law = 'bounded integer', scale = 'latent', sd = 0.5, floor = 0.05 }",
    "beta": "score = { lower = 0, upper = 10, law = 'beta', scale = 'latent', precision = 9 }",
    "normal": "score = { lower = 0, upper = 10, law = 'normal', scale = 'latent', sd = 1.5 }",
    "levels": "categories = { levels = [0, 1, 2, 3], cuts = [-1, 0.4, 1.5] }",
    "yes or no": "binary = { scale = 'logit' }",
    "count": "count = { law = 'negative binomial', dispersion = 0.3, zeros = 0.1 }",
}


def model_of(kind: str, *, iiv: str = "") -> pkpd.Model:
    """A line in time with random intercepts and slopes."""
    line = "base + slope * t" if not kind.startswith("count") else "exp(0.6 + base + slope * t)"
    return pkpd.Model(f"""
    [parameters]
    base = {{ typical = 0, transform = "none", iiv = 0.4, fixed = true }}
    slope = {{ typical = 0.1, unit = "1/h", transform = "none", iiv = 0.02 }}
    [dynamics]
    equations = "y = {line}"
    [outputs]
    y = {{ {kind}{iiv} }}
    """)


def drawn(model: pkpd.Model, people: int = 12, times: int = 5, first: float = 1.0) -> pkpd.Dataset:
    """Observations drawn from the model."""
    table = pd.DataFrame([(f"{i + 1}", float(t), first) for i in range(people) for t in range(times)],
                         columns=["ID", "TIME", "DV"])  # fmt: skip
    population = population_of(
        make_problem(model, pkpd.read_data(table)), censoring="M3", threads=1, where="a test", alike=True
    )
    made = simulate_population(population, population.start, seed=11, replicate=0, purpose="a test")
    return pkpd.read_data(table.assign(DV=made.problem.observations.dv))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("method", [laplace, quadrature])
def test_slopes_are_differences(kind: str, method):
    model = model_of(kind, iiv=", iiv = 0.05" if " sd" in kind else "")
    population = population_of(make_problem(model, drawn(model, people=5)), censoring="M3", threads=1, where="a test")
    x = population.start + 0.05
    options = {} if method is laplace else {"nodes": 9}
    at = method(population, x, np.zeros((5, len(population.effects.names))), gradient=True, **options)
    assert at.gradient is not None
    for k in range(len(x)):
        sides = []
        for sign in (1, -1):
            moved = x.copy()
            moved[k] += sign * 1e-4
            sides.append(method(population, moved, at.modes.b, **options).each)
        # Slopes of a sum of nodes are as good as the sum.
        near = 2e-5 if method is laplace else 2e-3
        np.testing.assert_allclose(at.gradient[:, k], (sides[0] - sides[1]) / 2e-4, rtol=near, atol=near)


@pytest.mark.parametrize("kind", [KINDS["score"], KINDS["yes or no"], KINDS["count"]])
def test_the_objective_is_the_integral(kind: str):
    model = pkpd.Model(f"""
    [parameters]
    base = {{ typical = 0.3, transform = "none", iiv = 0.5 }}
    [dynamics]
    equations = "y = {"exp(base)" if kind.startswith("count") else "base"}"
    [outputs]
    y = {{ {kind} }}
    """)
    data = drawn(model, people=6, times=4)
    fit = pkpd.fit(model, data, pkpd.Quadrature(nodes=25, max_iterations=0))
    total = 0.0
    for one in data.ids:
        y = data[one].observations["DV"]

        def height(b: float, y: np.ndarray = y) -> float:
            f = 0.3 + b
            if kind.startswith("score"):
                edges = special.logit(np.stack([y, y + 1]) / 101)
                logs = np.log(np.maximum(np.diff(stats.norm.cdf((edges - f) / 0.6), axis=0), 1e-300))
            elif kind.startswith("binary"):
                logs = stats.bernoulli.logpmf(y, special.expit(f))
            else:
                m = np.exp(f)
                chance = 0.9 * stats.nbinom.pmf(y, 1 / 0.3, 1 / (1 + 0.3 * m)) + np.where(y == 0, 0.1, 0.0)
                logs = np.log(chance)
            return float(np.exp(logs.sum()) * stats.norm.pdf(b, 0, np.sqrt(0.5)))

        total += -2 * np.log(integrate.quad(height, -6, 6, epsabs=0, epsrel=1e-11, limit=400)[0])
    assert fit.ofv == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("kind", [KINDS["integer"], KINDS["levels"], "count = true"])
def test_every_estimator_ends_at_the_same_place(kind: str):
    model = model_of(kind).set({"iiv.base": 1.0, "iiv.slope": 0.15})
    data = drawn(model, people=50)
    exact = pkpd.fit(model, data, pkpd.Quadrature(nodes=7))
    assert exact.status == "converged"
    assert pkpd.fit(model, data, pkpd.FOCE()).ofv == pkpd.fit(model, data, pkpd.Laplace()).ofv
    for estimator in (pkpd.SAEM(seed=3, burn=150, smooth=100), pkpd.Importance(seed=4)):
        fit = pkpd.fit(model, data, estimator)
        assert float(fit.verdict["marginal"].item()) == pytest.approx(exact.ofv, abs=0.3)
        away = (fit.estimates["value"] - exact.estimates["value"]) / exact.estimates["se"]
        assert float(np.abs(away.dropna("parameter")).max()) < 0.3


def test_laws_of_one_score_are_compared_on_one_scale():
    """Data drawn from one law are most probable under it, by far more than the others can differ by chance."""
    laws = {"logit-normal": "sd = 0.9", "bounded integer": "sd = 0.5", "beta": "precision = 4", "normal": "sd = 20"}

    def of(law: str) -> pkpd.Model:
        return model_of(f"score = {{ lower = 0, upper = 100, scale = 'latent', law = '{law}', {laws[law]} }}")

    data = drawn(of("logit-normal"), people=60, times=8)
    found = {law: pkpd.fit(of(law), data, pkpd.Laplace(covariance=None)).attrs["aic"] for law in laws}
    assert min(found, key=lambda law: found[law]) == "logit-normal"
    assert found["normal"] > found["logit-normal"] + 10


def test_residuals_of_a_score_are_standard_normal():
    model = model_of("score = { lower = 0, upper = 4, scale = 'latent', sd = 1.0 }").set({"iiv.base": 0.01})
    data = drawn(model, people=200, times=6)
    fit = pkpd.fit(model, data, pkpd.Laplace(max_iterations=0))
    records = fit.records
    assert stats.kstest(records["RQR"], "norm").pvalue > 0.01
    assert np.isnan(records["CWRES"]).all()
    expected = records["IPRED"].values
    assert expected.min() >= 0 and expected.max() <= 4
    np.testing.assert_allclose(records["IWRES"], (records["DV"] - expected) / records["SD"], rtol=1e-12)
    assert np.isfinite(records["WRES"]).all()
    again = pkpd.fit(model, data, pkpd.Laplace(max_iterations=0, threads=2)).records["RQR"]
    np.testing.assert_array_equal(records["RQR"], again)


def test_scores_at_the_ends_are_told():
    model = model_of("score = { lower = 0, upper = 4, scale = 'latent', sd = 1.5 }")
    data = drawn(model, people=30)
    fit = pkpd.fit(model, data, pkpd.Laplace(max_iterations=0, covariance=None))
    dv = data.observations["DV"]
    lowest, highest = (f"{100 * (dv == end).mean():.3g} % are {end}" for end in (0, 4))
    assert f"Of 150 scores of y {lowest} (" in str(fit.attrs["notes"]) and f"{highest} (" in str(fit.attrs["notes"])


def test_probabilities_lack_no_constant():
    model = model_of(KINDS["levels"])
    fit = pkpd.fit(model, drawn(model), pkpd.Laplace(max_iterations=0, covariance=None))
    assert fit.verdict["probabilities"].item() == fit.verdict["records"].item()
    free = int(fit.verdict["free"].item())
    assert fit.attrs["aic"] == pytest.approx(fit.ofv + 2 * free, abs=1e-9)


def test_levels_that_depend_on_nothing_have_their_shares():
    """Without random effects and covariates the cuts are the log odds of the shares."""
    model = pkpd.Model("""
    [parameters]
    zero = { typical = 0, transform = "none", fixed = true }
    [dynamics]
    equations = "y = zero"
    [outputs]
    y = { categories = { levels = [1, 2, 3], cuts = [-1, 1] } }
    """)
    levels = np.repeat([1.0, 2.0, 3.0], [17, 40, 23])
    data = pkpd.read_data(pd.DataFrame({"ID": np.arange(80) // 4, "TIME": np.arange(80) % 4, "DV": levels}))
    count = np.array([17, 40, 23])
    best = -2 * (count * np.log(count / 80)).sum()
    for estimator in (pkpd.Laplace(tolerance=1e-10), pkpd.FOCE(), pkpd.Quadrature(nodes=3)):
        fit = pkpd.fit(model, data, estimator)
        value = fit.estimates["value"]
        share = np.cumsum([17, 40]) / 80
        cut, gap = float(value.sel(parameter="y.cut1")), float(value.sel(parameter="y.gap2"))
        np.testing.assert_allclose([cut, cut + gap], special.logit(share), atol=2e-3)
        assert fit.ofv == pytest.approx(best, abs=1e-5)
    with pytest.raises(CannotFit, match=r"(?s)SAEM\(\).*no parameter differs.*use Laplace"):
        pkpd.fit(model, data, pkpd.SAEM(seed=1))


@pytest.mark.parametrize("estimator", [pkpd.FO(), pkpd.FOCE(interaction=False), pkpd.Pooled(), pkpd.Individual(),
                                       pkpd.TwoStage()], ids=lambda e: type(e).__name__)  # fmt: skip
def test_refused_by_name(estimator):
    model = model_of(KINDS["score"])
    with pytest.raises(CannotFit, match="scores, categories, counts, events or an own likelihood"):
        pkpd.fit(model, drawn(model), estimator)


def table(dv: list[float], **columns: list[float]) -> pd.DataFrame:
    """Six records of two people."""
    return pd.DataFrame({"ID": [1, 1, 1, 2, 2, 2], "TIME": [0, 1, 2, 0, 1, 2], "DV": dv, **columns})


@pytest.mark.parametrize(
    ("kind", "dv", "said"),
    [
        ("score = { lower = 0, upper = 100 }", [50, 101, 3, 4, 5, 6],
         "row 1, ID 1, time 1: DV is 101, which is no value of score y.*0 to 100 in steps of 1"),
        ("score = { lower = 0, upper = 100, step = 5 }", [50, 52, 35, 40, 5, 60], "DV is 52"),
        ("score = { lower = 0, upper = 100 }", [100] * 6, "all 6 observations of y are 100, the ceiling"),
        ("categories = { levels = [0, 1, 3], cuts = [-1, 1] }", [0, 1, 2, 3, 1, 0], "DV is 2.*One of 0, 1, 3"),
        ("binary = true", [0, 1, 0.5, 1, 1, 0], "DV is 0.5"),
        ("count = true", [0, 1, -1, 2.5, 1, 0], "2 things are wrong"),
        ("count = true", [0] * 6, "all 6 observations of y are 0"),
    ],
)  # fmt: skip
def test_records_that_are_no_such_values(kind: str, dv: list[float], said: str):
    model = pkpd.Model(f"""
    [parameters]
    base = {{ typical = 0.5, transform = "none", iiv = 0.1 }}
    [dynamics]
    equations = "y = base"
    [outputs]
    y = {{ {kind} }}
    """)
    with pytest.raises((MismatchError, CannotFit), match=f"(?s){said}"):
        pkpd.fit(model, pkpd.read_data(table([float(v) for v in dv])), pkpd.Laplace())


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"N": [1, 1, 2, 1, 1, 1]}, r"mean of several people \(N\)"), ({"SE": [1, 1, 1, 1, 1, 1]}, "its own SD or SE"),
     ({"CENS": [0, 0, 1, 0, 0, 0]}, r"censored \(CENS\)")],
)  # fmt: skip
def test_columns_that_no_score_can_have(columns: dict, said: str):
    model = model_of(KINDS["score"])
    with pytest.raises(MismatchError, match=said):
        pkpd.fit(model, pkpd.read_data(table([50.0, 51.0, 3.0, 4.0, 5.0, 6.0], **columns)), pkpd.Laplace())


@pytest.mark.parametrize("unseen", [1, 3])
def test_levels_that_nobody_has(unseen: int):
    """The cut beside one has no estimate; it can be held."""
    model = model_of(KINDS["levels"])
    dv = [level for level in (0, 1, 2, 3) if level != unseen] * 4
    data = pkpd.read_data({"ID": np.repeat(np.arange(4), 3), "TIME": [0, 1, 2] * 4, "DV": dv})
    with pytest.raises(CannotFit, match=f"nobody has the level {unseen} of y"):
        pkpd.fit(model, data, pkpd.Laplace())
    held = pkpd.fit(model, data, pkpd.Laplace(), fixed=["y.cut1", "y.gap2", "y.gap3"])
    assert np.isfinite(held.ofv)


def test_modes_on_an_edge_are_left_soon():
    """Where an observation is most probable at a kink of its prediction, no step leads on."""
    model = pkpd.Model("""
    [parameters]
    e = { typical = 0, transform = "none", iiv = 1 }
    [dynamics]
    equations = "y = max(e - 0.3, 0.3 - e) * 10 + max(e, 0) * 0.1"
    [outputs]
    y = { add = 1 }
    """)
    data = pkpd.read_data({"ID": [1, 1, 2, 2], "TIME": [0, 1, 0, 1], "DV": [-9, -10, -12, -8]})
    problem = make_problem(model, data)
    population = population_of(problem, censoring="M3", threads=1, where="test")
    found = find_modes(population, np.zeros(2), np.eye(1), np.zeros((2, 1)))
    np.testing.assert_allclose(found.b[:, 0], 0.3, atol=1e-5)
    assert not found.settled.any() and found.iterations < 75


def test_simulations_stay_within_the_range():
    model = model_of(KINDS["score"]).set({"iiv.base": 9.0})
    seen = pkpd.simulate(model, drawn(model))["PRED"].values
    assert seen.min() > 0 and seen.max() < 100
    assert seen[0] == pytest.approx(50.0)  # as likely above as below the middle


def test_a_written_model_reads_the_same():
    for kind in (*KINDS.values(), "score = { lower = -3, upper = 3, step = 0.5 }"):
        model = model_of(kind)
        assert pkpd.Model(write(model)) == model


def test_values_are_set_by_name():
    model = model_of(KINDS["levels"]).set({"y.cut1": -2.0, "y.gap2": 3.0})
    assert model.outputs["y"].residual_values == pytest.approx({"y.cut1": -2.0, "y.gap2": 3.0, "y.gap3": 1.1})
    model = model_of(KINDS["integer"]).set({"y.sd": 0.7, "y.floor": 0.2})
    assert model.outputs["y"].residual_values == {"y.sd": 0.7, "y.floor": 0.2}
