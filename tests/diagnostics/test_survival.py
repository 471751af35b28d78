"""Kaplan-Meier visual predictive checks."""

from __future__ import annotations

import numpy as np

import pkpd
from pkpd.diagnostics import Case, EventVPC, answer
from pkpd.diagnostics.survival import _Seen

from .conftest import HAZARD, events, fit_of

#: Weeks of remission under 6-mercaptopurine; negative: still in remission when last seen. Freireich EJ et al. Blood
#: 1963;21:699-716. The curve: Collett D. Modelling survival data in medical research, 3rd ed. (2015), and elsewhere.
REMISSION = (6, 6, 6, 7, 10, 13, 16, 22, 23, -6, -9, -10, -11, -17, -19, -20, -25, -32, -32, -34, -35)
CURVE = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}


def seen(rows):
    data = pkpd.read_data(rows)
    return _Seen.of(data, np.ones(int((data.columns["EVID"] == 0).sum()), dtype=bool))


def test_the_curve_is_that_of_the_textbooks():
    rows = {"ID": [], "TIME": [], "DV": [], "EVID": []}
    for person, weeks in enumerate(REMISSION):
        for cells in ((person, 0, ".", 2), (person, abs(weeks), float(weeks > 0), 0)):
            for name, cell in zip(rows, cells):
                rows[name].append(cell)
    found = seen(rows).curve(np.array(list(CURVE), dtype=float), repeated=False)
    assert np.allclose(found, list(CURVE.values()), atol=5e-4)


def test_the_mean_number_of_events_is_that_of_nelson_and_aalen():
    times = {"a": [(2, 1), (5, 1), (9, 0)], "b": [(4, 1), (6, 0)], "c": [(8, 0)]}
    rows = {"ID": [], "TIME": [], "DV": [], "EVID": []}
    for person, each in times.items():
        for when, dv in [(0, None), *each]:
            for name, cell in zip(rows, (person, when, "." if dv is None else dv, 2 if dv is None else 0)):
                rows[name].append(cell)
    one = seen(rows)
    assert one.repeated
    assert np.allclose(one.curve(np.array([1, 2, 4, 5, 9.0]), repeated=True), [0, 1 / 3, 2 / 3, 1, 1])


def test_a_right_model_lies_in_its_band_and_a_wrong_one_does_not():
    check = EventVPC(seed=1, n=60)
    model = pkpd.Model(HAZARD)
    outside = []
    for factor in (1.0, 0.3):
        fit = pkpd.fit(model, events(60, factor=factor), pkpd.Laplace(max_iterations=0, covariance=None))
        found = answer(Case(fit=fit), check).data
        out = (found["observed"] < found["lower"]) | (found["observed"] > found["upper"])
        outside.append(float(out.mean()))
    assert outside[0] < 0.2 < 0.5 < outside[1]


def test_those_who_had_their_event_are_followed_on_and_others_as_long_as_they_were():
    data = events()
    one = _Seen.of(data, np.ones(40, dtype=bool))
    design = one.design(data)
    last = {who: design.clock[design.columns["ID"] == who].max() for who in design.ids}
    for who, time, happened in zip(one.person, one.time, one.happened):
        assert np.isclose(last[who], one.time.max() if happened else time)


def test_events_noted_at_visits_are_drawn_at_visits():
    rows = {"ID": [], "TIME": [], "DV": [], "EVID": [], "CENS": []}
    rng = np.random.default_rng(2)
    for person in range(30):
        time = rng.exponential(8)
        lines = [(0, ".", 2, 0)]
        for visit in (4, 8, 12, 16):
            lines.append((visit, float(time < visit), 0, int(time < visit)))
            if time < visit:
                break
        for line in lines:
            for name, cell in zip(rows, (person, *line)):
                rows[name].append(cell)
    model = pkpd.Model(HAZARD.replace("[covariates]\nTRT = { reference = 0 }\n", "").replace(" * exp(-0.7 * TRT)", ""))
    fit = pkpd.fit(model, pkpd.read_data(rows), pkpd.Laplace(max_iterations=0, covariance=None))
    found = answer(Case(fit=fit), EventVPC(seed=1, n=30)).data
    steps = found["time"].values[0][1:][np.diff(found["observed"].values[0]) < 0]
    drawn = found["time"].values[0][1:][np.diff(found["lower"].values[0]) < 0]
    assert all(np.abs(np.array([4, 8, 12, 16]) - step).min() < 0.2 for step in (*steps, *drawn))


def test_the_caption_counts(tmp_path):
    found = answer(Case(fit=fit_of("events")), EventVPC(seed=1, n=30))
    records = fit_of("events").records
    assert f"{int(records['DV'].values[records['ARM'].values == 'drug'].sum())} events of 20 people" in found.caption()
