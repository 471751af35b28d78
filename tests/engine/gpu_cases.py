"""What the GPU is asked, and the processor too: small cases of every method and every kind of event.

Run as a script with ``NUMBA_ENABLE_CUDASIM=1``, which turns GPU code into Python; writes the answers as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from pkpd.data.events import Events
from pkpd.data.occasions import with_occasions
from pkpd.data.regimen import Dose, Regimen
from pkpd.engine import Prediction, bind, compile_model, predict
from pkpd.errors import PkpdWarning
from pkpd.model.model import Model
from tests.engine.conftest import EVERYTHING
from tests.engine.draws import Row, events_of, network, nonlinear
from tests.engine.test_isolation import EXPLOSIVE
from tests.engine.test_lags import FOLLOWING

SWITCHED = """
title = "a rate that changes when a parameter says"
[units]
time = "h"
amount = "mg"
[parameters]
k1 = { typical = 0.3, unit = "1/h" }
k2 = { typical = 0.9, unit = "1/h" }
when = { typical = 3.7, unit = "h" }
vmax = { typical = 3.0, unit = "mg/h" }
km = { typical = 10.0, unit = "mg" }
[routes]
iv = { into = "a", cmt = 1 }
[dynamics]
equations = '''
k = k1 if t < when else k2
d/dt(a) = -k * a
d/dt(b) = k * a - vmax * b / (km + b)
'''
[outputs]
b = { unit = "mg" }
"""
LOOK = {"EVID": 0}
#: Records of one person each: doses by every route, then what else may happen to a person.
PEOPLE: dict[str, list[Row]] = {
    "boluses": [{"TIME": 0, "EVID": 1, "CMT": 1, "AMT": 100, "II": 6, "ADDL": 2}],
    "infusion": [{"TIME": 0, "EVID": 1, "CMT": 2, "AMT": 100, "RATE": 40}, {"TIME": 1, "EVID": 1, "CMT": 2, "AMT": 30}],
    "modelled": [
        {"TIME": 0, "EVID": 1, "CMT": 3, "AMT": 90, "RATE": -2},
        {"TIME": 5, "EVID": 1, "CMT": 4, "AMT": 60, "RATE": -1},
    ],
    "both": [{"TIME": 0, "EVID": 1, "CMT": 5, "AMT": 100}],
    "steady": [{"TIME": 0, "EVID": 1, "CMT": 1, "AMT": 50, "II": 8, "SS": 1}],
    "on top": [
        {"TIME": 0, "EVID": 1, "CMT": 1, "AMT": 50},
        {"TIME": 2, "EVID": 1, "CMT": 2, "AMT": 50, "II": 8, "SS": 2, "DUR": 12},
    ],
    "endless": [{"TIME": 0, "EVID": 1, "CMT": 2, "AMT": 0, "RATE": 5, "SS": 1}],
    "reset": [
        {"TIME": 0, "EVID": 1, "CMT": 1, "AMT": 50},
        {"TIME": 3, "EVID": 3},
        {"TIME": 4, "EVID": 4, "CMT": 2, "AMT": 70, "RATE": 30},
    ],
    "weight": [{"TIME": 0, "EVID": 1, "CMT": 1, "AMT": 80}, {"TIME": 5, "EVID": 2, "WT": 95}],
    "late": [
        {"TIME": 0, "EVID": 1, "CMT": 5, "AMT": 80, "II": 4, "ADDL": 2},
        {"TIME": 1, "EVID": 1, "CMT": 1, "AMT": 50, "II": 3, "ADDL": 2, "SS": 1},
        {"TIME": 5, "EVID": 2, "WT": 95},
    ],
}


def rows(name: str) -> list[Row]:
    """The records of a person, with observations between and after them."""
    found = [dict(row) for row in PEOPLE[name]]
    found += [LOOK | {"TIME": time} for time in (0.0, 1.5, 4.0, 7.25, 12.0)]
    found.sort(key=lambda row: row["TIME"])
    weight = 60.0
    for row in found:
        weight = row["WT"] = row.get("WT", weight)
    return found


def compare(model: Model, events: Events, values: Any = None, occasions: int = 0, **options: Any) -> dict[str, Any]:
    """The predictions of both."""
    program = compile_model(model, occasions=occasions)
    schedule = bind(program, events)
    if values is None:
        typical = np.array([p.typical for p in model.parameters.values()])
        values = typical * np.exp(
            0.1 * np.random.default_rng(1).standard_normal((len(schedule.subjects), len(typical)))
        )
    both = {device: predict(program, schedule, values, device=device, **options) for device in ("cpu", "cuda")}
    return {device: told(answer) for device, answer in both.items()}


def told(answer: Prediction) -> dict[str, Any]:
    return {
        "f": answer.f.tolist(),
        "df": None if answer.df is None else answer.df.tolist(),
        "method": answer.method.tolist(),
        "failures": list(map(str, answer.failures)),
        "steps": answer.steps.tolist(),
    }


def people(*names: str, carry: str = "nocb") -> Events:
    return events_of(*map(rows, names), carry=carry)


def everything(**options: Any) -> dict[str, Any]:
    """The model with everything; records that ask for both outputs."""
    plan = Regimen.every(12, amount=100, n=2, route="oral") + Dose(50, time=3, over=2, route="iv")
    given = [("1", plan, [0.0, 2.0, 9.0, 20.0], {"WT": 60.0}), ("2", Dose(80, route="slow"), [1.0, 8.0], {"WT": 80.0})]
    return compare(Model(EVERYTHING), Events.from_regimens(given), **options)


def with_lag(model: Model, lag: float = 0.7) -> np.ndarray:
    values = np.array([p.typical for p in model.parameters.values()])
    values[list(model.parameters).index("lag")] = lag
    return values


def network_of(*names: str, lag: float = 0.7, **options: Any) -> dict[str, Any]:
    model = network(2)
    return compare(model, people(*names, carry=options.pop("carry", "nocb")), with_lag(model, lag), **options)


def nonlinear_of(which: str, *names: str, lag: float = 0.7, carry: str = "nocb", **options: Any) -> dict[str, Any]:
    model = nonlinear(which)
    return compare(model, people(*names, carry=carry), with_lag(model, lag), **options)


def late(carry: str, **options: Any) -> dict[str, Any]:
    return compare(FOLLOWING, people("late", "weight", carry=carry), **options)


def switched(**options: Any) -> dict[str, Any]:
    given = [(str(i), Dose(20.0 * (1 + i), route="iv"), [1.0, 3.6, 3.9, 9.0], {}) for i in range(3)]
    return compare(Model(SWITCHED), Events.from_regimens(given, outputs=["b"]), **options)


def failing() -> dict[str, Any]:
    """Three troubles, each between people who have none."""
    model = nonlinear("turnover")
    values = np.tile(with_lag(model), (7, 1))
    at = list(model.parameters).index
    values[1, at("k")] = np.nan
    values[3, at("lag")] = -1.0
    values[5, at("r0")] = np.inf
    return compare(model, people(*["boluses"] * 7), values)


def exploding() -> dict[str, Any]:
    given = [(str(i), Dose(50.0, route="iv"), [1.0, 4.0], {}) for i in range(3)]
    values = np.tile([0.3, 1e-3, 0.5], (3, 1))
    values[1, 1] = 50.0
    return compare(EXPLOSIVE, Events.from_regimens(given, outputs=["n"]), values, max_steps=1000)


def stiff() -> dict[str, Any]:
    """One of three is given up by the explicit pair."""
    model = nonlinear("saturable")
    values = np.tile(with_lag(model), (3, 1))
    values[1, list(model.parameters).index("k21")] = 3e4
    return compare(model, people("boluses", "infusion", "both"), values, rtol=1e-10)


def occasions(**options: Any) -> dict[str, Any]:
    """Two occasions, of which clearance and the share that is absorbed differ."""
    text = EVERYTHING.replace("cl = { ", "cl = { iov = 0.1, ").replace("f1 = { ", "f1 = { iov = 0.1, ")
    given = Events.from_regimens(
        [(n, Dose(80, route="oral"), [2.0, 9.0, 20.0], {"WT": w}) for n, w in (("1", 60.0), ("2", 90.0))]
    )
    values = np.array([p.typical for p in Model(text).parameters.values()] + [0.3, -0.2, 0.1, -0.4])
    return compare(Model(text), with_occasions(given, [1, 1, 2, 2] * 2), values, occasions=2, **options)


def in_pieces() -> dict[str, Any]:
    """A GPU with so little memory that each person goes alone."""
    from pkpd.engine import cuda

    kept, cuda._SHARE_DATA = cuda._SHARE_DATA, 0.0
    cuda._free, free = (lambda: 0.0), cuda._free
    try:
        return nonlinear_of("turnover", "steady", "weight", "infusion", "on top", "reset")
    finally:
        cuda._SHARE_DATA, cuda._free = kept, free


def again() -> dict[str, Any]:
    """Other people with the same schedule, which is on the GPU already."""
    model = nonlinear("turnover")
    program = compile_model(model)
    schedule = bind(program, people("boluses", "both", "reset"))
    found = {}
    for device in ("cpu", "cuda"):
        predict(program, schedule, with_lag(model), device=device)
        found[device] = told(predict(program, schedule, with_lag(model, 1.9), device=device))
    return found


DOSES = ("boluses", "infusion", "modelled", "both")
CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "exact: doses": lambda: network_of(*DOSES),
    "exact: doses, sensitivities": lambda: network_of("modelled", "both", sensitivities=["lag", "f", "dur", "k12"]),
    "exact: steady states": lambda: network_of("steady", "on top", "endless"),
    "exact: steady states, sensitivities": lambda: network_of("steady", "on top", sensitivities=["lag", "k10"]),
    "exact: resets and covariates": lambda: network_of("reset", "weight"),
    "exact: one thread idle": lambda: network_of("boluses"),
    "collocation: doses": lambda: nonlinear_of("turnover", *DOSES),
    "collocation: steady states": lambda: nonlinear_of("turnover", "steady", "on top", "endless"),
    "collocation: resets and covariates": lambda: nonlinear_of("turnover", "reset", "weight"),
    "collocation: everything": everything,
    "collocation: locf": lambda: nonlinear_of("turnover", "weight", carry="locf"),
    "beside an exact part: doses": lambda: nonlinear_of("saturable", *DOSES),
    "beside an exact part: steady states": lambda: nonlinear_of("saturable", "steady", "on top", "endless"),
    "explicit: doses": lambda: nonlinear_of("saturable", *DOSES, method="explicit"),
    "explicit: steady states": lambda: nonlinear_of("saturable", "steady", "on top", method="explicit"),
    "explicit: sensitivities": lambda: nonlinear_of("saturable", "modelled", "reset", sensitivities=["lag", "vmax"]),
    "explicit: covariates on lines": lambda: nonlinear_of("turnover", "weight", carry="linear"),
    "rosenbrock: doses": lambda: nonlinear_of("turnover", *DOSES, method="rosenbrock"),
    "rosenbrock: steady states": lambda: nonlinear_of("saturable", "steady", "endless", method="rosenbrock"),
    "rosenbrock: sensitivities": lambda: nonlinear_of(
        "saturable", "both", "weight", sensitivities=["lag", "km"], method="rosenbrock"
    ),
    "rosenbrock: covariates on lines": lambda: nonlinear_of(
        "turnover", "weight", carry="linear", method="rosenbrock"
    ),
    "lags of records": lambda: late("nocb", sensitivities=["lag", "f"]),
    "lags of records: covariates on lines": lambda: late("linear", sensitivities=["lag"]),
    "switches": switched,
    "switches: explicit, sensitivities": lambda: switched(sensitivities=True),
    "switches: rosenbrock": lambda: switched(method="rosenbrock"),
    "stiff: the other method takes over": stiff,
    "failures": failing,
    "failures: explosion": exploding,
    "occasions": occasions,
    "occasions: sensitivities": lambda: occasions(sensitivities=["f1", "cl@1", "f1@1", "cl@2"]),
    "in pieces": in_pieces,
    "the same schedule again": again,
}  # fmt: skip


if __name__ == "__main__":
    # Python warns where a GPU goes on with infinity or NaN.
    warnings.simplefilter("ignore", RuntimeWarning)
    warnings.simplefilter("ignore", PkpdWarning)
    print(json.dumps({name: case() for name, case in CASES.items() if not sys.argv[1:] or name in sys.argv[1:]}))
