"""The models that are timed, once as the package reads them and once for the peer.

The peer's right-hand sides are written out as straight-line source from the same equations, with everything that
depends on parameters alone computed once per subject, and common terms shared: no worse than what a simulator's
translator, or a careful person, gives to a C compiler.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tests.benchmarks.peer import Plan

Floats = npt.NDArray[np.float64]

KETAMINE = """
title = "ketamine, norketamine and an effect"
[units]
time = "h"
amount = "mg"
[parameters]
cl = { typical = 80.0, unit = "L/h" }
v1 = { typical = 25.0, unit = "L" }
q2 = { typical = 160.0, unit = "L/h" }
v2 = { typical = 56.0, unit = "L" }
q3 = { typical = 79.0, unit = "L/h" }
v3 = { typical = 157.0, unit = "L" }
fm = { typical = 0.8, unit = "1" }
cln = { typical = 57.0, unit = "L/h" }
vn = { typical = 98.0, unit = "L" }
qn = { typical = 42.0, unit = "L/h" }
vn2 = { typical = 160.0, unit = "L" }
ke0 = { typical = 0.5, unit = "1/h" }
emax = { typical = 1.0, unit = "1" }
ec50 = { typical = 0.02, unit = "mg/L" }
gamma = { typical = 1.7, unit = "1" }
tau = { typical = 6.0, unit = "h" }
kout = { typical = 0.05, unit = "1/h" }
r0 = { typical = 100.0, unit = "1" }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
cp = central / v1
cn = nor / vn
d/dt(central) = -cl * cp - q2 * (cp - p1 / v2) - q3 * (cp - p2 / v3)
d/dt(p1) = q2 * (cp - p1 / v2)
d/dt(p2) = q3 * (cp - p2 / v3)
d/dt(nor) = fm * cl * cp - cln * cn - qn * (cn - nor2 / vn2)
d/dt(nor2) = qn * (cn - nor2 / vn2)
d/dt(ce) = ke0 * (cp - ce)
s = emax * ce ** gamma / (ec50 ** gamma + ce ** gamma)
d/dt(m1) = (s - m1) / tau
d/dt(m2) = (m1 - m2) / tau
d/dt(r) = kout * r0 * (1 - m2) - kout * r
r(0) = r0
'''
[outputs]
cp = { unit = "mg/L" }
cn = { unit = "mg/L" }
r = { unit = "1" }
"""

ORAL = """
title = "two compartments, oral"
[units]
time = "h"
amount = "mg"
[parameters]
ka = { typical = 1.2, unit = "1/h" }
cl = { typical = 5.0, unit = "L/h" }
v1 = { typical = 50.0, unit = "L" }
q = { typical = 8.0, unit = "L/h" }
v2 = { typical = 100.0, unit = "L" }
[routes]
oral = { into = "depot" }
[dynamics]
equations = '''
cp = central / v1
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp - q * (cp - peripheral / v2)
d/dt(peripheral) = q * (cp - peripheral / v2)
'''
[outputs]
cp = { unit = "mg/L" }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Equations of a model in a shape from which the peer's source is written.

    Attributes
    ----------
    coefficients : dict
        Products of powers of parameters, which are all that the rates need to know of them.
    rates : dict
        Derivative of every state; ``rate`` is the infusion, which like a bolus goes into the first state.
    guarded : dict
        Names for what is not algebra: Python source, evaluated before the rates.
    slopes : dict
        Derivative of a guarded name with respect to a state, by the name of another.
    start : dict
        States that do not start at 0.
    outputs : dict
    """

    coefficients: dict[str, str]
    rates: dict[str, str]
    guarded: dict[str, str] = field(default_factory=dict)
    slopes: dict[tuple[str, str], str] = field(default_factory=dict)
    start: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str]


KETAMINE_SYSTEM = System(
    coefficients={
        "k10": "cl / v1",
        "k12": "q2 / v1",
        "k21": "q2 / v2",
        "k13": "q3 / v1",
        "k31": "q3 / v3",
        "kf": "fm * cl / v1",
        "kn": "cln / vn",
        "kn12": "qn / vn",
        "kn21": "qn / vn2",
        "kce": "ke0 / v1",
        "ke0": "ke0",
        "emax": "emax",
        "gamma": "gamma",
        "e50": "ec50 ** gamma",
        "ktr": "1 / tau",
        "kin": "kout * r0",
        "kout": "kout",
        "r0": "r0",
        "w1": "1 / v1",
        "wn": "1 / vn",
    },
    rates={
        "central": "rate - (k10 + k12 + k13) * central + k21 * p1 + k31 * p2",
        "p1": "k12 * central - k21 * p1",
        "p2": "k13 * central - k31 * p2",
        "nor": "kf * central - (kn + kn12) * nor + kn21 * nor2",
        "nor2": "kn12 * nor - kn21 * nor2",
        "ce": "kce * central - ke0 * ce",
        "m1": "ktr * (emax * u / (e50 + u) - m1)",
        "m2": "ktr * (m1 - m2)",
        "r": "kin * (1 - m2) - kout * r",
    },
    guarded={"u": "ce ** gamma if ce > 0.0 else 0.0", "du": "gamma * u / ce if ce > 0.0 else 0.0"},
    slopes={("u", "ce"): "du"},
    start={"r": "r0"},
    outputs={"cp": "central * w1", "cn": "nor * wn", "r": "r"},
)

ORAL_SYSTEM = System(
    coefficients={"ka": "ka", "k10": "cl / v1", "k12": "q / v1", "k21": "q / v2", "w1": "1 / v1"},
    rates={
        "depot": "rate - ka * depot",
        "central": "ka * depot - (k10 + k12) * central + k21 * peripheral",
        "peripheral": "k12 * central - k21 * peripheral",
    },
    outputs={"cp": "central * w1"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A model, what is given, when it is observed, and who takes part.

    Attributes
    ----------
    name, title : str
    text : str
        The model, as the package reads it.
    system : System
        The model, as the peer needs it.
    doses : tuple of (time, amount, duration)
    times : (T,) array
        Observation times, h.
    route : str
    multiply : dict
        What the typical value of a parameter is multiplied by.
    steady : tuple of str
        Parameters without variability.
    wrt : tuple of str
        Parameters with respect to which sensitivities are wanted.
    """

    name: str
    title: str
    text: str
    system: System
    doses: tuple[tuple[float, float, float], ...]
    times: Floats
    route: str
    multiply: dict[str, float] = field(default_factory=dict)
    steady: tuple[str, ...] = ()
    wrt: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan:
        """The peer's schedule."""
        return Plan.of(self.doses, self.times)

    def values(self, names: tuple[str, ...], typical: Floats, subjects: int, seed: int = 1) -> Floats:
        """Parameters of subjects, 30 % log-normal about the typical values: (subjects, parameters)."""
        rng = np.random.default_rng(seed)
        values = typical * np.exp(0.3 * rng.standard_normal((subjects, len(names))))
        for i, name in enumerate(names):
            if name in self.steady:
                values[:, i] = typical[i]
            values[:, i] *= self.multiply.get(name, 1.0)
        return values


INFUSIONS = tuple((84.0 * i, 35.0, 2 / 3) for i in range(8))
WEEKS = np.linspace(0, 672, 101)[1:]
WRT = ("cl", "v1", "q2", "v2", "cln", "ke0", "ec50", "kout")


def _ketamine(name: str, title: str, multiply: dict[str, float] | None = None, wrt: tuple[str, ...] = ()) -> Bench:
    return Bench(
        name=name,
        title=title,
        text=KETAMINE,
        system=KETAMINE_SYSTEM,
        doses=INFUSIONS,
        times=WEEKS,
        route="iv",
        multiply=multiply or {},
        steady=("fm", "r0"),
        wrt=wrt,
    )


BENCHES = {
    bench.name: bench
    for bench in (
        _ketamine("nine", "Nine states: ketamine, norketamine, effect"),
        _ketamine("stiff", "Stiff: ke0 × 500", {"ke0": 500.0}),
        _ketamine("sensitivities", "Nine states with sensitivities to 8 parameters", wrt=WRT),
        Bench(
            name="oral",
            title="Two compartments, oral, 14 doses",
            text=ORAL,
            system=ORAL_SYSTEM,
            doses=tuple((12.0 * i, 100.0, 0.0) for i in range(14)),
            times=np.linspace(0, 168, 101)[1:],
            route="oral",
        ),
    )
}
