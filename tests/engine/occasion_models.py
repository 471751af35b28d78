"""Models whose parameters differ between occasions, the same written out by hand, and people who have some."""

from __future__ import annotations

from functools import lru_cache

from pkpd.data import Events, with_occasions
from pkpd.model.model import Model
from tests.engine.draws import Row, events_of

#: The smallest.
ONE = """
title = "one compartment"
[units]
time = "h"
amount = "mg"
[parameters]
cl = { typical = 3.0, unit = "L/h", iov = 0.04 }
v = { typical = 20.0, unit = "L" }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L" }
"""
HEAD = """
title = "clearance, volume and all ways in differ between occasions"
[units]
time = "h"
amount = "mg"
[covariates]
WT = { unit = "kg" }
"""
#: An additive, a log-normal and a logit-normal effect in the dynamics; one in every way in.
PARAMETERS = {
    "cl": 'typical = 3.0, unit = "L/h", iov = 0.04, times = "(WT / 70) ** 0.75"',
    "v": 'typical = 20.0, unit = "L", iov = 4.0, transform = "none"',
    "ka": 'typical = 1.3, unit = "1/h"',
    "lag": 'typical = 0.7, unit = "h", iov = 0.2',
    "f": 'typical = 0.6, unit = "1", iov = 0.3, transform = "logit", lower = 0.1, upper = 0.9',
    "dur": 'typical = 2.5, unit = "h", iov = 0.1',
    "rin": 'typical = 30.0, unit = "mg/h", iov = 0.1',
    "out": 'typical = 0.4, unit = "1", iov = 0.1, transform = "logit", lower = 0, upper = 1',
    "base": 'typical = 5.0, unit = "mg", iov = 1.0, transform = "none"',
}
EFFECT = {"kout": 'typical = 0.3, unit = "1/h", iov = 0.1', "half": 'typical = 2.0, unit = "mg/L"'}
REST = """
[routes]
oral = { into = "depot", cmt = 1, lag = "lag", bioavailability = "f" }
iv = { into = "central", cmt = 2 }
slow = { into = "central", cmt = 3, lag = "0.5 * lag", bioavailability = "f", duration = "dur" }
paced = { into = "central", cmt = 4, bioavailability = "f", rate = "rin" }
[dynamics]
equations = '''
MORE
cp = central / v
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * (1 + out) * cp
central(0) = base
'''
[outputs]
cp = { unit = "mg/L", dvid = 1 }
"""
TURNOVER = "d/dt(r) = kout * (1 - cp / (half + cp) - r)\nr(0) = 1"
FORMS = {
    "log": "{x} * exp({k})",
    "none": "{x} + {k}",
    "logit": "{lower} + ({upper} - {lower}) / (1 + exp(-(log({x} - {lower}) - log({upper} - {x}) + {k})))",
}


@lru_cache
def model(kind: str) -> Model:
    """Linear, or with an effect that the kinetics drive."""
    effect = kind == "turnover"
    rows = PARAMETERS | (EFFECT if effect else {})
    text = HEAD + "[parameters]\n" + "".join(f"{name} = {{ {row} }}\n" for name, row in rows.items())
    outputs = 'r = { unit = "1", dvid = 2 }\n' if effect else ""
    return Model(text + REST.replace("MORE", TURNOVER if effect else "") + outputs)


@lru_cache
def by_hand(kind: str, occasions: int) -> Model:
    """The same model, with its occasions as equations of a covariate."""
    own, lines, rows = model(kind), [], ""
    for name, p in own.parameters.items():
        if not p.iov:
            rows += f"{name} = {{ {(PARAMETERS | EFFECT)[name]} }}\n"
            continue
        times = ', times = "(WT / 70) ** 0.75"' if name == "cl" else ""
        rows += f'x{name} = {{ typical = {p.typical}, unit = "{p.unit}", transform = "none"{times} }}\n'
        chosen = " + ".join(f"(k{name}{m} if PHASE == {m} else 0)" for m in range(1, occasions + 1))
        value = FORMS[p.transform].format(x=f"x{name}", k=f"({chosen})", lower=p.lower, upper=p.upper)
        lines.append(f"{name} = {value}")
    for m in range(1, occasions + 1):
        for name, p in own.parameters.items():
            unit = p.unit if p.transform == "none" else "1"
            rows += f'k{name}{m} = {{ typical = 0, unit = "{unit}", transform = "none" }}\n' if p.iov else ""
    effect = kind == "turnover"
    outputs = 'r = { unit = "1", dvid = 2 }\n' if effect else ""
    more = "\n".join([*lines, TURNOVER if effect else ""])
    return Model(HEAD + 'PHASE = { unit = "1" }\n[parameters]\n' + rows + REST.replace("MORE", more) + outputs)


def named(by_hand: str) -> str:
    """The parameter of a program that a parameter written by hand stands for: ``xcl`` or ``kcl1``."""
    if by_hand[0] == "k" and by_hand[-1].isdigit():
        return f"{by_hand[1:-1]}@{by_hand[-1]}"
    return by_hand.removeprefix("x")


def events_with_occasions(*people: list[Row], carry: str = "nocb") -> Events:
    """Rows with a column PHASE, which is a covariate too."""
    found = events_of(*people, carry=carry)
    return with_occasions(found, found.covariate_values[:, found.covariates.index("PHASE")].astype(int))


def rows(*given: Row, outputs: int = 1, jump: bool = False) -> list[Row]:
    """Doses, a little apart from them observations; the second occasion from 20 h on, the third from 40 h on.

    `jump`: two rows at the start of an occasion, so that a line that leads to it is level.
    """
    looks: list[Row] = [
        {"TIME": t, "EVID": 0} for t in (0.013, 1.9, 7.1, 13.7, 19.3, 20.7, 23.9, 33.1, 39.9, 44.3, 55.7)
    ]
    for i, look in enumerate(looks):
        look["DVID"] = 1.0 + i % outputs
    found = sorted([*map(dict, given), *looks], key=lambda row: row["TIME"])
    for row in found:
        row["PHASE"] = 1.0 + (row["TIME"] >= 20) + (row["TIME"] >= 40)
        row["WT"] = 60.0 if row["TIME"] < 30 else 80.0
    for time, weight, phase in ((20.0, 60.0, 1.0), (40.0, 80.0, 2.0)) if jump else ():
        at = next(i for i, row in enumerate(found) if row["TIME"] >= time)
        found[at:at] = [{"TIME": time, "EVID": 2, "WT": weight, "PHASE": p} for p in (phase, phase + 1)]
    return found


#: What may happen to a person: every way in, in each occasion and across their ends.
PEOPLE: dict[str, tuple[Row, ...]] = {
    "oral": (
        {"TIME": 0, "EVID": 1, "CMT": 1, "AMT": 100, "II": 6, "ADDL": 4},
        {"TIME": 19.6, "EVID": 1, "CMT": 1, "AMT": 90},  # arrives in the next occasion
        {"TIME": 40, "EVID": 1, "CMT": 1, "AMT": 80},
    ),
    "infusions": (
        {"TIME": 0, "EVID": 1, "CMT": 3, "AMT": 100, "RATE": -2},
        {"TIME": 18.5, "EVID": 1, "CMT": 4, "AMT": 150, "RATE": -1},  # runs on in the next occasion
        {"TIME": 21, "EVID": 1, "CMT": 2, "AMT": 50, "RATE": 8},
        {"TIME": 40, "EVID": 1, "CMT": 3, "AMT": 50, "RATE": -2},
    ),
    "steady": (
        {"TIME": 0, "EVID": 1, "CMT": 1, "AMT": 60, "II": 8, "SS": 1, "ADDL": 1},
        {"TIME": 20, "EVID": 1, "CMT": 3, "AMT": 60, "II": 6, "SS": 1, "RATE": -2},
        {"TIME": 40, "EVID": 1, "CMT": 1, "AMT": 30, "II": 8, "SS": 2},
    ),
    "reset": (
        {"TIME": 0, "EVID": 1, "CMT": 2, "AMT": 100},
        {"TIME": 20, "EVID": 4, "CMT": 1, "AMT": 70},
        {"TIME": 21, "EVID": 1, "CMT": 4, "AMT": 50, "RATE": -1},
        {"TIME": 40, "EVID": 3},
        {"TIME": 41, "EVID": 1, "CMT": 4, "AMT": 50, "RATE": -1},
    ),
    "on the row": (
        {"TIME": 0, "EVID": 1, "CMT": 1, "AMT": 100, "II": 10, "ADDL": 5},
        {"TIME": 20, "EVID": 2},
        {"TIME": 40, "EVID": 2},
    ),
}


def people(kind: str, *which: str, carry: str = "nocb", jump: bool = False) -> Events:
    """Some of these people, or all of them."""
    outputs = len(model(kind).outputs)
    given = [rows(*PEOPLE[name], outputs=outputs, jump=jump) for name in which or PEOPLE]
    return events_with_occasions(*given, carry=carry)
