"""What an example of the page on events is, and how the engine solves it.

``docs/event_examples.py`` holds the examples, ``docs/refresh.py`` writes them into the page, ``docs/event_figures.py``
draws them, ``tests/test_event_page.py`` holds what the page says about them against the engine's numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

import pkpd
from pkpd.data import Events
from pkpd.engine import Program, bind, compile_model, predict

Floats = npt.NDArray[np.float64]

BASE = """
title = "One compartment and many ways in"

[units]
time   = "h"
amount = "mg"

[parameters]
ka   = { typical = 0.5, unit = "1/h", label = "absorption rate constant" }
cl   = { typical = 2, unit = "L/h", label = "clearance" }
v    = { typical = 20, unit = "L", label = "volume" }
tlag = { typical = 6, unit = "h", label = "lag" }
f    = { typical = 0.5, unit = "1", label = "bioavailability" }
dur  = { typical = 10, unit = "h", label = "duration of an input" }
rin  = { typical = 20, unit = "mg/h", label = "rate of an input" }

[routes]
iv    = { into = "central", cmt = 1 }
oral  = { into = "depot", cmt = 2 }
late  = { into = "central", cmt = 3, lag = "tlag" }
part  = { into = "central", cmt = 4, bioavailability = "f" }
slow  = { into = "central", cmt = 5, bioavailability = "f", duration = "dur" }
pump  = { into = "central", cmt = 6, rate = "rin" }
patch = { into = "central", cmt = 7, duration = "dur" }

[dynamics]
equations = '''
cp = central / v
d/dt(depot)   = -ka * depot
d/dt(central) = ka * depot - cl * cp
'''

[outputs]
cp = { unit = "mg/L", label = "drug in plasma" }
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """A dose where it goes in: at once (`end` None), or from `time` to `end`.

    Attributes
    ----------
    who : str
        The ID.
    time, end : float
        h.
    amount : float
        Of a bolus in mg (or in the unit of its route); of an infusion its rate in mg/h.
    given : float, optional
        When it was given, if it arrives late.
    past : bool
        It belongs to the train before the record of a steady state.
    text : str
        Written beside it, if not the amount.
    lane : int
        Where it is drawn, from above; one lane an ID where it is left out.
    """

    who: str
    time: float
    amount: float
    end: float | None = None
    given: float | None = None
    past: bool = False
    text: str | None = None
    lane: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Rows as a user writes them, one curve an ID, and the doses that they mean.

    Attributes
    ----------
    rows : str
        A data file.
    labels : dict
        What to call the curve of each ID.
    sentences : dict
        The same as the doses of an ID, as a regimen.
    marks : tuple of Mark
    model : str
        TOML; shown on the page where it is not the common one.
    carry : str
        How covariates hold between rows.
    until, step : float
        Last time and distance of ticks, h.
    start : float
        First time drawn, h.
    lines : dict
        What stands at a dashed line, by time, h.
    floor : float
        The lowest value drawn.
    alt : str
        The picture in words.
    """

    rows: str
    labels: dict[str, str] = field(default_factory=lambda: {"1": ""})
    sentences: dict[str, str] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    model: str = BASE
    carry: str = "nocb"
    until: float = 24.0
    step: float = 6.0
    start: float = 0.0
    lines: dict[float, str] = field(default_factory=dict)
    floor: float = 0.0
    alt: str = ""

    @property
    def table(self) -> dict[str, list[str]]:
        """The rows, as columns of text."""
        head, *lines = [line.split() for line in self.rows.strip().splitlines()]
        return {name: [line[i] for line in lines] for i, name in enumerate(head)}

    @property
    def times(self) -> Floats:
        """Where the curves are looked at, h; whole hours, at which things happen, are among them."""
        fine = np.arange(0.0, self.until + 1e-9, self.until / 1200)
        return np.union1d(np.round(fine, 9), np.arange(0.0, self.until + 1))


@dataclass(frozen=True, slots=True)
class Course:
    """What the engine says of one ID.

    Attributes
    ----------
    time : (T,) array
        h, on the clock that runs on; the rows' own observations left out.
    values : dict of (T,) arrays
        By name.
    seen : list of (time, dict)
        The observations that the rows themselves ask for.
    """

    time: Floats
    values: dict[str, Floats]
    seen: list[tuple[float, dict[str, float]]]


@cache
def program_of(model: str, observe: str) -> Program:
    """Compile a model for one name."""
    return compile_model(pkpd.Model(model), [observe])


def with_times(table: dict[str, list[str]], times: Floats) -> tuple[dict[str, list[Any]], npt.NDArray[np.bool_]]:
    """Add observations at `times` to the rows of every ID, after the rows of the same time; and which were there."""
    names = list(table)
    rows: list[tuple[list[str], bool]] = []
    lines = list(zip(*table.values(), strict=True))
    for who in dict.fromkeys(table["ID"]):
        occasion, clock = 0, -np.inf
        own: list[tuple[int, float, int, list[str], bool]] = []
        for line in lines:
            row = dict(zip(names, line, strict=True))
            if row["ID"] != who:
                continue
            time = float(row["TIME"])
            occasion += time < clock
            clock = time
            own.append((occasion, time, 0, list(line), True))
        for one in range(occasion + 1):
            last = max(time for o, time, *_ in own if o == one)
            for time in times:
                if one == occasion or time <= last:
                    fill = {"ID": who, "TIME": repr(float(time)), "EVID": "0"}
                    own.append((one, float(time), 1, [fill.get(name, ".") for name in names], False))
        rows += [(line, there) for *_, line, there in sorted(own, key=lambda row: row[:3])]
    columns: dict[str, list[Any]] = {name: [line[i] for line, _ in rows] for i, name in enumerate(names)}
    return columns, np.array([there for _, there in rows])


def run(example: Example, observe: tuple[str, ...] | None = None, times: Floats | None = None) -> dict[str, Course]:
    """Let the engine solve an example; by ID."""
    columns, there = with_times(example.table, example.times if times is None else times)
    events = pkpd.read_data(columns, carry=example.carry).events()
    return _solve(events, example.model, observe, there)


def run_sentence(example: Example, who: str) -> Course:
    """Solve the regimen that an example gives for one ID as a sentence, at the same times."""
    regimen = pkpd.Regimen.read(example.sentences[who], "h")
    events = Events.from_regimens([(who, regimen, example.times, {})], time_unit="h")
    return _solve(events, example.model, None, np.zeros(len(events), bool))[who]


def _solve(
    events: Events, model: str, observe: tuple[str, ...] | None, there: npt.NDArray[np.bool_]
) -> dict[str, Course]:
    parsed = pkpd.Model(model)
    values = [p.typical for p in parsed.parameters.values()]
    found: dict[str, Floats] = {}
    for name in observe or parsed.outputs:
        program = program_of(model, name)
        schedule = bind(program, events)
        answer = predict(program, schedule, values, rtol=1e-10)
        answer.raise_failures()
        found[name] = answer.f.ravel()
    time, source = events.time[schedule.record_row], events.source_row[schedule.record_row]
    own = there[np.maximum(source, 0)] & (source >= 0)
    courses = {}
    for s, who in enumerate(schedule.subjects):
        mine = schedule.record_subject == s
        seen = [(float(time[i]), {name: float(f[i]) for name, f in found.items()}) for i in np.flatnonzero(mine & own)]
        smooth = mine & ~own
        courses[who] = Course(time[smooth], {name: f[smooth] for name, f in found.items()}, seen)
    return courses
