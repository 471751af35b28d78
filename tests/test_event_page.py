"""The page on events is true: its examples run, its pictures are theirs, and what its text says comes out."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import pkpd

DOCS = Path(__file__).resolve().parent.parent / "docs"
sys.path.insert(0, str(DOCS))

import event_examples  # noqa: E402
import event_figures  # noqa: E402
import event_runs  # noqa: E402
from event_models import CLEARANCE, FED, SWITCH  # noqa: E402

EXAMPLES = event_examples.EXAMPLES
PAGE = (DOCS / "explain" / "events.md").read_text(encoding="utf-8")
K = 0.1  # 1/h, elimination in the common model


def course(name: str, who: str = "1", observe: str = "cp") -> event_runs.Course:
    return event_runs.run(EXAMPLES[name], (observe,))[who]


def at(name: str, time: float, who: str = "1", observe: str = "cp") -> float:
    found = course(name, who, observe)
    (where,) = np.flatnonzero(found.time == time)
    return float(found.values[observe][where])


def seen(name: str, who: str = "1") -> list[float]:
    return [next(iter(values.values())) for _, values in course(name, who).seen]


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_on_the_page_with_its_picture(name: str):
    assert f"<!-- from the code: event_{name.replace('-', '_')} -->" in PAGE
    assert f"](../img/event-{name}.svg)" in PAGE


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if example.sentences])
def test_sentences_say_the_same_as_rows(name: str):
    example = EXAMPLES[name]
    rows = event_runs.run(example)
    for who in example.sentences:
        said = event_runs.run_sentence(example, who)
        for output, values in said.values.items():
            np.testing.assert_allclose(values, rows[who].values[output], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", EXAMPLES)
def test_pictures_are_fresh(name: str, tmp_path: Path):
    """Its words, and the extent of each of its lines; another matplotlib may draw letters and ticks elsewhere."""
    old = (DOCS / "img" / f"event-{name}.svg").read_text(encoding="utf-8")
    if f"Matplotlib v{matplotlib.__version__}," not in old:
        pytest.skip("drawn with another version of matplotlib")
    new = pkpd.plots.save(event_figures.draw(name), tmp_path / "new.svg").read_text(encoding="utf-8")
    assert words_of(new) == words_of(old), f"{name}: run `python docs/event_figures.py`"
    np.testing.assert_allclose(
        extents_of(new), extents_of(old), atol=0.05, err_msg="run `python docs/event_figures.py`"
    )


def words_of(drawing: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing)


def extents_of(drawing: str) -> np.ndarray:
    """Of each path its first and last point, and the smallest and largest of its coordinates; in points."""
    found = []
    for path in re.findall(r'<path d="([^"]*)"', drawing):
        points = np.array(re.findall(r"-?\d+(?:\.\d+)?", path), float).reshape(-1, 2)
        found.append(np.concatenate([points[0], points[-1], points.min(axis=0), points.max(axis=0)]))
    return np.array(found)


COMMON = [name for name, example in EXAMPLES.items() if example.model == event_runs.BASE]


@pytest.mark.parametrize("name", [name for name in COMMON if name not in ("order", "reset", "reset-dose", "occasions")])
def test_what_went_in_is_what_is_drawn(name: str):
    """The balance of mass: what is there and what was eliminated against triangles and bars."""
    example = EXAMPLES[name]
    for who, found in event_runs.run(example, ("depot", "central")).items():
        time, central = found.time, found.values["central"]
        total = found.values["depot"] + central
        # between two times the loss is the integral, here by the trapezoid; jumps of boluses leave a small error
        lost = np.concatenate([[0], np.cumsum(K * (central[1:] + central[:-1]) / 2 * np.diff(time))])
        drawn = np.zeros(len(time))
        for mark in (m for m in example.marks if m.who == who):
            if mark.end is None:
                drawn += mark.amount * (time >= mark.time)
            else:
                drawn += mark.amount * np.clip(time - mark.time, 0, mark.end - mark.time)
        went_in = total + lost
        error = went_in - went_in[0] - (drawn - drawn[0])
        if name == "steady-on-top":  # a steady state brings more than its dose, or takes away
            error = error[time < 12]
        assert np.abs(error).max() < 0.006 * max(m.amount for m in example.marks) * len(example.marks), who


def test_order():
    infusion = 5 / K * (1 - np.exp(-12 * K))
    assert seen("order") == pytest.approx([(60 * np.exp(-12 * K) + infusion + 60) / 20, 4.0], rel=1e-9)


def test_the_half_life_that_the_page_names():
    assert np.log(at("bolus", 0) / at("bolus", 10)) * 6.9 / 10 == pytest.approx(np.log(2), rel=0.01)


def test_bioavailability_keeps_what_the_record_gives():
    assert at("bioavailability", 5) == pytest.approx(10 / 2 * (1 - np.exp(-5 * K)), rel=1e-9)
    assert at("bioavailability", 10, "2") == pytest.approx(5 / 2 * (1 - np.exp(-10 * K)), rel=1e-9)


def test_a_late_dose_is_seen_by_every_row_of_its_time():
    for kinds in ([1, 0, 2], [1, 2, 0]):
        rows = {"ID": 1, "TIME": [0, 6, 6], "EVID": kinds, "AMT": [100, 0, 0], "CMT": 3}
        assert predicted(rows) == pytest.approx([5.0])


def test_where_the_rate_is_missing_the_route_says_it():
    rows = {"ID": 1, "TIME": [0, 10], "EVID": [1, 0], "AMT": [100, 0], "CMT": 7}
    assert predicted(rows) == pytest.approx([5 * (1 - np.exp(-1))])
    with pytest.warns(pkpd.PkpdWarning, match="RATE 0, a bolus"):
        assert predicted(rows | {"RATE": [0, 0]}) == pytest.approx([5 * np.exp(-1)])
    with pytest.raises(pkpd.MismatchError, match="RATE is -2"):
        predicted(rows | {"RATE": [-2, 0], "CMT": 1})


def test_without_a_lag_a_dose_stays_at_the_place_of_its_row():
    rows = {"ID": 1, "TIME": [0, 6, 6], "EVID": [2, 0, 1], "AMT": [0, 0, 100], "CMT": 3}
    assert predicted(rows, tlag=0.0) == [0.0]


def predicted(rows: dict, model: str = event_runs.BASE, **values: float) -> list[float]:
    from pkpd.engine import bind, compile_model, predict

    parsed = pkpd.Model(model)
    program = compile_model(parsed)
    answer = predict(
        program,
        bind(program, pkpd.read_data(rows).events()),
        [values.get(name, p.typical) for name, p in parsed.parameters.items()],
    )
    answer.raise_failures()
    return answer.f.tolist()


def test_doses_at_one_time_add():
    alone = [at("bolus", 10) / 2, 10 / 2 * (1 - np.exp(-8 * K)) * np.exp(-2 * K), at("bolus", 10, "2")]
    assert at("together", 10) == pytest.approx(sum(alone), rel=1e-9)
    assert at("together", 10, "2") == pytest.approx(alone[2], rel=1e-9)


def test_steady_state():
    factor = 1 / (1 - np.exp(-12 * K))
    assert [at("steady", t) for t in (0, 12, 60)] == pytest.approx([5 * factor] * 3, rel=1e-9)
    left = 7.5 * np.exp(-12 * K)
    assert at("steady-on-top", 12) == pytest.approx(left + 3 * factor, rel=1e-9)
    assert at("steady-on-top", 12, "2") == pytest.approx(3 * factor, rel=1e-9)
    assert at("endless", 0) == pytest.approx(5.0, rel=1e-9)


def test_a_train_holds_the_covariates_and_comparisons_of_its_record():
    train = {"ID": 1, "EVID": [1, 0, 0], "AMT": [100, 0, 0], "II": [24, 0, 0], "SS": [1, 0, 0]}
    slow = predicted(train | {"TIME": [20, 20, 21]}, SWITCH)
    assert slow[0] == pytest.approx(5 / (1 - np.exp(-24 * 0.02)), rel=1e-7)
    for weight in (100, 40):
        found = predicted(train | {"TIME": [0, 0, 9], "CRCL": [weight, weight, 10]}, CLEARANCE)
        assert found[0] == pytest.approx(5 / (1 - np.exp(-24 * 0.2 * weight / 100)), rel=1e-7)


def test_overlapping_infusions_repeat_and_go_on():
    assert at("overlap", 0) == pytest.approx(at("overlap", 12), rel=1e-9) == pytest.approx(at("overlap", 24), rel=1e-9)
    constant = {"ID": 1, "TIME": [0, 0, 5], "EVID": [1, 0, 0], "AMT": [120, 0, 0], "RATE": [10, 0, 0], "CMT": 1}
    assert predicted(constant | {"II": [12, 0, 0], "SS": [1, 0, 0], "ADDL": [1, 0, 0]}) == pytest.approx([5.0, 5.0])


def test_a_late_train_is_endless():
    """As if doses every 4 h had been given for ever, with a lag of 6 h: they arrive at 2 h, 6 h, ..."""
    unit = 2 / (1 - np.exp(-4 * K))
    assert at("late-train", 0) == pytest.approx(unit * np.exp(-2 * K), rel=1e-9)
    assert [at("late-train", t) for t in (2, 6, 10, 14)] == pytest.approx([unit] * 4, rel=1e-9)


def test_observations_at_the_time_of_an_event():
    trough = 5 * np.exp(-12 * K)
    assert seen("observations") == pytest.approx([trough, trough + 5], rel=1e-9)
    assert seen("observations", "2") == pytest.approx([trough + 5], rel=1e-9)


def test_resets():
    assert at("reset", 12) == 0.0
    assert at("reset-dose", 8) == pytest.approx(3.0)
    assert at("initial", 0) == at("initial", 12) == pytest.approx(3.0)
    assert at("initial", 6) == pytest.approx(6.0)


def test_carry_of_covariates():
    area = {"nocb": 20 * 12 + 80 * 12, "locf": 100 * 12 + 20 * 12, "linear": 60 * 12 + 50 * 12}
    for rule, integral in area.items():
        found = event_runs.run(replace(EXAMPLES["carry"], carry=rule))["1"]
        assert found.values["cp"][-1] == pytest.approx(5 * np.exp(-0.2 * integral / 100), rel=1e-7)
    other = EXAMPLES["other"]
    assert [v["cp"] for who in "12" for _, v in event_runs.run(other)[who].seen] == pytest.approx(
        [5 * np.exp(-0.2 * 6 - 0.05 * 18), 5 * np.exp(-0.05 * 24)], rel=1e-9
    )


def test_additional_doses_take_what_is_in_force_at_their_time():
    jumps = [at("additional-covariate", t) - at("additional-covariate", t - 1) * np.exp(-K) for t in (12, 24, 36)]
    assert jumps == pytest.approx([2.5, 5.0, 5.0], rel=1e-9)
    late = replace(
        EXAMPLES["additional-covariate"],
        model=FED.replace("else 1", 'else 1", lag = "wait * FOOD').replace(
            "[routes]", 'wait = { typical = 3, unit = "h" }\n[routes]'
        ),
    )
    assert event_runs.run(late)["1"].values["cp"] == pytest.approx(course("additional-covariate").values["cp"])


def test_model_event_time():
    assert at("switch", 24) == pytest.approx(5 * np.exp(-0.8 - 0.02 * 16), rel=1e-9)
    rows = {"ID": 1, "TIME": [0, 8, 8], "EVID": [1, 0, 0], "AMT": [100, 0, 0]}
    text = SWITCH.replace("[outputs]\ncp", "[outputs]\nk").replace('"mg/L", label', '"1/h", label')
    assert predicted(rows, text) == [0.02, 0.02]
    with pytest.raises(pkpd.MismatchError, match="event time is one time"):
        moving = SWITCH.replace("tsw else", "tsw * CRCL else").replace(
            "[parameters]", "[covariates]\nCRCL = {}\n[parameters]"
        )
        predicted(rows | {"CRCL": [1, 1, 2]}, moving)


def test_inputs_side_by_side_add():
    np.testing.assert_allclose(
        course("parallel").values["cp"],
        course("parallel", "2").values["cp"] + course("parallel", "3").values["cp"],
        rtol=1e-9, atol=1e-12,
    )  # fmt: skip


def test_transit_takes_the_mean_time_that_it_says():
    """The mean time until absorption is 4 h by both routes: areas of what is not yet absorbed, over the dose."""
    for who in "12":
        found = event_runs.run(
            EXAMPLES["transit"], ("stage1", "stage2", "stage3", "stage4", "depot"), np.arange(0, 24, 0.01)
        )[who]
        waiting = sum(found.values.values())
        first = found.time < 23.99
        mean = np.trapezoid(waiting[first], found.time[first]) / 100
        assert mean == pytest.approx(4.0, abs=0.02)


def test_a_dose_into_an_effect_is_counted_in_its_unit():
    with_it, without = (at("effect-state", 48, who, "hb") for who in "12")
    assert with_it - without == pytest.approx(20.0, rel=1e-6)


def test_legacy_codes_and_a_clock_that_starts_again():
    assert at("legacy", 10) == pytest.approx(5 * (1 - np.exp(-1)), rel=1e-9)
    assert at("legacy", 18) == pytest.approx(5 * (1 - np.exp(-1)) * np.exp(-0.8) + 3, rel=1e-9)
    data = pkpd.read_data(EXAMPLES["legacy"].table)
    assert any("10101" in note for note in data.notes)
    first, second, third = seen("occasions")
    assert first == pytest.approx(5 * np.exp(-1.8), rel=1e-9)
    assert [second, third] == pytest.approx([at("bolus", 6, "2"), at("bolus", 18, "2")], rel=1e-9)
