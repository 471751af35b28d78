"""Models and events that exercise the engine."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.data.events import Events
from pkpd.data.regimen import Dose, Regimen
from pkpd.model.model import Model

#: Everything a parameter can act through: lag, bioavailability, a modelled duration, a start, a power, a nested choice.
EVERYTHING = """
title = "a bit of everything"
[units]
time = "h"
amount = "mg"
[covariates]
WT = { unit = "kg", reference = 70 }
[parameters]
cl = { typical = 3.0, unit = "L/h", times = "(WT / 70) ** 0.75" }
v = { typical = 20.0, unit = "L", times = "WT / 70" }
q = { typical = 4.0, unit = "L/h" }
v2 = { typical = 30.0, unit = "L" }
ka = { typical = 1.3, unit = "1/h" }
tlag = { typical = 0.7, unit = "h" }
f1 = { typical = 0.6, unit = "1", transform = "logit", lower = 0, upper = 1 }
dur = { typical = 2.5, unit = "h" }
rin = { typical = 30.0, unit = "mg/h" }
ke0 = { typical = 0.4, unit = "1/h" }
ec50 = { typical = 0.8, unit = "mg/L" }
gamma = { typical = 1.6, unit = "1" }
base = { typical = 50.0, unit = "1" }
kout = { typical = 0.15, unit = "1/h" }
[routes]
oral = { into = "depot", lag = "tlag", bioavailability = "f1" }
iv = { into = "central" }
slow = { into = "central", duration = "dur", bioavailability = "f1", lag = "0.5 * tlag" }
steady = { into = "central", rate = "rin", bioavailability = "f1" }
[dynamics]
equations = '''
cp = central / v
inh = ce ** gamma / (ec50 ** gamma + ce ** gamma)
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp - q * (cp - p1 / v2)
d/dt(p1) = q * (cp - p1 / v2)
d/dt(ce) = ke0 * (cp - ce)
d/dt(r) = kout * (base * (1 - inh) - r)
r(0) = base
'''
[outputs]
cp = { unit = "mg/L", dvid = 1 }
r = { unit = "1", dvid = 2 }
"""


@pytest.fixture(scope="session")
def everything() -> Model:
    """A non-linear model with every way in which a parameter can act."""
    return Model(EVERYTHING)


@pytest.fixture(scope="session")
def people() -> Events:
    """Five people with unlike regimens by every route, and unlike observation times."""
    plans = [
        Regimen.every(12, amount=100, n=4, route="oral"),
        Dose(120, route="iv") + Dose(80, time=10, over=3, route="iv"),
        Dose(150, route="slow") + Dose(50, time=20, rate=25, route="iv"),
        Dose(90, route="steady") + Dose(60, time=7, route="oral"),
        Regimen.every(6, amount=70, n=6, route="slow") + Dose(100, time=1, route="oral"),
    ]
    times = [np.linspace(0.3 + 0.1 * i, 40 + 3 * i, 17 + i) for i in range(5)]
    return Events.from_regimens(
        [(str(i + 1), plan, t, {"WT": 60.0 + 5 * i}) for i, (plan, t) in enumerate(zip(plans, times, strict=True))],
        outputs=["cp", "r"],
    )
