"""What is drawn for the property tests: linear networks, saturable and turnover models, their values and records.

A record is a row with NONMEM's columns. The number of examples is moderate and their choice fixed;
``PKPD_EXAMPLES=20`` draws that many times as many, anew each time.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from pkpd.data.read import read_data
from pkpd.engine import Prediction, Program, bind, compile_model, predict
from pkpd.errors import PkpdWarning
from pkpd.model.model import Model

Row = dict[str, float]


@dataclass(frozen=True)
class Drawn:
    """A model by its name, and values of its parameters."""

    name: str
    values: dict[str, float]

    @property
    def model(self) -> Model:
        return network(int(self.name[-1])) if self.name.startswith("network") else nonlinear(self.name)

    @property
    def vector(self) -> np.ndarray:
        return np.array([self.values[name] for name in self.model.parameters])

    def but(self, **values: float) -> Drawn:
        return Drawn(self.name, self.values | values)


MORE = int(os.environ.get("PKPD_EXAMPLES", "0"))

HEAD = """
title = "drawn"
[units]
time = "h"
amount = "mg"
[covariates]
WT = { unit = "kg" }
[parameters]
lag = { typical = 0.0, unit = "h", transform = "none" }
f = { typical = 1.0, unit = "1" }
dur = { typical = 2.0, unit = "h" }
rin = { typical = 20.0, unit = "mg/h" }
a0 = { typical = 0.0, unit = "mg", transform = "none" }
"""
#: Into the first state: with lag and bioavailability; also over a modelled duration; also at a modelled rate.
#: Into the last: as it is; and a share into each, one late, one over a time.
ROUTES = """
[routes]
first = { into = "FIRST", cmt = 1, lag = "lag", bioavailability = "f" }
last = { into = "LAST", cmt = 2 }
slow = { into = "FIRST", cmt = 3, lag = "lag", bioavailability = "f", duration = "dur" }
paced = { into = "FIRST", cmt = 4, lag = "lag", bioavailability = "f", rate = "rin" }
[routes.both]
cmt = 5
inputs = [
  { into = "FIRST", bioavailability = "0.3 * f" },
  { into = "LAST", bioavailability = "1 - 0.3 * f", lag = "0.5 * lag", duration = "dur" },
]
"""
SHARED = ("lag", "f", "dur", "rin", "a0")


def examples(number: int):
    """How many examples a property is shown."""
    ignored = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(
        max_examples=number * max(MORE, 1),
        derandomize=not MORE,
        deadline=None,
        database=None,
        suppress_health_check=ignored,
        phases=[Phase.generate, *([] if MORE else [Phase.shrink])],
    )


@lru_cache
def network(states: int) -> Model:
    """Write out `states` compartments, each of which flows into every other and out; absent flows have the rate 0."""
    rates = [f"k{i}{j}" for i in range(1, states + 1) for j in range(states + 1) if i != j]
    parameters = "".join(f'{k} = {{ typical = 0.1, unit = "1/h", transform = "none" }}\n' for k in rates)
    parameters = parameters.replace(
        'k10 = { typical = 0.1, unit = "1/h"', 'k10 = { typical = 0.1, unit = "1/h", times = "WT / 70"'
    )
    lines = []
    for i in range(1, states + 1):
        gains = "".join(f" + k{j}{i} * a{j}" for j in range(1, states + 1) if j != i)
        losses = " + ".join(f"k{i}{j}" for j in range(states + 1) if j != i)
        lines.append(f"d/dt(a{i}) = -({losses}) * a{i}{gains}")
    total = " + ".join(f"{1 + 0.3 * i} * a{i + 1}" for i in range(states))
    equations = "\n".join([f"y = {total}", *lines, "a1(0) = a0"])
    return Model(
        HEAD + parameters + ROUTES.replace("FIRST", "a1").replace("LAST", f"a{states}")
        + f"[dynamics]\nequations = '''\n{equations}\n'''\n[outputs]\ny = {{ unit = \"mg\" }}\n"
    )  # fmt: skip


SATURABLE = """
ka = { typical = 1.0, unit = "1/h" }
vmax = { typical = 40.0, unit = "mg/h", times = "WT / 70" }
km = { typical = 30.0, unit = "mg" }
k10 = { typical = 0.05, unit = "1/h" }
k12 = { typical = 0.3, unit = "1/h" }
k21 = { typical = 0.2, unit = "1/h" }
ROUTES
[dynamics]
equations = '''
y = central + 0.5 * peripheral
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - vmax * central / (km + central) - (k10 + k12) * central + k21 * peripheral
d/dt(peripheral) = k12 * central - k21 * peripheral
depot(0) = a0
'''
[outputs]
y = { unit = "mg" }
"""
TURNOVER = """
ka = { typical = 1.0, unit = "1/h" }
k = { typical = 0.2, unit = "1/h", times = "WT / 70" }
ke0 = { typical = 0.5, unit = "1/h" }
e50 = { typical = 40.0, unit = "mg" }
gamma = { typical = 1.5, unit = "1" }
kout = { typical = 0.3, unit = "1/h" }
r0 = { typical = 100.0, unit = "1" }
ROUTES
[dynamics]
equations = '''
effect = ce ** gamma / (e50 ** gamma + ce ** gamma)
y = r
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - k * central
d/dt(ce) = ke0 * (central - ce)
d/dt(r) = kout * (r0 * (1 - 0.9 * effect) - r)
depot(0) = a0
r(0) = r0
'''
[outputs]
y = { unit = "1" }
"""


@lru_cache
def nonlinear(name: str) -> Model:
    """Give a model that is not linear: "saturable" elimination, or "turnover" behind an effect site."""
    text = {"saturable": SATURABLE, "turnover": TURNOVER}[name]
    routes = ROUTES.replace("FIRST", "depot").replace("LAST", "central")
    return Model(HEAD + text.replace("ROUTES", routes))


@lru_cache
def program_of(model: Model) -> Program:
    """Compile a model, once."""
    return compile_model(model)


def wide(low: float, high: float) -> st.SearchStrategy[float]:
    """Positive numbers over orders of magnitude."""
    return st.floats(np.log(low), np.log(high)).map(lambda x: float(np.exp(x)))


@st.composite
def networks(draw, *, floor: float = 0.02, fastest: float = 20.0, start: bool = True) -> Drawn:
    """Draw a linear network and its values; every state is left at a rate of at least `floor`."""
    states = draw(st.integers(1, 5))
    model = network(states)
    values = shared(draw, start)
    for name in model.parameters:
        if name in SHARED:
            continue
        if name[2] == "0":
            values[name] = draw(st.one_of(st.just(0.5), wide(floor, fastest)))
        else:  # flows that are absent; that are equal, as in a chain; any
            values[name] = draw(st.one_of(st.just(0.0), st.just(0.5), wide(1e-3, fastest)))
    return Drawn(f"network {states}", values)


@st.composite
def any_model(draw, *, start: bool = True) -> Drawn:
    """Draw a model, linear or not, and its values, some tens of per cent around the typical ones."""
    if draw(st.booleans()):
        return draw(networks(floor=0.05, fastest=5.0, start=start))
    which = draw(st.sampled_from(["saturable", "turnover"]))
    values = shared(draw, start)
    for name, parameter in nonlinear(which).parameters.items():
        if name not in SHARED:
            values[name] = parameter.typical * draw(wide(0.7, 2.0))  # a power of 1.05 and more: smooth at 0
    return Drawn(which, values)


def shared(draw, start: bool) -> dict[str, float]:
    """Draw what every model has."""
    return {
        "lag": draw(st.one_of(st.just(0.0), st.floats(0.01, 15.0))),
        "f": draw(st.one_of(st.just(1.0), wide(0.1, 3.0))),
        "dur": draw(wide(0.05, 20.0)),
        "rin": draw(wide(2.0, 500.0)),
        "a0": draw(st.one_of(st.just(0.0), wide(0.1, 100.0))) if start else 0.0,
    }


@st.composite
def dose_rows(draw, *, time: float = 0.0, steady: tuple[int, ...] = (0,), reset: bool = False) -> Row:
    """Draw a dose by any route: bolus, infusion with a given or modelled rate or duration, additional doses."""
    cmt = draw(st.sampled_from([1, 2, 3, 4, 5]))
    row: Row = {"TIME": time, "EVID": 4 if reset else 1, "CMT": cmt, "AMT": draw(wide(5.0, 500.0))}
    row["II"] = draw(st.one_of(st.sampled_from([4.0, 6.0, 12.0]), st.floats(3.5, 24.0)))
    row["ADDL"] = draw(st.sampled_from([0, 0, 1, 3]))
    row["SS"] = draw(st.sampled_from(steady))
    way = draw(st.sampled_from(["bolus", "rate", "duration", "model"]))
    if way == "rate":
        row["RATE"] = row["AMT"] / draw(st.one_of(st.sampled_from([1.0, 5.0]), st.floats(0.1, 30.0)))
    elif way == "duration":
        row["DUR"] = draw(st.floats(0.1, 30.0))
    elif way == "model" and cmt in (3, 4):
        row["RATE"] = {3: -2.0, 4: -1.0}[cmt]
    elif way == "bolus":
        row["RATE"] = 0.0
    return row


@st.composite
def regimens(
    draw, *, steady: tuple[int, ...] = (0, 0, 1, 2), resets: bool = True, weights: bool = True, apart: bool = False
) -> list[Row]:
    """Draw the records of one subject: doses, resets, changes of weight and observations, often at one time.

    `apart`: observations stand a little after everything else, so that a derivative is the same from both sides.
    """
    rows, time = [], 0.0
    gaps = st.one_of(st.sampled_from([0.0, 0.0, 1.0, 2.5, 6.0]), st.floats(0.01, 15.0))
    for _ in range(draw(st.integers(1, 6))):
        time += draw(gaps)
        kind = draw(st.sampled_from(["dose", "dose", "dose", "look", "other", *(["reset", "anew"] if resets else [])]))
        if kind in ("dose", "anew"):
            rows.append(draw(dose_rows(time=time, steady=steady, reset=kind == "anew")))
        else:
            rows.append({"TIME": time, "EVID": {"look": 0, "other": 2, "reset": 3}[kind]})
    for gap in draw(
        st.lists(st.one_of(st.sampled_from([0.0, 1.0, 6.0]), st.floats(0.01, 30.0)), min_size=2, max_size=5)
    ):
        time += gap
        rows.append({"TIME": time, "EVID": 0})
    if apart:
        shift = draw(st.floats(0.0123, 0.0456))
        rows = [r for r in rows if r["EVID"]] + [r | {"TIME": r["TIME"] + shift} for r in rows if not r["EVID"]]
        rows.sort(key=lambda r: r["TIME"])
    for row in rows:
        row["WT"] = draw(st.sampled_from([50.0, 70.0, 95.0])) if weights else 70.0
    return rows


def events_of(*subjects: list[Row], carry: str = "nocb"):
    """Read the records of one or more subjects."""
    names = sorted({name for rows in subjects for row in rows for name in row})
    columns: dict[str, list[Any]] = {"ID": [i + 1 for i, rows in enumerate(subjects) for _ in rows]}
    columns |= {name: [row.get(name, ".") for rows in subjects for row in rows] for name in names}
    return read_data(columns, carry=carry).events()


def run(drawn: Drawn, *subjects: list[Row], carry: str = "nocb", rtol: float = 1e-10, **options) -> Prediction:
    """Predict, and expect no failure."""
    program = program_of(drawn.model)
    with warnings.catch_warnings():
        # A record that gives a rate or a bolus by a route with a modelled duration is drawn on purpose.
        warnings.simplefilter("ignore", PkpdWarning)
        schedule = bind(program, events_of(*subjects, carry=carry))
    got = predict(program, schedule, drawn.vector, rtol=rtol, **options)
    assert not got.failures, str(got.failures[0])
    return got


def close(got: np.ndarray, wanted: np.ndarray, rtol: float, what: str = "", size: float = 0.0) -> None:
    """Compare each number with its own size, and with a little of the largest (or `size`) where it is small itself."""
    largest = max(float(np.max(np.abs(wanted), initial=0.0)), size)
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol * (1e-3 * largest + 1e-9), err_msg=what)
