"""Expected information: against matrices made by hand, against simulation, and what cannot be."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

import pkpd
from pkpd.errors import CannotFit, DataError, PkpdWarning, UsageError
from pkpd.model import Model

TEXT = """
title = "two boluses"
[units]
time = "h"
amount = "mg"
[covariates]
WT = { unit = "kg", reference = 70 }
[parameters]
cl = { typical = 2, unit = "L/h", iov = 0.04, shift = "slope * log(WT / 70)" }
v = { typical = 20, unit = "L" }
base = { typical = 4, unit = "mg/L", transform = "none", iiv = 0.5 }
slope = { typical = 0.75, transform = "none" }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
effect = base + 0.5 * cp
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", log = 0.15 }
effect = { unit = "mg/L", add = 0.4 }
[[omega]]
parameters = ["cl", "v"]
covariance = [[0.09], [0.03, 0.05]]
"""
DOSES = "100 mg iv every 24 h x 2"
TIMES = {"cp": [1.0, 8.0, 25.0, 40.0], "effect": [4.0, 30.0]}
#: Two groups by weight; occasions by day.
ARMS = {
    "light": pkpd.Arm(DOSES, TIMES, n=9, covariates={"WT": 45}, occasions=[0, 24]),
    "heavy": pkpd.Arm(DOSES, TIMES, n=5, covariates={"WT": 95}, occasions=[0, 24]),
}
NAMES = ("cl", "v", "base", "slope", "cp.log", "effect.add", "iiv.cl", "iiv.v,cl", "iiv.v", "iiv.base", "iov.cl")
START = np.array([2, 20, 4, 0.75, 0.15, 0.4, 0.09, 0.03, 0.05, 0.5, 0.04])


@lru_cache
def model() -> Model:
    return Model(TEXT)


def predicted(typical: np.ndarray, b: np.ndarray, weight: float) -> np.ndarray:
    """Means of the six records by formula: cl of the interval up to a row is that of the row's occasion."""
    cl, v, base, slope = typical
    cl = cl * np.exp(slope * np.log(weight / 70) + b[0] + b[3:5])
    v, base = v * np.exp(b[1]), base + b[2]

    def at(t: float) -> float:
        if t < 24:
            return 100 / v * np.exp(-cl[0] / v * t)
        # The last row of the first day is at 8 h; the next is the dose at 24 h, of the second day.
        left = np.exp(-cl[0] / v * 8 - cl[1] / v * 16)
        return 100 / v * (left + 1) * np.exp(-cl[1] / v * (t - 24))

    logs = [np.log(at(t)) for t in TIMES["cp"]]
    return np.array([*logs, *(base + 0.5 * at(t) for t in TIMES["effect"])])


def by_hand(q: np.ndarray, weight: float, *, full: bool) -> np.ndarray:
    """The matrix of one person, every derivative by differences of the formula."""

    def slopes(typical: np.ndarray) -> np.ndarray:
        step, zero = 1e-4, np.zeros(5)
        return np.array([
            (predicted(typical, zero + step * e, weight) - predicted(typical, zero - step * e, weight)) / (2 * step)
            for e in np.eye(5)
        ]).T  # fmt: skip

    def law(q: np.ndarray, of_variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        omega = np.zeros((5, 5))
        omega[:2, :2] = [[q[6], q[7]], [q[7], q[8]]]
        omega[2, 2], omega[3, 3], omega[4, 4] = q[9], q[10], q[10]
        g = slopes(of_variance)
        residual = np.repeat([q[4] ** 2, q[5] ** 2], [4, 2])
        return predicted(q[:4], np.zeros(5), weight), g @ omega @ g.T + np.diag(residual)

    means, moved = [], []
    for k, size in enumerate(np.abs(q)):
        up, down = (q + sign * 1e-4 * size * np.eye(len(q))[k] for sign in (1, -1))
        ends = [law(end, end[:4] if full else q[:4]) for end in (up, down)]
        means.append((ends[0][0] - ends[1][0]) / (2e-4 * size))
        moved.append((ends[0][1] - ends[1][1]) / (2e-4 * size))
    inverse = np.linalg.inv(law(q, q[:4])[1])
    twice = [[np.trace(inverse @ a @ inverse @ b) for b in moved] for a in moved]
    return np.array(means) @ inverse @ np.array(means).T + 0.5 * np.array(twice)


@pytest.mark.parametrize("full", [False, True])
def test_occasions_blocks_covariates_and_outputs_by_hand(full: bool):
    known = pkpd.information(model(), ARMS, full=full)
    assert known.names == NAMES
    assert known["value"].values.tolist() == START.tolist()
    want = 9 * by_hand(START, 45, full=full) + 5 * by_hand(START, 95, full=full)
    scale = np.sqrt(np.diagonal(want))
    np.testing.assert_allclose(known["information"] / np.outer(scale, scale), want / np.outer(scale, scale), atol=2e-6)


def test_threads_change_no_bit_and_the_order_of_arms_nothing():
    turned = {name: ARMS[name] for name in ("heavy", "light")}
    for method, options in ((pkpd.FO(), {}), (pkpd.FOCE(), {"draws": 20, "seed": 1}),
                            (pkpd.Laplace(), {"draws": 20, "seed": 1})):  # fmt: skip
        one = pkpd.information(model(), ARMS, replace(method, threads=1), **options)
        two = pkpd.information(model(), turned, replace(method, threads=2), **options)
        np.testing.assert_allclose(one["information"], two["information"], rtol=1e-12, atol=1e-12)
        again = pkpd.information(model(), ARMS, replace(method, threads=2), **options)
        assert again.data.identical(one.data)


@lru_cache
def warfarin(method, draws: int) -> pkpd.Information:
    from tests.truth.test_information_warfarin import COMBINED, TIMES
    from tests.truth.test_information_warfarin import warfarin as model

    return pkpd.information(model(COMBINED), pkpd.Arm("70 mg oral", TIMES, n=32), method, draws=draws, seed=1)


def test_lines_through_people_who_are_drawn_are_near_the_exact_information():
    """Where people differ as much as those of warfarin in ka (variance 0.6), a few percent are left."""
    near, exact = warfarin(pkpd.FOCE(), 1000), warfarin(pkpd.Quadrature(nodes=5), 2000)
    ratio = near["se"].values / exact["se"].values
    allowed = 0.04 + 3 * exact["se_error"].values / exact["se"].values
    assert (np.abs(ratio - 1) < allowed).all()


def test_nobody_tells_more_of_a_typical_value_than_his_own_parameters():
    """n / Omega bounds the information on log ka, n / (2 Omega^2) that on its variance. Full FO does not keep to it."""
    for method in (pkpd.FOCE(), pkpd.Quadrature(nodes=5)):
        known = warfarin(method, 1000 if isinstance(method, pkpd.FOCE) else 2000)
        se = known["se"].sel(parameter=["ka", "iiv.ka"]).values
        error = known["se_error"].sel(parameter=["ka", "iiv.ka"]).values
        assert (se + 3 * error > [np.sqrt(0.6 / 32), 0.6 * np.sqrt(2 / 32)]).all()


def test_scores_have_a_mean_of_zero():
    from pkpd.design.arm import read_arms
    from pkpd.design.scores import draw_scores
    from pkpd.design.study import Study

    study = Study.of(model(), read_arms(model(), ARMS), pkpd.Quadrature(nodes=3), "here")
    scores = draw_scores(study.population, study.quantities, pkpd.Quadrature(nodes=3), draws=400, seed=2)
    z = scores.mean(axis=0) / scores.std(axis=0) * np.sqrt(len(scores))
    assert np.abs(z).max() < 4


def test_a_fit_stands_at_its_estimates():
    data = pkpd.read_data(
        "fits/theophylline_individual/data.csv", units={"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}
    )
    fit = pkpd.fit(pkpd.load("theophylline_boeckmann1994"), data, pkpd.FO(covariance=None))
    arm = pkpd.Arm("320 mg oral", [0.5, 2, 5, 9, 24], n=12)
    one, other = pkpd.information(fit, arm), pkpd.information(fit.model, arm)
    assert one.data.identical(other.data)
    assert one["value"].sel(parameter="cl").item() == pytest.approx(fit.estimates["value"].sel(parameter="cl").item())
    with pytest.raises(UsageError, match="every subject has parameters of its own"):
        pkpd.information(pkpd.fit(pkpd.load("theophylline_boeckmann1994"), data["1"], pkpd.Individual()), arm)


def test_how_many_people():
    known = pkpd.information(model(), ARMS)
    most = float(known["rse"].max())
    assert known.people_for(most) == {"light": 9, "heavy": 5}
    assert known.people_for(most / 2) == {"light": 36, "heavy": 20}
    wanted = known.people_for({"cl": 5})
    arms = {name: replace(arm, n=wanted[name]) for name, arm in ARMS.items()}
    assert float(pkpd.information(model(), arms)["rse"].sel(parameter="cl")) <= 5
    for wrong in (0, {"cx": 3}, {"cl": True}):
        with pytest.raises(UsageError):
            known.people_for(wrong)


def test_what_is_printed_says_how_it_was_made():
    text = str(pkpd.information(model(), ARMS, pkpd.FOCE(), draws=7, seed=5))
    for said in ("14 people", "light: 9", "84 samples", "7 draws, seed 5", "residual SDs as they are", "RSE %", "±"):
        assert said in text
    alone = pkpd.information(model().fix("slope"), replace(ARMS["light"], covariates={}))
    assert "reference: WT = 70" in str(alone)


# ------------------------------------------------------------------------------------------------- what cannot be known
def test_what_is_not_identified_is_named():
    """One sample of the effect each: its error cannot be told from differences in its base."""
    arm = pkpd.Arm(DOSES, {"cp": [1, 8, 25, 40], "effect": [4]}, n=9, occasions=[0, 24])
    known_slope = model().fix("slope")
    with pytest.warns(PkpdWarning, match=r"does not identify effect.add, iiv.base\. .*when these move together"):
        known = pkpd.information(known_slope, arm)
    lost = {name for name, se in zip(known.names, known["se"].values, strict=True) if np.isinf(se)}
    assert lost == {"effect.add", "iiv.base"}
    assert known.data.attrs["rank"] == len(known.names) - 1
    assert known.criterion() < 1e-3 * pkpd.information(known_slope, ARMS["light"]).criterion()
    assert np.isinf(known["rse"].sel(parameter="iiv.base"))
    assert np.isfinite(known["se"].sel(parameter="cl"))
    with pytest.raises(UsageError, match="no number of people tells"):
        known.people_for(20)
    with pytest.warns(PkpdWarning, match="says nothing about slope"):
        pkpd.information(model(), replace(ARMS["light"], covariates={"WT": 70}))


BAD = [
    (pkpd.Arm(DOSES, TIMES, n=0, occasions=[0]), DataError, "n is 0"),
    (pkpd.Arm(DOSES, TIMES, n=2.5, occasions=[0]), DataError, "n is 2.5"),  # pyright: ignore
    (pkpd.Arm(DOSES, {"cp": [-1, 2]}, n=3, occasions=[0]), DataError, "time number 1, -1, is negative"),
    (pkpd.Arm(DOSES, {"cp": [2, 1]}, n=3, occasions=[0]), DataError, "is earlier than the one before"),
    (pkpd.Arm(DOSES, {"cp": []}, n=3, occasions=[0]), DataError, r"the times are \[\]"),
    (pkpd.Arm(DOSES, {"cp": [np.nan]}, n=3, occasions=[0]), DataError, "is no finite number"),
    (pkpd.Arm(DOSES, {}, n=3, occasions=[0]), DataError, "nothing is seen of it"),
    (pkpd.Arm(DOSES, [1, 2], n=3, occasions=[0]), DataError, "times do not say which of 2 outputs"),
    (pkpd.Arm(DOSES, {"efect": [1]}, n=3, occasions=[0]), DataError, "Did you mean `effect`"),
    (pkpd.Arm(DOSES, TIMES, n=3), DataError, "nothing says when one begins"),
    (pkpd.Arm(DOSES, TIMES, n=3, occasions=[1, 24]), DataError, "The first at 0"),
    (pkpd.Arm(DOSES, TIMES, n=3, occasions=[0], covariates={"AGE": 3}), DataError, "is no covariate"),
    (pkpd.Arm(DOSES, TIMES, n=3, occasions=[0], covariates={"WT": [3, 4]}), DataError, "WT has several values"),
    (pkpd.Arm("100 mgg iv", TIMES, n=3, occasions=[0]), DataError, "mgg"),
    (pkpd.Arm(5, TIMES, n=3, occasions=[0]), DataError, "is no regimen"),  # pyright: ignore
    ({}, UsageError, "is no design"),
    ("100 mg iv", UsageError, "is no design"),
]


@pytest.mark.parametrize(("arm", "error", "said"), BAD, ids=[said for *_, said in BAD])
def test_designs_that_are_refused(arm, error, said: str):
    with pytest.raises(error, match=said) as raised:
        pkpd.information(model(), arm)
    for part in raised.value.findings or [raised.value]:
        assert part.where and part.expected and part.remedy


def test_everything_that_is_wrong_is_told_at_once():
    arms = {"a": pkpd.Arm(DOSES, {"cp": [-1]}, n=0, occasions=[0]), "b": pkpd.Arm(DOSES, {"cq": [1]}, n=1)}
    with pytest.raises(DataError) as raised:
        pkpd.information(model(), arms)
    assert len(raised.value.findings) == 4
    assert {"a" in str(one.where) for one in raised.value.findings} == {True}


def test_samples_before_there_is_anything_to_see():
    from tests.truth.test_information_warfarin import COMBINED, PROPORTIONAL
    from tests.truth.test_information_warfarin import warfarin as model

    for law in (PROPORTIONAL, COMBINED):
        with pytest.raises(DataError, match="nothing is there to be seen: cp is 0 whatever") as raised:
            pkpd.information(model(law), pkpd.Arm("70 mg oral at 2 h", [1, 3, 5, 9, 30], n=9))
        assert "arm `all`, time 1" in str(raised.value)


@pytest.mark.parametrize(
    ("method", "options", "error", "said"),
    [
        (pkpd.SAEM(seed=1), {}, CannotFit, "no expected information by SAEM"),
        (pkpd.FO, {}, CannotFit, "no expected information by"),
        (pkpd.FO(covariance="R"), {}, CannotFit, "covariance is 'R', and that is not heard"),
        (pkpd.FOCE(interaction=False), {"seed": 1}, CannotFit, "interaction is False"),
        (pkpd.FOCE(), {}, UsageError, "There is no seed"),
        (pkpd.Laplace(), {}, UsageError, "There is no seed"),
        (pkpd.FOCE(), {"seed": 1, "full": True}, UsageError, "full is True"),
        (pkpd.FOCE(), {"seed": 1, "draws": 1}, UsageError, "draws is 1"),
        (pkpd.FO(), {"seed": 1}, UsageError, "seed is 1, and nothing is drawn"),
        (pkpd.FO(), {"draws": 10}, UsageError, "draws is 10, and nothing is drawn"),
    ],
)
def test_methods_and_options_that_are_refused(method, options, error, said: str):
    with pytest.raises(error, match=said):
        pkpd.information(model(), ARMS, method, **options)


def test_what_is_no_straight_line_is_refused_by_name():
    heavy = model().replace(
        outputs={n: replace(o, t=4.0 if n == "effect" else None) for n, o in model().outputs.items()}
    )
    for method, options in ((pkpd.FO(), {}), (pkpd.FOCE(), {"seed": 1})):
        with pytest.raises(CannotFit, match=r"Student's t \(effect\)"):
            pkpd.information(heavy, ARMS, method, **options)
    known = pkpd.information(heavy, ARMS, pkpd.Laplace(), draws=50, seed=1)
    assert np.isfinite(known["se"]).all()
    noisy = model().replace(outputs={n: replace(o, iiv=0.2 * (n == "effect")) for n, o in model().outputs.items()})
    with pytest.raises(CannotFit, match=r"differ between people \(effect\)"):
        pkpd.information(noisy, ARMS)
    with pytest.raises(CannotFit, match="no parameter differs between people"):
        alone = model().replace(
            parameters={n: replace(p, iiv=0.0, iov=0.0) for n, p in model().parameters.items()}, blocks=()
        )
        pkpd.information(alone, ARMS, pkpd.Laplace(), seed=1)


@pytest.mark.parametrize("method", [pkpd.FO(), pkpd.Laplace()], ids=["FO", "Laplace"])
def test_priors_and_mixtures_are_refused_by_name(method):
    """What a study tells is asked, not what was known before it."""
    options = {"seed": 1} if isinstance(method, pkpd.Laplace) else {}
    own = model().replace(priors={"base": pkpd.Prior(name="base", value=4, sd=0.1)})
    with pytest.raises(CannotFit, match="it cannot honour priors"):
        pkpd.information(own, ARMS, method, **options)
    text = TEXT.replace("effect = base +", "effect = (base if MIXNUM == 1 else 0) +")
    text += "[mixture]\nhigh = { share = 0.5 }\nlow = {}\n"
    with pytest.raises(CannotFit, match="it cannot honour a mixture"):
        pkpd.information(Model(text), ARMS, method, **options)


def test_log_normal_samples_before_the_dose():
    arm = pkpd.Arm("100 mg iv at 2 h", {"cp": [1, 3, 9]}, n=9, occasions=[0])
    with pytest.raises(DataError, match="nothing is there to be seen"):
        pkpd.information(model(), arm)


def test_nothing_estimated():
    own = model().fix(*model().parameters, *model().variance_names)
    own = own.replace(outputs={n: replace(o, fixed_error=True) for n, o in own.outputs.items()})
    with pytest.raises(CannotFit, match="nothing is estimated"):
        pkpd.information(own, ARMS)


def test_what_is_fixed_is_known():
    whole, less = pkpd.information(model(), ARMS), pkpd.information(model().fix("cl", "iiv.base"), ARMS)
    kept = [name for name in NAMES if name not in ("cl", "iiv.base")]
    assert less.names == tuple(kept)
    np.testing.assert_allclose(
        less["information"], whole["information"].sel(parameter=kept, parameter_=kept), rtol=1e-12, atol=1e-12
    )


# --------------------------------------------------------------------------------------------------------- by refitting
@pytest.mark.slow
def test_standard_errors_are_those_of_studies_that_are_drawn_and_fitted():
    """Eighty studies of warfarin, drawn here from the closed form: SDs of the estimates beside expected ones."""
    from tests.truth.test_information_warfarin import PROPORTIONAL, TIMES
    from tests.truth.test_information_warfarin import warfarin as model

    rng, times, people, studies = np.random.default_rng(8), np.array(TIMES), 32, 80
    own, found = model(PROPORTIONAL), []
    ids = np.repeat(np.arange(1, people + 1), times.size)
    for _ in range(studies):
        cl, v, ka = np.array([[0.15], [8], [1]]) * np.exp(
            np.sqrt([[0.07], [0.02], [0.6]]) * rng.standard_normal((3, people))
        )
        cl, v, ka = (one[:, None] for one in (cl, v, ka))
        f = 70 * ka / (v * (ka - cl / v)) * (np.exp(-cl / v * times) - np.exp(-ka * times))
        y = f * (1 + 0.1 * rng.standard_normal(f.shape))
        data = pkpd.read_data({"ID": ids, "TIME": np.tile(times, people), "DV": y.ravel()}, units={"TIME": "h"})
        fit = pkpd.fit(own, data.give("70 mg oral"), pkpd.FOCE(covariance=None))
        assert fit.status == "converged"
        found.append(fit.estimates["value"].values)
    names = fit.estimates["parameter"].values.tolist()
    exact = pkpd.information(own, pkpd.Arm("70 mg oral", TIMES, n=people), pkpd.Quadrature(nodes=5), draws=2000, seed=1)
    ratio = np.std(found, axis=0, ddof=1) / exact["se"].sel(parameter=names).values
    # An SD of eighty is known to 8 %; the estimates themselves are those of 32 people, not of many.
    assert (np.abs(np.log(ratio)) < 0.3).all()
