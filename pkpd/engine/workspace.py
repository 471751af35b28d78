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

#: The generated functions, by their place in the table of addresses; see `pkpd.engine.lower`, and `pkpd.engine.lanes`
#: for the last five.
FUNCTIONS = (
    "switches",
    "hoist",
    "initial",
    "inputs",
    "flow",
    "rhs",
    "observe",
    "jacobian",
    "factor",
    "solve",
    "couple",
    "linear",
    "expand",
    "expand_along",
    "square",
    "square_along",
    "apply",
    "apply_along",
    "amplitudes",
    "modal",
    "modal_free",
    "modal_inner",
    "modal_inner_free",
    "weigh",
    "weights",
    "combine",
    "norm",
    "accept",
)
SWITCHES, HOIST, INITIAL, INPUTS, FLOW, RHS, OBSERVE, JACOBIAN, FACTOR, SOLVE, COUPLE = range(11)
LINEAR, EXPAND, EXPAND_ALONG, SQUARE, SQUARE_ALONG, APPLY, APPLY_ALONG = range(11, 18)
AMPLITUDES, MODAL, MODAL_FREE, MODAL_INNER, MODAL_INNER_FREE = range(18, 23)
WEIGH, WEIGHTS, COMBINE, NORM, ACCEPT = range(23, 28)

# Kinds of event.
OBSERVATION, BOLUS, INFUSION, INFUSION_END, RESET, COVARIATES, STEADY, SWITCH = range(8)
CANCELLED = -1
# Ways in which a dose is given (the `mode` of a dose in the schedule).
AS_BOLUS, AT_RATE, OVER_DURATION, AT_MODELLED_RATE, OVER_MODELLED_DURATION, ENDLESS = 1, 2, 3, 4, 5, 6
# Verdicts.
DONE, STEP_TOO_SMALL, TOO_MANY_STEPS, BAD_VALUES, BAD_INPUT, STIFF, NO_STEADY_STATE, TOO_MANY_INFUSIONS = range(8)
NOT_A_NUMBER, TOO_FAST = 8, 9
# Kinds of steady state: instead of what is there (SS = 1), on top of it (SS = 2), of an infusion without end, without
# any doses.
INSTEAD, ON_TOP, WITHOUT_END, UNDOSED = 1, 2, 3, 4
#: Cycles that the search for a steady state remembers, and after which it gives up.
MEMORY, MOST_CYCLES = 12, 300
#: Infusions of a train that may overlap at its steady state.
OVERLAP = 64
# Methods: of the states that are integrated; EXACT where there are none.
EXPLICIT, ROSENBROCK, EXACT = 0, 1, 2
#: Steps between two events after which the explicit pair gives a subject up to the Rosenbrock method; and the same
#: where a step of that method costs much more (sensitivities), or the fast parts of the kinetics do not shorten the
#: steps (they are advanced exactly).
PATIENCE, LONG_PATIENCE = 60, 400
#: Fields of an input, as `pkpd.engine.lower.INPUT_FIELDS`.
FIELDS = 5
#: Stages of each method.
STAGES = (7, 8, 0)
#: Rows that hold the coefficients of a method.
TABLEAU = 32
#: Halvings of a span beyond which squaring costs the slow part of a linear system more than nine digits are worth.
MOST_HALVINGS = 22


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the arrays of the generated functions are."""

    states: int
    solved: int
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
    switches: int
    lines: int
    pattern: int
    closure: int
    expanded: int
    active: int
    mode_length: int
    steady_feed: int

    @property
    def augmented(self) -> int:
        """Length of the state with its sensitivities."""
        return self.states * (1 + self.sensitivities)

    @property
    def integrated(self) -> int:
        """Length of the part of it that is integrated: it comes first."""
        return self.solved * (1 + self.sensitivities)

    def to_dict(self) -> dict[str, int]:
        """For the cache."""
        return asdict(self)


class Batch(NamedTuple):
    """Where the subjects' data and results are: addresses of arrays that stay outside, and three switches.

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
    mode_row: int
    modes: int
    active: int
    inclusive: int
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
    solved: int
    size: int
    integrated: int
    wrt: int
    parameters: int
    covariates: int
    lines: int
    observables: int
    stored: int
    entries: int
    switches: int
    tail: int
    mode_length: int
    steady_feed: int
    pattern: int
    closure: int
    events: int
    doses: int
    stride: int
    stages: int
    # doubles
    shape: int
    tableau: int
    one: int
    inverse: int
    place: int
    p: int
    c: int
    slopes: int
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
    flags: int
    switch_time: int
    linear: int
    theta: int
    span: int
    scale: int
    squared: int
    e: int
    e2: int
    f: int
    f2: int
    nothing: int
    modal: int
    modes: int
    amplitudes: int
    advanced: int
    event_time: int
    event_key: int
    dose: int
    window_time: int
    kept: int
    guess: int
    begun: int
    moved: int
    residuals: int
    images: int
    basis: int
    small: int
    step: int
    stop: int
    old_error: int
    last_step: int
    floor: int
    steady_end: int
    steady_span: int
    doubles: int
    # integers
    event_kind: int
    event_index: int
    window_kind: int
    window_dose: int
    subject: int
    halvings: int
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
    too_fast: int
    left: int
    steady: int
    steady_item: int
    window_pointer: int
    window_count: int
    cycles: int
    integers: int


#: One number a lane, each in a row of its own; all are cleared when a lane takes a subject.
LANE_DOUBLES = ("step", "stop", "old_error", "last_step", "floor", "steady_end", "steady_span")
#: The same for whole numbers: place in the list of events and their number, infusions that run, whether the lane was
#: disturbed, steps tried, the counts of the test for stiffness, whether the last step was rejected, whether an
#: observation waits, steps since the last event, whether the rates are too fast for the matrix exponential,
#: observations left; and of a search for a steady state: its kind, its item, place in and number of its events, cycles.
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
    "too_fast",
    "left",
    "steady",
    "steady_item",
    "window_pointer",
    "window_count",
    "cycles",
)


def make_layout(size: Sizes, method: int, stored: int, events: int, doses: int, steady: bool) -> Layout:
    """Lay out the work space for a program of `size` (`pkpd.engine.lower.Sizes`)."""
    n, wrt = size.states, size.sensitivities
    events += size.switches
    total = size.augmented
    stages = STAGES[method]
    stride = 3 + 3 * wrt
    ways = size.inputs if steady else 0
    fields: dict[str, int] = {}
    position = 0
    rows = {
        "shape": 1,
        "tableau": TABLEAU,
        "one": 1,
        "inverse": 1,
        "place": 1,
        "p": size.parameters,
        "c": size.covariates,
        "slopes": size.lines,
        "amount": 2,
        "h": size.hoisted,
        "t": 1,
        "ts": 1,
        "y": total,
        "ynew": total,
        "tolerance": total + 1,
        "inflow": total,
        "k": max(total, size.integrated * stages),
        "stage": total,
        "zero": total,
        "error": total,
        "norm": 3,
        "coefficients": 8,
        "mask": 1,
        "observed": size.observables * (1 + wrt),
        "ways": size.inputs * FIELDS * (1 + wrt),
        "jacobian": size.jacobian + size.integrated,
        "shift": 1,
        "factors": size.factors,
        "right": total,
        "coupled": total,
        "flags": size.switches,
        "switch_time": size.switches * (1 + wrt),
        "linear": 2 + size.pattern * (1 + size.active),
        "theta": 1,
        "span": 1,
        "scale": 1,
        "squared": 1,
        "e": size.expanded,
        "e2": size.closure,
        "f": size.closure * size.active,
        "f2": size.closure * size.active,
        "nothing": size.closure,
        "modal": 1,
        "modes": size.mode_length,
        "amplitudes": 2 * (n - size.solved),
        "advanced": n,
        "event_time": events,
        "event_key": events,
        "dose": doses * stride,
        "window_time": 2 * ways,
        "kept": 2 * total if ways else 0,
        "guess": total if ways else 0,
        "begun": total if ways else 0,
        "moved": total if ways else 0,
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
        "halvings": 1,
    }
    for name, count in (counts | dict.fromkeys(LANE_INTEGERS, 1)).items():
        fields[name] = position
        position += count * WIDTH
    return Layout(
        n=n,
        solved=size.solved,
        size=total,
        integrated=size.integrated,
        wrt=wrt,
        parameters=size.parameters,
        covariates=size.covariates,
        lines=size.lines,
        observables=size.observables,
        stored=stored,
        entries=size.jacobian,
        switches=size.switches,
        tail=size.solved * WIDTH,
        mode_length=size.mode_length,
        steady_feed=size.steady_feed,
        pattern=size.pattern,
        closure=size.closure,
        events=events,
        doses=doses,
        stride=stride,
        stages=stages,
        doubles=doubles,
        integers=position,
        **fields,
    )


#: Whole numbers and addresses that the solver's entry takes.
ENTRY_ARGUMENTS = 11
