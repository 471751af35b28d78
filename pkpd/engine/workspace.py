"""What the solver's compiled code and its callers agree on: codes, and where each array lies in the work space.

Kept apart from the solver itself, so that a solver compiled by an earlier process runs without importing numba.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

#: Subjects side by side: eight doubles fill one 512-bit or two 256-bit registers.
WIDTH = 8
#: Arrays that every generated function takes.
POINTERS = 6

# Functions, by their place in the table of addresses.
HOIST, INITIAL, INPUTS, RHS, OBSERVE, JACOBIAN, FACTOR, SOLVE, COUPLE, COMBINE, NORM, ACCEPT = range(12)
FUNCTIONS = (
    "hoist",
    "initial",
    "inputs",
    "rhs",
    "observe",
    "jacobian",
    "factor",
    "solve",
    "couple",
    "combine",
    "norm",
    "accept",
)

# Kinds of event.
OBSERVATION, BOLUS, INFUSION, INFUSION_END, RESET, COVARIATES, STEADY = range(7)
CANCELLED = -1
# Ways in which a dose is given (the `mode` of a dose in the schedule).
AS_BOLUS, AT_RATE, OVER_DURATION, AT_MODELLED_RATE, OVER_MODELLED_DURATION, ENDLESS = 1, 2, 3, 4, 5, 6
# Verdicts.
DONE, STEP_TOO_SMALL, TOO_MANY_STEPS, BAD_VALUES, BAD_INPUT, STIFF, NO_STEADY_STATE, TOO_MANY_INFUSIONS = range(8)
# Kinds of steady state: instead of what is there (SS = 1), on top of it (SS = 2), of an infusion without end.
INSTEAD, ON_TOP, WITHOUT_END = 1, 2, 3
#: Cycles that the search for a steady state remembers, and after which it gives up.
MEMORY, MOST_CYCLES = 12, 300
#: Infusions of a train that may overlap at its steady state.
OVERLAP = 64
# Methods.
EXPLICIT, ROSENBROCK = 0, 1
#: Steps between two events after which the explicit pair gives a subject up to the Rosenbrock method.
PATIENCE = 60
#: Fields of an input, as `pkpd.engine.lower.INPUT_FIELDS`.
FIELDS = 5
STAGES = (7, 8)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the arrays of the generated functions are."""

    states: int
    parameters: int
    covariates: int
    sensitivities: int
    observables: int
    inputs: int
    hoisted: int
    jacobian: int
    factors: int
    time_dependent: int
    moving_bolus: int

    @property
    def augmented(self) -> int:
        """Length of the state with its sensitivities."""
        return self.states * (1 + self.sensitivities)

    def to_dict(self) -> dict[str, int]:
        """For the cache."""
        return asdict(self)


class Batch(NamedTuple):
    """Where the subjects' data and results are: pointers to arrays that stay outside, and three switches.

    Items are what happens at fixed times: observations, resets, new covariate values. ``item_index`` is the record of
    an observation, the row of a reset or of covariate values. Rows are rows of the covariate table.
    """

    order: int
    values: int
    item_start: int
    item_time: int
    item_key: int
    item_kind: int
    item_index: int
    dose_start: int
    dose_time: int
    dose_key: int
    dose_record: int
    dose_row: int
    dose_input: int
    dose_mode: int
    dose_amount: int
    dose_rate: int
    dose_duration: int
    steady_row: int
    steady_interval: int
    steady_kind: int
    input_state: int
    first_row: int
    start_time: int
    covariates: int
    record_output: int
    f: int
    df: int
    verdict: int
    end_time: int
    steps: int
    moving: int
    autonomous: int
    all_outputs: int


class Layout(NamedTuple):
    """Sizes of the problem, and where each array begins in ``w`` (doubles) or ``q`` (integers)."""

    n: int
    size: int
    wrt: int
    parameters: int
    covariates: int
    observables: int
    stored: int
    entries: int
    events: int
    doses: int
    stride: int
    stages: int
    # doubles
    shape: int
    p: int
    c: int
    amount: int
    h: int
    t: int
    ts: int
    y: int
    ynew: int
    tolerance: int
    inflow: int
    k: int
    stage: int
    zero: int
    error: int
    norm: int
    coefficients: int
    mask: int
    observed: int
    ways: int
    jacobian: int
    shift: int
    factors: int
    right: int
    coupled: int
    event_time: int
    event_key: int
    dose: int
    window_time: int
    kept: int
    guess: int
    residuals: int
    images: int
    basis: int
    small: int
    step: int
    stop: int
    old_error: int
    last_step: int
    steady_end: int
    steady_span: int
    doubles: int
    # integers
    event_kind: int
    event_index: int
    window_kind: int
    window_dose: int
    subject: int
    pointer: int
    count: int
    running: int
    fresh: int
    tried: int
    stiff_count: int
    mild_count: int
    rejected: int
    found: int
    since: int
    steady: int
    steady_item: int
    window_pointer: int
    window_count: int
    cycles: int
    integers: int


#: One number a lane, each in a row of its own; all are cleared when a lane takes a subject.
LANE_DOUBLES = ("step", "stop", "old_error", "last_step", "steady_end", "steady_span")
#: The same for whole numbers: place in the list of events and their number, infusions that run, whether the lane was
#: disturbed, steps tried, the counts of the test for stiffness, whether the last step was rejected, whether an
#: observation waits, steps since the last event; and of a search for a steady state: its kind, its item, place in and
#: number of its events, cycles so far.
LANE_INTEGERS = (
    "pointer",
    "count",
    "running",
    "fresh",
    "tried",
    "stiff_count",
    "mild_count",
    "rejected",
    "found",
    "since",
    "steady",
    "steady_item",
    "window_pointer",
    "window_count",
    "cycles",
)


def make_layout(size: Sizes, method: int, stored: int, events: int, doses: int, steady: bool) -> Layout:
    """Lay out the work space for a program of `size` (`pkpd.engine.lower.Sizes`)."""
    n, wrt = size.states, size.sensitivities
    total = size.augmented
    stages = STAGES[method]
    stride = 3 + 3 * wrt
    ways = size.inputs if steady else 0
    fields: dict[str, int] = {}
    position = 0
    rows = {
        "shape": 1,
        "p": size.parameters,
        "c": size.covariates,
        "amount": 1,
        "h": size.hoisted,
        "t": 1,
        "ts": 1,
        "y": total,
        "ynew": total,
        "tolerance": total + 1,
        "inflow": total,
        "k": total * stages,
        "stage": total,
        "zero": total,
        "error": total,
        "norm": 1,
        "coefficients": 8,
        "mask": 1,
        "observed": size.observables * (1 + wrt),
        "ways": size.inputs * FIELDS * (1 + wrt),
        "jacobian": size.jacobian + total,
        "shift": 1,
        "factors": size.factors,
        "right": total,
        "coupled": total,
        "event_time": events,
        "event_key": events,
        "dose": doses * stride,
        "window_time": 2 * ways,
        "kept": 2 * total if ways else 0,
        "guess": total if ways else 0,
        "residuals": (MEMORY + 1) * total if ways else 0,
        "images": (MEMORY + 1) * total if ways else 0,
        "basis": MEMORY * total if ways else 0,
        "small": MEMORY * (MEMORY + 2) if ways else 0,
    }
    rows |= dict.fromkeys(LANE_DOUBLES, 1)
    for name, count in rows.items():
        fields[name] = position
        position += count * WIDTH
    doubles = position
    position = 0
    counts = {
        "event_kind": events,
        "event_index": events,
        "window_kind": 2 * ways,
        "window_dose": 2 * ways,
        "subject": 1,
    }
    for name, count in (counts | dict.fromkeys(LANE_INTEGERS, 1)).items():
        fields[name] = position
        position += count * WIDTH
    return Layout(
        n=n,
        size=total,
        wrt=wrt,
        parameters=size.parameters,
        covariates=size.covariates,
        observables=size.observables,
        stored=stored,
        entries=size.jacobian,
        events=events,
        doses=doses,
        stride=stride,
        stages=stages,
        doubles=doubles,
        integers=position,
        **fields,
    )


#: Whole numbers and addresses that the solver's entry takes: eleven of its own, then the fields of `Batch`.
ENTRY_ARGUMENTS = 11 + len(Batch._fields)
