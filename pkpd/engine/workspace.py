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

#: The generated functions, by their place in the table of addresses; see `pkpd.engine.lower`, and
#: `pkpd.engine.algebra` for the last five.
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
    "pair_factor",
    "pair_solve",
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
SWITCHES, HOIST, INITIAL, INPUTS, FLOW, RHS, OBSERVE, JACOBIAN, FACTOR, SOLVE, PAIR_FACTOR, PAIR_SOLVE = range(12)
COUPLE, LINEAR, EXPAND, EXPAND_ALONG, SQUARE, SQUARE_ALONG, APPLY, APPLY_ALONG = range(12, 20)
AMPLITUDES, MODAL, MODAL_FREE, MODAL_INNER, MODAL_INNER_FREE = range(20, 25)
WEIGH, WEIGHTS, COMBINE, NORM, ACCEPT = range(25, 30)

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
EXPLICIT, ROSENBROCK, EXACT, COLLOCATION = 0, 1, 2, 3
#: Steps between two events after which the explicit pair gives a subject up to the Rosenbrock method; and the same
#: where a step of that method costs much more (sensitivities), or the fast parts of the kinetics do not shorten the
#: steps (they are advanced exactly).
PATIENCE, LONG_PATIENCE = 60, 400
#: Fields of an input, as `pkpd.engine.lower.INPUT_FIELDS`.
FIELDS = 5
#: Stages of each method.
STAGES = (7, 8, 0, 7)
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
    pair: int
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
    worth: int
    item_start: int
    item_time: int
    item_key: int
    item_kind: int
    item_index: int
    dose_start: int
    dose_time: int
    dose_key: int
    dose_record: int
    dose_record_time: int
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


#: Whole numbers and addresses that the solver's entry takes.
ENTRY_ARGUMENTS = 11
