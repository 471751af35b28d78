"""The peer is right and is LSODA, and the pieces of the benchmark run; nothing here is timed."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.benchmarks import run, scan
from tests.benchmarks.figure import draw, front
from tests.benchmarks.lsoda import ADAMS, BDF, EL, TEST
from tests.benchmarks.models import BENCHES
from tests.benchmarks.peer import Plan
from tests.benchmarks.plain import objective
from tests.benchmarks.populations import CASES, plainly, posed
from tests.benchmarks.source import write_equations
from tests.benchmarks.stage import Row, Setting, Stage, true_error

PARAMETERS = ("ka", "cl", "v1", "q", "v2")


@cache
def nine() -> Stage:
    return Stage(BENCHES["nine"], 8)


def oral_by_hand(values, times, doses):
    """Concentrations as sums of exponentials, one for each dose."""
    ka, cl, v1, q, v2 = values
    k10, k12, k21 = cl / v1, q / v1, q / v2
    total = k10 + k12 + k21
    gap = np.sqrt(total**2 - 4 * k21 * k10)
    alpha, beta = (total + gap) / 2, (total - gap) / 2
    found = np.zeros_like(times)
    for at, amount, _ in doses:
        t = np.maximum(times - at, 0.0)
        found += (
            (amount * ka / v1)
            * (
                (k21 - alpha) / ((ka - alpha) * (beta - alpha)) * np.exp(-alpha * t)
                + (k21 - beta) / ((ka - beta) * (alpha - beta)) * np.exp(-beta * t)
                + (k21 - ka) / ((alpha - ka) * (beta - ka)) * np.exp(-ka * t)
            )
            * (times > at)
        )
    return found


def test_coefficients_are_those_of_the_books():
    assert_allclose(EL[ADAMS, 3, :4], [5 / 12, 1, 3 / 4, 1 / 6])
    assert_allclose(EL[BDF, 2, :3], [2 / 3, 1, 1 / 3])
    assert_allclose(EL[BDF, 5, :6], np.array([120, 274, 225, 85, 15, 1]) / 274)
    assert_allclose(TEST[ADAMS, 2, :], [1, 12, 24])


def test_plan_splits_time_at_every_change():
    plan = Plan.of([(0, 10.0, 2.0), (1, 10.0, 2.0), (5, 3.0, 0.0)], np.array([1.0, 4.0, 6.0]))
    assert plan.begin.tolist() == [0, 1, 2, 3, 5]
    assert plan.finish.tolist() == [1, 2, 3, 5, 6]
    assert plan.rate.tolist() == [5, 10, 5, 0, 0]
    assert plan.bolus.tolist() == [0, 0, 0, 0, 3]
    assert list(zip(plan.first, plan.last)) == [(0, 1), (1, 1), (1, 1), (1, 2), (2, 3)]


def odeint_counts(bench, equations, values):
    """Outputs (times, outputs) and steps, calls and Jacobians of SciPy's LSODA, restarted at every event."""
    from scipy.integrate import odeint

    plan = bench.plan
    p, y = np.zeros(equations.coefficients), np.zeros(equations.states)
    equations.prepare(values, p)
    equations.start(p, y)

    def rhs(y, t):
        dy = np.empty(equations.states)
        equations.rhs(t, y, dy, p)
        return dy

    counts, rows = np.zeros(3), []
    for k in range(len(plan.begin)):
        p[0] = plan.rate[k]
        inside = plan.times[plan.first[k] : plan.last[k]]
        stops = np.unique([plan.begin[k], *inside, plan.finish[k]])
        path, said = odeint(rhs, y, stops, rtol=1e-6, atol=1e-8, full_output=True, mxstep=10_000)
        y = path[-1]
        for t in inside:
            rows.append(np.empty(equations.outputs))
            equations.observe(p, path[np.searchsorted(stops, t)], rows[-1])
        counts += [said[name][-1] for name in ("nst", "nfe", "nje")]
    return np.array(rows), counts


@pytest.mark.parametrize("name", ["nine", "stiff"])
def test_steps_and_calls_are_those_of_odeint(name):
    stage, bench = nine(), BENCHES[name]
    values = stage.values[:4].copy()
    values[:, stage.names.index("ke0")] *= bench.multiply.get("ke0", 1.0)
    found, counts = stage.peer().solve(bench.plan, values, rtol=1e-6, atol=1e-8)
    equations = write_equations(bench.system, stage.names)
    seen, theirs = zip(*(odeint_counts(bench, equations, row) for row in values))
    # Roundoff decides some steps in a thousand, and more of the Jacobians, which are few.
    assert_allclose(counts.sum(axis=0)[:2], np.sum(theirs, axis=0)[:2], rtol=0.02)
    assert_allclose(counts.sum(axis=0)[2], np.sum(theirs, axis=0)[2], rtol=0.15)
    assert true_error(found, np.array(seen)) < 2e-4


def test_error_falls_with_tolerance():
    stage = nine()
    errors = [stage.measure(Setting("lsoda", rtol, rtol / 100)).error for rtol in (1e-5, 1e-7, 1e-9, 1e-11)]
    assert errors[1] < errors[0] / 5
    assert errors[2] < errors[1] / 5
    assert errors[3] < 1e-8


def test_two_compartments_and_their_derivatives_against_the_closed_form():
    from tests.benchmarks.peer import compile_peer

    bench = BENCHES["oral"]
    peer = compile_peer(write_equations(bench.system, PARAMETERS, ("v2",)))
    values = np.array([[1.2, 5.0, 50.0, 8.0, 100.0], [0.4, 9.0, 30.0, 4.0, 60.0]])
    found, counts = peer.solve(bench.plan, values, rtol=1e-10, atol=1e-12)
    assert counts[:, 3].tolist() == [0, 0]
    for s, row in enumerate(values):
        assert_allclose(found[s, :, 0], oral_by_hand(row, bench.times, bench.doses), rtol=1e-7)
        for column, i in ((1, 4),):
            up, down = row.copy(), row.copy()
            up[i] *= 1 + 1e-4
            down[i] *= 1 - 1e-4
            slope = (oral_by_hand(up, bench.times, bench.doses) - oral_by_hand(down, bench.times, bench.doses)) / (
                up[i] - down[i]
            )
            assert_allclose(found[s, :, column], slope, rtol=1e-5, atol=1e-7 * np.abs(slope).max())


def test_sensitivity_equations_that_stay_zero_can_be_left_out():
    bench = BENCHES["sensitivities"]
    lean = write_equations(bench.system, nine().names, ("cln", "kout", "v1"), skip_zeros=True)
    assert lean.states == 9 + 2 + 1 + 9
    assert lean.outputs == 3 + 9


def test_true_error_weighs_small_values_by_the_largest():
    reference = np.array([[[1.0], [1e-6]]])
    assert true_error(reference, reference) == 0
    assert_allclose(true_error(reference + [[[0.0], [1e-6]]], reference), 1e-6 / (1e-6 + 1e-3))
    assert true_error(np.array([[[1.0], [np.nan]]]), reference) == np.inf
    assert true_error(np.zeros((1, 2, 1)), np.zeros((1, 2, 1))) == 0
    assert true_error(np.ones((1, 2, 1)), np.zeros((1, 2, 1))) == np.inf


def test_front_keeps_what_nothing_beats():
    assert front([(1e-3, 1.0), (1e-6, 3.0), (1e-4, 5.0), (1e-5, 2.0)]) == [(1e-6, 3.0), (1e-5, 2.0), (1e-3, 1.0)]


def test_results_that_are_kept_are_of_the_kind_that_is_written():
    kept = json.loads(run.RESULTS.read_text(encoding="utf-8"))
    assert set(kept["cases"]) == {*BENCHES, *run.OTHERS}
    assert kept["targets"] == run.verdicts(kept["cases"])


def test_fastest_looks_at_errors_first():
    quick, good = Row(Setting("auto", 1e-3), 1.0, 1e-4, 0, ""), Row(Setting("auto", 1e-6), 2.0, 1e-7, 0, "")
    assert scan.fastest([quick, good], ["auto"]) is good
    assert scan.fastest([quick], ["auto"]) is None


def test_the_peer_of_population_fits_has_the_published_objective():
    """Theophylline by FOCE-I: 116.8034 (NONMEM 116.803, nlmixr2 116.80378) at the printed estimates."""
    at = np.array([0.4639, 1.0122, 3.4598, *np.log([0.4024, 0.0691, 0.0192, 0.6944])])
    _, data, _ = posed(CASES["theophylline"])
    people = plainly(data)
    assert objective(at, people, [np.zeros(3) for _ in people]) == pytest.approx(116.8034, abs=5e-4)


def test_cases_of_population_fits_have_the_sizes_that_are_said():
    sizes = {name: (len(data), int((data.columns["EVID"] == 0).sum())) for name in ("eighty", "effect", "thousand")
             for data in [posed(CASES[name])[1]]}  # fmt: skip
    assert sizes == {"eighty": (80, 1520), "effect": (32, 512), "thousand": (1000, 10_000)}


def test_the_pieces_run_on_eight_subjects(monkeypatch, tmp_path):
    monkeypatch.setattr(scan, "_OURS", (1e-6, 1e-8))
    monkeypatch.setattr(scan, "_PEER", (1e-6, 1e-9))
    said = []
    found = scan.work_precision(nine(), repeats=1, say=said.append)
    json.dumps(found)
    assert found["agreement"] < 1e-8
    assert all(row["failures"] == 0 for row in found["rows"])
    assert set(found["ratio"]) == {"general", "any"}
    assert any("x LSODA" in line for line in said)
    draw({"cases": {"nine": found}}, tmp_path / "figure.svg")
    assert "LSODA" in (tmp_path / "figure.svg").read_text(encoding="utf-8")
    verdicts = run.verdicts({"nine": found})
    assert verdicts[0]["measured"] == found["ratio"]["general"]
    assert verdicts[-1]["met"] is None
