"""Randomisation tests held to permutation tests that know nothing of data sets; what moves, and what is refused."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import permutation_test

import pkpd
from pkpd.data.exchange import Exchange
from pkpd.errors import CannotFit, DataError, FitFileError, UsageError
from pkpd.estimation import FOCE
from pkpd.estimation.assignments import count, drawn, every
from pkpd.model import Model

TIMES = (0.0, 1.0, 3.0)
SIZES = {"AB": 4, "BA": 6}


def crossover(seed: int, effect: float = 1.5, sizes: dict[str, int] = SIZES, **change) -> dict[str, list]:
    """Two periods a week apart: the drug at hour 0.5 of its period, nothing in the other; three scores a period."""
    rng = np.random.default_rng(seed)
    names = ("ID", "TIME", "EVID", "AMT", "DV", "SEQUENCE", "PERIOD", "ARM", "WT")
    table: dict[str, list] = {name: [] for name in names}
    for k, sequence in enumerate(s for s, size in sizes.items() for _ in range(size)):
        level, weight = rng.normal(20, 3), 60 + 2 * k
        for period in (1, 2):
            arm = "drug" if sequence[period - 1] == "A" else "none"
            start = 168.0 * (period - 1) + 0.1 * k  # everybody's own clock
            rows = [
                (start + t, 0, ".", round(level + rng.normal() - effect * (arm == "drug") * (t > 0.5), 3))
                for t in TIMES
            ]
            if arm == "drug":
                rows.insert(1, (start + 0.5, 1, 2.0 * weight, "."))
            for time, evid, amount, value in rows:
                for name, cell in zip(
                    names, (k + 1, time, evid, amount, value, sequence, period, arm, weight), strict=True
                ):
                    table[name].append(cell)
    return {name: change.get(name, column) for name, column in table.items()}


def contrast(data: pkpd.Dataset) -> float:
    """Difference between the sequences in how much lower scores are in the first period."""
    c = data.columns
    seen = c["EVID"] == 0
    found = {"AB": [], "BA": []}
    for name in data.ids:
        own = seen & (c["ID"] == name)
        first, second = (c["DV"][own & (c["PERIOD"] == period)].mean() for period in (1, 2))
        found[str(c["SEQUENCE"][own][0])].append(second - first)
    return float(np.mean(found["AB"]) - np.mean(found["BA"]))


def by_person(data: pkpd.Dataset) -> tuple[np.ndarray, np.ndarray]:
    c, seen = data.columns, data.columns["EVID"] == 0
    change = [
        np.subtract(*(c["DV"][seen & (c["ID"] == name) & (c["PERIOD"] == period)].mean() for period in (2, 1)))
        for name in data.ids
    ]
    return np.array(change), np.array([str(c["SEQUENCE"][c["ID"] == name][0]) for name in data.ids])


@pytest.fixture(scope="module")
def data() -> pkpd.Dataset:
    return pkpd.read_data(crossover(1))


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_all_assignments_are_those_of_scipy(data, alternative):
    change, sequence = by_person(data)
    scipys = permutation_test(
        (change[sequence == "AB"], change[sequence == "BA"]), lambda a, b: np.mean(a) - np.mean(b),
        permutation_type="independent", n_resamples=np.inf, alternative=alternative, vectorized=False,
    )  # fmt: skip
    found = pkpd.randomise(data, statistic=contrast, alternative=alternative)
    assert found.exact and found.possible == 210 == found.assignments.sizes["assignment"]
    assert found.observed == pytest.approx(scipys.statistic)
    assert found.p == pytest.approx(scipys.pvalue, abs=1e-12) and found.p_error == 0.0
    np.testing.assert_allclose(np.sort(found.assignments["statistic"]), np.sort(scipys.null_distribution), atol=1e-12)
    assert "all 210 assignments" in str(found)


def test_labels_of_treatments_move_with_the_sequence(data):
    def drug(own: pkpd.Dataset) -> float:
        c, seen = own.columns, own.columns["EVID"] == 0
        return float(c["DV"][seen & (c["ARM"] == "drug")].mean() - c["DV"][seen & (c["ARM"] == "none")].mean())

    found = pkpd.randomise(data, statistic=drug)
    change, sequence = by_person(data)
    # Second less first period; the drug comes first in AB: its effect is minus that, and its mean is over people.
    exact = []
    for chosen in combinations(range(10), 4):
        sign = np.where(np.isin(np.arange(10), chosen), -1.0, 1.0)
        exact.append((sign * change).mean())
    np.testing.assert_allclose(np.sort(found.assignments["statistic"]), np.sort(exact), atol=1e-12)
    own = (np.where(sequence == "AB", -1.0, 1.0) * change).mean()
    assert found.observed == pytest.approx(own)
    greater, less = np.mean(np.array(exact) >= own - 1e-12), np.mean(np.array(exact) <= own + 1e-12)
    assert found.p == pytest.approx(min(1.0, 2 * min(greater, less)))


def test_random_assignments_come_close_and_come_again(data):
    exact = pkpd.randomise(data, statistic=contrast).p
    found = pkpd.randomise(data, statistic=contrast, n=150, seed=3)
    assert not found.exact and found.assignments.sizes["assignment"] == 151
    assert abs(found.p - exact) < 4 * max(found.p_error, 1 / 151)
    few = pkpd.randomise(data, statistic=contrast, n=20, seed=3)
    np.testing.assert_array_equal(few.assignments["assigned"], found.assignments["assigned"][:21])
    turned = data[list(data.ids)]
    order = [k for name in reversed(data.ids) for k in np.flatnonzero(data.columns["ID"] == name)]
    turned = data._rows(np.array(order))
    other = pkpd.randomise(turned, statistic=contrast, n=20, seed=3)
    np.testing.assert_allclose(other.assignments["statistic"], few.assignments["statistic"], rtol=1e-12)
    with pytest.raises(UsageError, match="seed"):
        pkpd.randomise(data, statistic=contrast, n=100)


def test_p_is_uniform_where_there_is_no_effect():
    p = [pkpd.randomise(pkpd.read_data(crossover(100 + k, effect=0.0, sizes={"AB": 3, "BA": 3})), statistic=contrast,
                        alternative="greater").p for k in range(60)]  # fmt: skip
    # Of 20 assignments p is 1/20, 2/20, ...: its mean is 10.5/20, its variance (20^2 - 1) / 12 / 20^2.
    assert np.mean(p) == pytest.approx(0.525, abs=4 * (399 / 12 / 400 / 60) ** 0.5)
    assert all(abs(20 * one - round(20 * one)) < 1e-9 for one in p)


def test_assignments_are_counted_and_drawn():
    labels = np.array(list("aabbbc"))
    found = {"".join(one) for one in every(labels, labels)}
    assert len(found) == count(labels) - 1 == 59 and "aabbbc" not in found
    assert {"".join(sorted(one)) for one in found} == {"aabbbc"}
    many = np.array(list(drawn([str(k) for k in range(6)], labels, 3000, 1)))
    share = (many == "c").mean(axis=0)
    np.testing.assert_allclose(share, 1 / 6, atol=4 * (5 / 36 / 3000) ** 0.5)


def test_doses_keep_their_distance_and_scores_stay(data):
    exchange = Exchange.of(data, per="WT")
    assert not exchange.notes
    assignment = exchange.assignment
    assert exchange.given(assignment) is data
    moved = exchange.given(assignment | {"1": "BA", "5": "AB"})
    for name, period, k in (("1", 2, 0), ("5", 1, 4)):
        c = moved[name].columns
        dose = c["EVID"] == 1
        assert c["TIME"][dose].tolist() == pytest.approx([168.0 * (period - 1) + 0.1 * k + 0.5])
        assert c["AMT"][dose].tolist() == pytest.approx([2.0 * (60 + 2 * k)])
        assert set(c["ARM"][c["PERIOD"] == period]) == {"drug"} and set(c["ARM"][c["PERIOD"] != period]) == {"none"}
        assert (c["EVID"] == 2).sum() == 1 and np.isnan(c["AMT"][c["EVID"] == 2]).all()
        assert np.all(np.diff(c["TIME"]) >= 0)
        before, seen = data[name].columns, data[name].columns["EVID"] == 0
        for column in ("TIME", "DV", "PERIOD"):
            np.testing.assert_array_equal(c[column][c["EVID"] == 0], before[column][seen])
        np.testing.assert_array_equal(moved[name].events().covariate_values[c["EVID"] == 0],
                                      data[name].events().covariate_values[seen])  # fmt: skip
    assert moved["1"].columns["SEQUENCE"].tolist() == ["BA"] * 8
    for name in ("2", "3", "4", "6", "7", "8", "9", "10"):
        assert moved[name].digest == data[name].digest


def test_there_and_back_is_the_same(data):
    there = Exchange.of(data, per="WT").given(dict(zip(data.ids, ["BA"] * 6 + ["AB"] * 4, strict=True)))
    back = Exchange.of(there, per="WT").given(dict(zip(data.ids, ["AB"] * 4 + ["BA"] * 6, strict=True)))
    for name in data.ids:
        now, was = ({k: v[np.isin(one[name].columns["EVID"], (0, 1))] for k, v in one[name].columns.items()}
                    for one in (back, data))  # fmt: skip
        for column in ("TIME", "AMT", "DV", "EVID", "PERIOD", "SEQUENCE", "ARM"):
            if now[column].dtype.kind == "f":
                np.testing.assert_allclose(now[column], was[column], rtol=1e-12)
            else:
                assert now[column].tolist() == was[column].tolist()


def test_periods_that_start_the_clock_again():
    table = crossover(1)
    for k, (name, period) in enumerate(zip(table["ID"], table["PERIOD"], strict=True)):
        start = 168.0 * (period - 1) + 0.1 * (name - 1)
        table["TIME"][k] = round(table["TIME"][k] - start, 6)
        if k and table["PERIOD"][k - 1] == 1 and period == 2:
            table["EVID"][k] = 3
            table["DV"][k] = "."
    data = pkpd.read_data(table)
    moved = Exchange.of(data, per="WT").given(Exchange.of(data).assignment | {"1": "BA", "5": "AB"})
    own = moved["1"].columns
    second = own["PERIOD"] == 2
    begin = own["TIME"][second][0]
    assert own["EVID"][second].tolist() == [3, 1, 0, 0] and own["TIME"][second][1] == pytest.approx(begin + 0.5)


def test_doses_that_differ_are_told(data):
    assert "differ within SEQUENCE AB, BA" in Exchange.of(data).notes[0]
    given = Exchange.of(data).given({**Exchange.of(data).assignment, "1": "BA", "5": "AB"})
    again = Exchange.of(data).given({**Exchange.of(data).assignment, "1": "BA", "2": "BA", "5": "AB", "6": "AB"})
    np.testing.assert_array_equal(given["1"].columns["AMT"], again["1"].columns["AMT"])  # whoever else moves


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"SEQUENCE": ["AB"] * 64}, "everybody has SEQUENCE AB"),
        ({"SEQUENCE": ["BA"] + ["AB"] * 63}, "A person is in one sequence"),
        ({"SEQUENCE": ["AB"] * 7 + ["BA"] * 63}, "only one person has SEQUENCE AB"),
        ({"SEQUENCE": ["."] * 70}, "not given"),
        ({"PERIOD": ["."] * 70}, "nothing says in which period"),
    ],
)
def test_what_cannot_be_exchanged(change, said):
    table = crossover(1)
    if "SEQUENCE" in change:  # else reading says that sequence and period do not give the arm
        change = change | {"ARM": ["."]}
    change = {name: (cells * 70)[: len(table["ID"])] for name, cells in change.items()}
    with pytest.raises(DataError, match=said):
        pkpd.randomise(pkpd.read_data(table | change), statistic=contrast)


def test_bad_questions(data):
    with pytest.raises(DataError, match="no column `SEQENCE`"):
        pkpd.randomise(data, column="SEQENCE", statistic=contrast)
    with pytest.raises(DataError, match="ARM is drug and none"):
        pkpd.randomise(data, column="ARM", statistic=contrast)
    for wrong in ({"n": 0}, {"n": 2.5}, {"alternative": "both"}, {"max_iterations": 0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            pkpd.randomise(data, statistic=contrast, **wrong)
    with pytest.raises(UsageError, match="no fit"):
        pkpd.randomise(data)
    with pytest.raises(CannotFit, match="'high', and no number"):
        pkpd.randomise(data, statistic=lambda own: "high")
    with pytest.raises(CannotFit, match="under all 210 assignments"):
        pkpd.randomise(data, statistic=lambda own: float(np.nansum(own.columns["DV"])))


def test_what_failed_counts_as_extreme(data):
    calls = iter(range(10_000))

    def sometimes(own: pkpd.Dataset) -> float:
        return np.nan if next(calls) in (3, 4) else contrast(own)

    found = pkpd.randomise(data, statistic=sometimes, alternative="greater")
    exact = pkpd.randomise(data, statistic=contrast, alternative="greater")
    lost = np.isnan(found.assignments["statistic"].values)
    more = (lost & (exact.assignments["statistic"].values < exact.observed - 1e-9)).sum()
    assert lost.sum() == 2 and found.p == pytest.approx(exact.p + more / 210)
    assert "2 of 210 assignments had no statistic" in str(found)


EFFECT = """
name = "drug_effect"
[parameters]
base = { typical = 20, transform = "none", iiv = 9.0 }
emax = { typical = -1.0, transform = "none" }
k = { typical = 0.1, unit = "1/h", fixed = true }
full = { typical = 150, unit = "mg", fixed = true }
[routes]
oral = { into = "amount" }
[dynamics]
equations = '''
score = base + emax * amount / full
d/dt(amount) = -k * amount
'''
[outputs]
score = { add = 1.0 }
"""


@pytest.mark.parametrize("statistic", ["emax", "objective"])
def test_refits(statistic, tmp_path):
    data = pkpd.read_data(crossover(4, sizes={"AB": 2, "BA": 2}), units={"TIME": "h", "AMT": "mg"})
    fit = pkpd.fit(Model(EFFECT), data, FOCE())
    found = pkpd.randomise(fit, data, statistic=statistic, per="WT", checkpoint=tmp_path / "work.npz")
    assert found.exact and found.possible == 6 and (found.assignments["status"] == "converged").all()
    exchange = Exchange.of(data, per="WT")
    for k in (0, 3):
        given = dict(zip(found.assignments["subject"].values, found.assignments["assigned"].values[k], strict=True))
        own = pkpd.fit(Model(EFFECT), exchange.given(given), FOCE())
        value = -own.ofv if statistic == "objective" else float(own.estimates["value"].sel(parameter="emax"))
        assert float(found.assignments["statistic"][k]) == pytest.approx(value, abs=2e-3)
    again = pkpd.randomise(fit, data, statistic=statistic, per="WT", checkpoint=tmp_path / "work.npz")
    assert again.assignments.identical(found.assignments)
    with pytest.raises(FitFileError):
        pkpd.randomise(fit, data, statistic=statistic, checkpoint=tmp_path / "work.npz")
    if statistic == "objective":
        small = pkpd.fit(Model(EFFECT), data, FOCE(), start={"emax": 0.0}, fixed=["emax"])
        held = pkpd.randomise(fit, data, against=small, per="WT")
        assert held.p == found.p and held.observed == pytest.approx(small.ofv - fit.ofv, abs=1e-4)
        assert (held.assignments["statistic"] > -1e-3).all()
    else:
        with pytest.raises(CannotFit, match="was not estimated"):
            pkpd.randomise(fit, data, statistic="emaxx")
