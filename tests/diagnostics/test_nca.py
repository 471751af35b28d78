"""Non-compartmental analysis, held to printed values of other implementations, closed forms and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import linregress

import pkpd
from pkpd.errors import DataError, UsageError

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
# R datasets::Theoph, subject 1.
THEOPH = {
    "1": ((0, 0.74), (0.25, 2.84), (0.57, 6.57), (1.12, 10.5), (2.02, 9.66), (3.82, 8.58), (5.1, 8.36), (7.03, 7.47),
          (9.05, 6.89), (12.12, 5.94), (24.37, 3.28)),
}  # fmt: skip


def curve(time, conc, *, units=("h", "mg/L"), dose=100.0, **options):
    values = np.atleast_2d(np.asarray(conc, float))
    sim = xr.Dataset(
        {"cp": (("subject", "time"), values, {"units": units[1]})},
        {"time": ("time", np.asarray(time, float), {"units": units[0]})},
    )
    return pkpd.nca(sim, dose=dose, dose_unit="mg", **options)


def data(rows, **more):
    """Rows of (ID, TIME, EVID, AMT, DV)."""
    columns = {name: [row[k] for row in rows] for k, name in enumerate(("ID", "TIME", "EVID", "AMT", "DV"))}
    return pkpd.read_data({**columns, **more}, units=UNITS)


def theoph(people=THEOPH):
    rows = []
    for who, seen in people.items():
        rows.append((who, 0, 1, 320, None))
        rows += [(who, time, 0, None, conc) for time, conc in seen]
    return data(rows)


def test_reference_bolus():
    found = curve([0, 0.25, 0.5, 1, 2, 4, 6, 8, 12], [10, 8.8, 7.8, 6.1, 3.7, 1.4, 0.5, 0.2, 0.03], route="bolus")
    for name, value, digits in (
        ("auclast", 20.172, 3), ("aumclast", 40.3646, 4), ("lambda_z", 0.4854, 4), ("lambda_z_n_points", 8, 0),
        ("half_life", 1.4279, 4), ("aucinf_obs", 20.2338, 4), ("cl", 4.9422, 4),
    ):  # fmt: skip
        assert round(float(found[name][0]), digits) == value, name


def test_reference_oral():
    found = curve([0, 0.5, 1, 2, 3, 4, 6, 8, 12, 24], [0, 2.5, 8, 12, 10, 7.5, 4.2, 2.3, 0.7, 0.05])
    for name, value, digits in (
        ("lambda_z", 0.2526, 4), ("lambda_z_n_points", 6, 0), ("adj_r_squared", 0.9926, 4), ("half_life", 2.7445, 4),
        ("auclast", 58.9387, 4),
    ):  # fmt: skip
        assert round(float(found[name][0]), digits) == value, name


def test_theophylline_as_noncompart_and_winnonlin_print_it():
    # Subject 1, dose 320: NonCompart as printed in asancpt/book-ncar; WinNonlin's table agrees (NonCompart-tests).
    found = pkpd.nca(theoph(), method="linear", partial=[(0, 12), (0, 24)])
    printed = {
        "cmax": 10.5, "tmax": 1.12, "clast": 3.28, "tlast": 24.37, "clast_pred": 3.2801465, "half_life": 14.3043776,
        "lambda_z": 0.0484570, "lambda_z_time_first": 9.05, "lambda_z_n_points": 3, "r_squared": 0.9999997,
        "adj_r_squared": 0.9999995, "auclast": 148.92305, "aucall": 148.92305, "aucinf_obs": 216.6119330,
        "aucinf_pred": 216.6149558, "auc_percent_extrapolated": 31.2489169, "aumclast": 1459.0711035,
        "aumcinf_obs": 4505.5348194, "aumcinf_pred": 4505.6708646, "mrt": 20.8000305, "vz": 30.4867482, "cl": 1.4772963,
    }  # fmt: skip
    for name, value in printed.items():
        assert float(found[name][0]) == pytest.approx(value, abs=6e-8 * max(1, value)), name
    np.testing.assert_allclose(found["partial_auc"].values[0], [91.7355220, 147.6945866], atol=6e-8)
    assert (found["cl"].attrs["units"], found["vz"].attrs["units"]) == ("L/h", "L")
    assert np.isnan(found["vss"][0])  # of an oral dose there is none
    logs = pkpd.nca(theoph())
    assert round(float(logs["auclast"][0]), 5) == 147.23475
    assert round(float(logs["aumclast"][0]), 6) == 1499.129085
    upto = pkpd.nca(theoph({"1": THEOPH["1"][:-1]}))  # PKNCA's area 0-24 h ends at its last value within
    assert round(float(upto["auclast"][0]), 5) == 92.36544


def plain(time, conc, method):
    """A profile by loops, from the definitions."""
    last = max(k for k, c in enumerate(conc) if c > 0)
    top = int(np.argmax(conc))
    area = moment = 0.0
    for k in range(last):
        (t1, t2), (c1, c2) = time[k : k + 2], conc[k : k + 2]
        logs = c1 > 0 and c2 > 0 and c1 != c2
        logs = logs and {"linear": False, "lin-up/log-down": c2 < c1, "lin-log": k >= top}[method]
        if logs:
            rate = np.log(c1 / c2) / (t2 - t1)
            area += (c1 - c2) / rate
            moment += (t1 * c1 - t2 * c2) / rate + (c1 - c2) / rate**2
        else:
            area += (t2 - t1) * (c1 + c2) / 2
            moment += (t2 - t1) * (t1 * c1 + t2 * c2) / 2
    fits = []
    for first in range(top + 1, last - 1):
        own = [k for k in range(first, last + 1) if conc[k] > 0]
        if len(own) >= 3 and first == own[0]:
            line = linregress([time[k] for k in own], np.log([conc[k] for k in own]))
            n = len(own)
            fits.append((1 - (1 - line.rvalue**2) * (n - 1) / (n - 2), n, -line.slope))
    best = max((fit[0] for fit in fits), default=0)
    good = [fit for fit in fits if fit[0] > best - 1e-4 and fit[2] > 0]
    slope = max(good, key=lambda fit: fit[1])[2] if good else np.nan
    return area, moment, slope


@pytest.mark.parametrize("method", ["linear", "lin-up/log-down", "lin-log"])
def test_equals_plain_loops(method):
    rng = np.random.default_rng(4)
    time = np.array([0, 0.5, 1, 2, 3, 5, 8, 12, 18, 24.0])
    conc = 20 * (np.exp(-0.15 * time) - np.exp(-1.2 * time)) * np.exp(rng.normal(0, 0.25, (40, len(time))))
    conc[::5, -1] = 0  # the last is below the limit
    found = curve(time, conc, method=method)
    wanted = np.array([plain(time, row, method) for row in conc])
    for k, name in enumerate(("auclast", "aumclast", "lambda_z")):
        np.testing.assert_allclose(found[name], wanted[:, k], rtol=1e-9, err_msg=name)


def test_exponential_is_exact():
    time, dose, volume, rate = np.array([0.5, 1, 3, 4, 9.0]), 100.0, 8.0, 0.3
    found = curve(time, dose / volume * np.exp(-rate * time), route="bolus", partial=[(0, 2.2), (2.2, 9), (9, 30)])
    exact = {
        "c0": dose / volume, "lambda_z": rate, "half_life": np.log(2) / rate, "cl": rate * volume, "vz": volume,
        "vss": volume, "mrt": 1 / rate, "aucinf_obs": dose / volume / rate, "aucinf_pred": dose / volume / rate,
        "aumcinf_obs": dose / volume / rate**2,
    }  # fmt: skip
    for name, value in exact.items():
        assert float(found[name][0]) == pytest.approx(value, rel=1e-10), name
    area = [dose / volume / rate * (np.exp(-rate * a) - np.exp(-rate * b)) for a, b in ((0, 2.2), (2.2, 9), (9, 30))]
    np.testing.assert_allclose(found["partial_auc"].values[0], area, rtol=1e-10)


def test_infusion_takes_half_its_duration_off():
    over, rate, volume, dose = 2.0, 0.4, 10.0, 100.0
    time = np.concatenate([np.linspace(0, over, 2001), np.arange(2.5, 30, 0.5)])
    level = dose / over / (rate * volume)
    conc = np.where(time <= over, level * (1 - np.exp(-rate * time)),
                    level * (1 - np.exp(-rate * over)) * np.exp(-rate * (time - over)))  # fmt: skip
    found = curve(time, conc, route="infusion", duration=over)
    for name, value in (("cl", rate * volume), ("mrt", 1 / rate), ("vss", volume)):
        assert float(found[name][0]) == pytest.approx(value, rel=1e-5), name


def test_scales_with_concentration_and_time():
    time, conc = [0, 1, 2, 4, 8, 12], [0, 5, 7, 4, 1.5, 0.5]
    one, high = curve(time, conc), curve(time, 3 * np.array(conc))
    late = curve(60 * np.array(time), conc, units=("min", "mg/L"))
    for name, by_conc, by_time in (
        ("auclast", 3, 60), ("aumclast", 3, 3600), ("lambda_z", 1, 1 / 60), ("cl", 1 / 3, 1 / 60), ("vz", 1 / 3, 1)
    ):  # fmt: skip
        assert float(high[name][0]) == pytest.approx(by_conc * float(one[name][0]))
        assert float(late[name][0]) == pytest.approx(by_time * float(one[name][0]))
    assert late["cl"].attrs["units"] == "L/min"
    fine = curve(time, 1000 * np.array(conc), units=("h", "ng/mL"))
    assert fine["cl"].attrs["units"] == "L/h"
    assert float(fine["cl"][0]) == pytest.approx(float(one["cl"][0]))


def test_partial_areas_add_up():
    time, conc = [0, 1, 2, 4, 8, 12], [0, 5, 7, 4, 1.5, 0.5]
    parts = curve(time, conc, partial=[(0, 3), (3, 5.5), (5.5, 20), (0, 20), (0, 12)])
    a, b, c, whole, upto = parts["partial_auc"].values[0]
    assert a + b + c == pytest.approx(whole, rel=1e-12)
    assert upto == pytest.approx(float(parts["auclast"][0]), rel=1e-12)


def test_blq_first_middle_last():
    time, conc = [0, 1, 2, 3, 4, 6, 8], [0, 4, 0, 3, 2, 1, 0]
    dropped, kept = curve(time, conc, method="linear"), curve(time, conc, method="linear", blq=("keep", "keep", "keep"))
    assert float(dropped["auclast"][0]) == 2 + 7 + 2.5 + 3
    assert float(kept["auclast"][0]) == 2 + 2 + 1.5 + 2.5 + 3
    assert float(dropped["aucall"][0] - dropped["auclast"][0]) == 1
    assert float(dropped["tlast"][0]) == 6


def test_dosing_intervals_and_steady_state():
    rate, volume, tau = 0.2, 10.0, 12.0
    rows, level = [], 0.0
    for k in range(3):
        if k:
            rows.append(("a", k * tau, 0, None, level))
        rows.append(("a", k * tau, 1, 100, None))
        level += 100 / volume
        rows += [("a", k * tau + t, 0, None, level * np.exp(-rate * t)) for t in (1, 3, 6, 9)]
        level *= np.exp(-rate * tau)
    rows.append(("a", 3 * tau, 0, None, level))
    found = pkpd.nca(data(rows), route="bolus", tau=tau)
    np.testing.assert_array_equal(found["dose_time"], [0, 12, 24])
    tops = 10 * np.cumsum(np.exp(-rate * tau * np.arange(3)))
    area = tops / rate * (1 - np.exp(-rate * tau))
    np.testing.assert_allclose(found["auctau"], area, rtol=1e-10)
    np.testing.assert_allclose(found["cav"], area / tau, rtol=1e-10)
    np.testing.assert_allclose(found["ctrough"], tops * np.exp(-rate * tau), rtol=1e-10)
    assert np.isfinite(found["cl"][0])
    assert np.isnan(found["cl"][1:]).all()
    assert "not the first dose" in str(found["note"].values[1])


@pytest.mark.parametrize(
    ("time", "conc", "said"),
    [
        ([1], [3], "fewer than 3 points"),
        ([1, 2, 3, 4], [0, 0, 0, 0], "no value above"),
        ([0, 1, 2, 3, 4], [0, 5, 1, 2, 3], "does not fall"),
        ([0, 1, 2, 3, 4], [0, 5, 4.9, 4.8, 4.7], "more than 20 % extrapolated"),
        ([0, 1, 2, 3, 4], [0, 9, 4, 2, 2.5], "adjusted r2"),
        ([1, 2, 3], [np.nan] * 3, "no value after the dose"),
    ],
)
def test_notes(time, conc, said):
    found = curve(time, conc)
    assert said in str(found["note"].values[0])


def test_limits_are_zeros_and_early_values_are_said():
    rows = [("a", 0, 0, None, 1), ("a", 1, 1, 100, None), ("a", 2, 0, None, 5), ("a", 4, 0, None, 3),
            ("a", 6, 0, None, 2), ("a", 8, 0, None, 1), ("a", 10, 0, None, 0.5)]  # fmt: skip
    found = pkpd.nca(data(rows, LLOQ=[0.6] * 7, CENS=[0] * 6 + [1]))
    assert float(found["tlast"][0]) == 7  # 8 h after 1 h; the limit does not count
    assert "values before the first dose are left out" in str(found["note"].values[0])


def test_people_without_doses_and_order():
    rows = [(who, t, 0, None, c * f) for who, f in (("b", 1), ("a", 2)) for t, c in ((0, 8), (1, 4), (2, 2), (3, 1))]
    found = pkpd.nca(data(rows))
    assert found["ID"].values.tolist() == ["b", "a"]
    np.testing.assert_allclose(found["lambda_z"], np.log(2))
    assert np.isnan(found["cl"]).all()
    assert "no dose" in str(found["note"].values[0])


def test_refused():
    with pytest.raises(DataError, match="Two values"):
        pkpd.nca(data([("a", 0, 1, 100, None), ("a", 1, 0, None, 5), ("a", 1, 0, None, 4)]))
    with pytest.raises(DataError, match=r"concentration is -2"):
        pkpd.nca(data([("a", 0, 1, 100, None), ("a", 1, 0, None, -2)]))
    with pytest.raises(DataError, match="nothing was seen after a dose"):
        pkpd.nca(data([("a", 0, 0, None, 5), ("a", 1, 1, 100, None)]))
    with pytest.raises(DataError, match="no duration"):
        pkpd.nca(theoph(), route="infusion")
    with pytest.raises(DataError, match="negative"):
        curve([0, 1], [1, -1])
    for options in ({"method": "log"}, {"route": "oral"}, {"blq": ("keep",)}, {"points": 2}, {"tau": 0},
                    {"partial": [(3, 1)]}, {"duration": 2.0}, {"route": "infusion"}):  # fmt: skip
        with pytest.raises(UsageError):
            curve([0, 1, 2], [1, 2, 1], **options)
    with pytest.raises(UsageError, match="beside data"):
        pkpd.nca(theoph(), dose=3.0)
