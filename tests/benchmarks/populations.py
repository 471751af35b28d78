"""Population fits: seconds and memory, each in a process of its own, after machine code is there.

Starting values are a third off. `theophylline` also runs the peer, FOCE with interaction written plainly with NumPy and
SciPy (:mod:`tests.benchmarks.plain`). Other tools need, on the machines of those who measured them: theophylline FOCE-I
4.4 s (nlmixr2 6.0) and 4.4 s (pynlme); SAEM 6 s (nlmixr2), 1.3 s (pynlme); the effect case 252 s and 135 s (nlmixr2,
FOCE-I and SAEM); 80 people 66 s (nlmixr2).
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import pkpd
from pkpd import engine
from pkpd.data import Dataset, Events, read_data
from pkpd.estimation import Estimator
from tests.benchmarks.plain import Person, fit_plain

__all__ = ["CASES", "populations"]

_THEOPHYLLINE = Path(__file__).parents[2] / "fits" / "theophylline_individual" / "data.csv"
_SCORES = Path(__file__).parents[2] / "fits" / "ketamine_fatigue_virtual"
_ABSORBED = """
title = "{title}"

[units]
time = "h"
amount = "mg"

[parameters]
ka = {{ typical = 1.2, unit = "1/h", iiv = 0.15 }}
{parameters}

[routes]
oral = {{ into = "depot" }}

[dynamics]
equations = '''
{equations}
'''

[outputs]
{outputs}
"""
_ONE = _ABSORBED.format(
    title="One compartment",
    parameters='cl = { typical = 4, unit = "L/h", iiv = 0.09 }\nv = { typical = 30, unit = "L", iiv = 0.06 }',
    equations="cp = central / v\nd/dt(depot) = -ka * depot\nd/dt(central) = ka * depot - cl * cp",
    outputs='cp = { unit = "mg/L", dvid = 1, prop = 0.15 }',
)
_TWO = _ABSORBED.format(
    title="Two compartments",
    parameters="""cl = { typical = 4, unit = "L/h", iiv = 0.09 }
v1 = { typical = 30, unit = "L", iiv = 0.06 }
q = { typical = 3, unit = "L/h" }
v2 = { typical = 60, unit = "L" }""",
    equations="""cp = central / v1
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp - q * (cp - peripheral / v2)
d/dt(peripheral) = q * (cp - peripheral / v2)""",
    outputs='cp = { unit = "mg/L", dvid = 1, prop = 0.15 }',
)
_EFFECT = _ABSORBED.format(
    title="Turnover whose production a drug inhibits",
    parameters="""cl = { typical = 0.13, unit = "L/h", iiv = 0.09 }
v = { typical = 8, unit = "L", iiv = 0.04 }
kout = { typical = 0.05, unit = "1/h", iiv = 0.05 }
r0 = { typical = 100, unit = "%", iiv = 0.01 }
ec50 = { typical = 1.2, unit = "mg/L", iiv = 0.1 }""",
    equations="""cp = central / v
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl * cp
d/dt(pca) = kout * r0 * (1 - cp / (ec50 + cp)) - kout * pca
pca(0) = r0""",
    outputs='cp = { unit = "mg/L", dvid = 1, prop = 0.1, add = 0.2 }\npca = { unit = "%", dvid = 2, add = 4 }',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fit that is timed.

    Parameters
    ----------
    model : str
        Its text; "" for theophylline, "scores" for the simulated trial of ten people.
    people : int
    times : array of float
        Of observation, in h, of every output; 100 mg at time 0.
    estimator : Estimator
    """

    model: str
    people: int
    times: np.ndarray
    estimator: Estimator


_FEW = np.array([1, 4, 9, 24, 36, 48, 72, 120.0])
_TEN = np.array([0.5, 1, 2, 3, 5, 8, 12, 18, 24, 36])
CASES: dict[str, Case] = {
    "theophylline": Case(model="", people=12, times=_TEN, estimator=pkpd.FOCE()),
    "theophylline_saem": Case(model="", people=12, times=_TEN, estimator=pkpd.SAEM(seed=1)),
    "eighty": Case(model=_ONE, people=80, times=np.linspace(0.5, 36, 19), estimator=pkpd.FOCE()),
    "effect": Case(model=_EFFECT, people=32, times=_FEW, estimator=pkpd.FOCE()),
    "effect_saem": Case(model=_EFFECT, people=32, times=_FEW, estimator=pkpd.SAEM(seed=1)),
    "scores": Case(model="scores", people=10, times=np.zeros(0), estimator=pkpd.Laplace()),
    "thousand": Case(model=_TWO, people=1000, times=_TEN, estimator=pkpd.FOCE()),
}


def observed(model: pkpd.Model, people: int, times: np.ndarray, seed: int = 1) -> Dataset:
    """Give data drawn from a model: 100 mg by mouth, and every output at every time."""
    program, rng = engine.compile_model(model), np.random.default_rng(seed)
    own = list(model.parameters.values())
    spread = np.sqrt([p.iiv for p in own])
    values = np.array([p.typical for p in own]) * np.exp(spread * rng.standard_normal((people, len(own))))
    one = Events.from_regimens([("1", "100 mg oral", times, {})], time_unit="h")
    predicted = engine.predict(program, engine.bind(program, one.take(np.zeros(people, dtype=int))), values).f
    f = np.reshape(predicted, (people, len(times), -1))
    outputs = list(model.outputs.values())
    add, prop = (np.array([getattr(output, name) for output in outputs]) for name in ("add", "prop"))
    seen = f + np.hypot(add, prop * f) * rng.standard_normal(f.shape)
    rows, kinds = 1 + f[0].size, [output.dvid or 1 for output in outputs]
    block = {
        "TIME": np.concatenate([[0.0], np.repeat(times, len(outputs))]),
        "EVID": np.concatenate([[1], np.zeros(rows - 1)]),
        "AMT": np.concatenate([[100.0], np.zeros(rows - 1)]),
        "DVID": np.concatenate([[1], np.tile(kinds, len(times))]),
    }
    columns = {name: np.tile(column, people) for name, column in block.items()}
    dv = np.concatenate([np.full((people, 1), np.nan), seen.reshape(people, -1)], axis=1)
    return read_data({"ID": np.repeat(np.arange(1, people + 1), rows), **columns, "DV": dv.ravel()})


def posed(case: Case) -> tuple[pkpd.Model, Dataset, dict[str, float]]:
    """Give model, data and start of a case."""
    if case.model == "scores":
        data = read_data(_SCORES / "data.csv", units={"TIME": "h", "AMT": "mg", "WT": "kg"})
        start = {"base": 55, "strength": 30, "strength_m": 5, "mtt": 33, "course.size": 0.25, "course.second": 0.9}
        return pkpd.load(_SCORES / "model.toml"), data, start
    if case.model:
        model = pkpd.Model(case.model)
        return (
            model,
            observed(model, case.people, case.times),
            {n: p.typical * 1.3 for n, p in model.parameters.items()},
        )
    model = pkpd.load("theophylline_boeckmann1994")
    model = model.set({f"iiv.{name}": 0.1 for name in model.parameters})
    data = read_data(_THEOPHYLLINE, units={"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"})
    return model, data, {"ka": 1.5, "cl": 2.5, "v": 30.0, "cp.add": 1.0}


def plainly(data: Dataset) -> list[Person]:
    """Give everybody as the peer takes them."""
    people = []
    for name in data.ids:
        rows = data[name].columns
        seen = rows["EVID"] == 0
        people.append(Person(dose=float(np.nansum(rows["AMT"])), times=rows["TIME"][seen], seen=rows["DV"][seen]))
    return people


def plain(data: Dataset) -> float:
    """Give CPU seconds of the peer, without a covariance step."""
    people, begin = plainly(data), time.process_time()
    found = fit_plain(people, np.log([1.5, 2.5, 30, 0.1, 0.1, 0.1, 1.0]))
    assert abs(found.fun - 116.8034) < 1e-3
    return time.process_time() - begin


def _one(name: str, people: int | None, repeats: int, pipe: Any) -> None:
    case = CASES[name]
    case = replace(case, people=people or case.people)
    model, data, start = posed(case)
    pkpd.fit(model, data[data.ids[:8]], type(case.estimator)(**_short(case.estimator)), start=start)
    best: dict[str, Any] = {}
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        fit = pkpd.fit(model, data, case.estimator, start=start)
        row = {"wall": round(time.perf_counter() - wall, 3), "cpu": round(time.process_time() - cpu, 3)}
        if not best or row["wall"] < best["wall"]:
            best = row | {"objective": round(fit.ofv, 4), "status": fit.status}
    best["records"] = int(fit.records.sizes["record"])
    best["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if name == "theophylline":
        best["plain"] = round(plain(data), 3)
    pipe.send(best)


def _short(estimator: Estimator) -> dict[str, Any]:
    """Options for a first look, in which everything is compiled."""
    return {"seed": 1, "burn": 2, "smooth": 2} if isinstance(estimator, pkpd.SAEM) else {"max_iterations": 1}


def _child(name: str, people: int | None = None, repeats: int = 1) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_one, args=(name, people, repeats, there))
    child.start()
    there.close()
    row = here.recv()
    child.join()
    return row


def populations(*, repeats: int = 3, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Time every case; the largest also with half and a quarter of the people, for its memory."""
    say(f"\nPopulation fits, {os.cpu_count()} processors; load {os.getloadavg()[0]:.1f}")
    found: dict[str, Any] = {}
    for name, case in CASES.items():
        row = found[name] = _child(name, repeats=repeats)
        say(
            f"  {name:<18}{type(case.estimator).__name__:<6}{row['records']:>7,} records: wall {row['wall']:6.2f} s, "
            f"CPU {row['cpu']:6.2f} s, {row['peak_mib']:,} MiB; {row['status']} at {row['objective']:.3f}"
        )
    row = found["theophylline"]
    row["ratio"] = round(row["plain"] / row["cpu"], 2)
    say(f"  theophylline by NumPy and SciPy, without covariance: CPU {row['plain']:.2f} s, {row['ratio']} times ours")
    found["memory"] = []
    for people in (250, 500, 2000):
        row = _child("thousand", people)
        found["memory"].append({"people": people, "peak_mib": row["peak_mib"], "cpu": row["cpu"]})
        say(f"  {people:,} people: CPU {row['cpu']:.2f} s, peak memory {row['peak_mib']:,} MiB")
    return found
