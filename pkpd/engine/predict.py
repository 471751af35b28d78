"""From values of the parameters to predictions and their sensitivities, for whole batches of subjects."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pkpd.engine.layout import Layout, make_layout
from pkpd.engine.modes import decompose
from pkpd.engine.prediction import CAUSES, Failure, Prediction
from pkpd.engine.program import Functions, Program, solver
from pkpd.engine.schedule import Schedule
from pkpd.engine.tableaus import RADAU, RODAS5P, TSIT5
from pkpd.engine.workspace import (
    COLLOCATION,
    COVARIATES,
    DONE,
    EXACT,
    EXPLICIT,
    LONG_PATIENCE,
    PATIENCE,
    ROSENBROCK,
    STIFF,
    TOO_FAST,
    WIDTH,
    Batch,
    Sizes,
)
from pkpd.errors import SolveError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

Floats = npt.NDArray[np.float64]
#: Methods that can be asked for, and those there are.
METHODS = ("auto", "exact", "explicit", "rosenbrock")
_CODES = {"exact": EXACT, "exact + collocation": COLLOCATION, "explicit": EXPLICIT, "rosenbrock": ROSENBROCK}
_TABLEAUS = {EXPLICIT: TSIT5.packed(), ROSENBROCK: RODAS5P.packed(), EXACT: np.zeros(1), COLLOCATION: RADAU.packed()}
#: In place of none: it keeps nothing from being divided by nothing.
_NO_ATOL = 1e-290
#: Relative change of a steady state that counts as none where everything else is exact.
_STEADY = 1e-13
_PROCESSORS = os.cpu_count() or 1
#: Subjects that one thread takes at a time.
_PIECE = 32 * WIDTH


def predict(
    program: Program,
    schedule: Schedule,
    values: npt.ArrayLike,
    *,
    sensitivities: bool | Sequence[str] = False,
    rtol: float = 1e-8,
    atol: float | None = None,
    threads: int | None = None,
    method: str = "auto",
    max_steps: int = 100_000,
    device: str = "cpu",
) -> Prediction:
    """Predict all observations of all subjects.

    Parameters
    ----------
    program, schedule
        From `compile_model` and `bind`.
    values : (subjects, parameters) array
        Each subject's parameters, natural scale, in the order of ``program.parameters``; one row serves all subjects.
    sensitivities
        True: derivatives with respect to every parameter; or the names of some.
    rtol, atol
        Tolerances of the solver, per component of the state and of its sensitivities. Nothing is controlled more
        tightly than 1e-5 rtol of the largest value the component has had, or of a thousandth of the largest dose or
        starting value of the subject (of 1, where these are larger); nor a sensitivity more tightly than its state
        when the parameter changes by all of itself (by 1, where it is smaller). `atol`, if given, comes on top.
    threads
        None: as many as there are processors. The numbers do not depend on it.
    method
        ``"auto"``: linear equations are solved exactly. Where only a part of them is linear, that part is, and the
        rest by collocation if it is linear but for what drives it, else by an explicit pair; a subject for which the
        pair is held back by stability, or needs many steps from one event to the next, is solved by the Rosenbrock
        method instead. With sensitivities, a model that is not linear as a whole is integrated as a whole.
        ``"exact"`` insists on the first; ``"explicit"`` and ``"rosenbrock"`` integrate everything.
    max_steps
        For one subject.
    device
        ``"cpu"``, or ``"cuda"`` for an NVIDIA GPU, which needs the extra ``gpu``.

    Raises
    ------
    SolveError
        For arguments that make no sense. A subject that cannot be solved is not an error: see ``failures``.
    UsageError
        The device is not there.
    """
    if device != "cpu":
        from pkpd.engine.cuda import check_device

        check_device(device)
    wrt = _wrt(program, sensitivities)
    table = _values(program, schedule, values)
    if method not in METHODS:
        raise SolveError(f"`{method}` is not a method.", where="predict", expected=f"One of {', '.join(METHODS)}.")
    if not 0.0 < rtol < 1.0:
        raise SolveError(f"rtol is {rtol:g}.", where="predict", expected="A number between 0 and 1.")
    exact = method in ("auto", "exact")
    functions = program.functions(wrt, exact=exact, moving_covariates=schedule.moving_covariates)
    if method == "exact" and functions.method != "exact":
        raise _not_linear(program, schedule)
    insists = method == "exact"
    if functions.method in _CODES:
        method = functions.method
    run = _Run(program, functions, schedule, table, rtol, _NO_ATOL if atol is None else atol, max_steps, threads)
    run.device = device
    everybody = np.arange(len(schedule.subjects), dtype=np.int64)
    if method != "auto":
        names = np.full(len(everybody), method, dtype="U19")
        run.solve(_CODES[method], everybody, may_leave=False)
    else:
        names = np.full(len(everybody), functions.method + "explicit", dtype="U19")
        run.solve(EXPLICIT, everybody, may_leave=True)
        stiff = everybody[run.verdict == STIFF]
        names[stiff] = functions.method + "rosenbrock"
        run.solve(ROSENBROCK, stiff, may_leave=False)
    too_fast = everybody[run.verdict == TOO_FAST]
    if len(too_fast) and not insists:
        names[too_fast] = "rosenbrock"
        run.use(program.functions(wrt, exact=False, moving_covariates=schedule.moving_covariates))
        run.solve(ROSENBROCK, too_fast, may_leave=False)
    return run.prediction(names)


def _not_linear(program: Program, schedule: Schedule) -> SolveError:
    others = [name for name in program.model.states if name not in program.linear]
    if schedule.moving_covariates:
        why, remedy = "covariates that move along a line make its coefficients depend on time", "carry them by nocb"
    elif others:
        why, remedy = f"the equations of {', '.join(others)} are not linear with constant coefficients", ""
    else:
        why, remedy = "its matrix is too large", ""
    return SolveError(
        f"the model cannot be solved exactly: {why}.",
        where=f"predict, model {program.model.name}",
        expected="A linear model, whose coefficients are constant between events, of moderate size.",
        remedy=f'Use method="auto"{", or " + remedy if remedy else ""}.',
    )


class _Run:
    """One call of `predict`: the arrays, and the solver let loose on them."""

    def __init__(
        self,
        program: Program,
        functions: Functions,
        schedule: Schedule,
        values: Floats,
        rtol: float,
        atol: float,
        max_steps: int,
        threads: int | None,
    ) -> None:
        self.program, self.schedule, self.values = program, schedule, values
        wrt = self.wrt = functions.wrt
        self.rtol, self.atol, self.max_steps = rtol, atol, max_steps
        self.threads = threads or _PROCESSORS
        self.device = "cpu"
        subjects, records = len(schedule.subjects), schedule.records
        self.all_outputs = bool(np.any(schedule.record_output < 0))
        self.stored = len(program.observables) if self.all_outputs else 1
        self.f = np.full((records, self.stored), np.nan)
        self.df = np.full((records, self.stored, len(wrt)), np.nan)
        self.verdict = np.zeros(subjects, np.int64)
        self.end_time = np.zeros(subjects)
        self.steps = np.zeros(subjects, np.int64)
        self.use(functions)

    def use(self, functions: Functions) -> None:
        """Solve by these functions from now on."""
        self.functions, self.sizes = functions, functions.sizes
        self.addresses = np.array(functions.addresses, np.int64)
        self.mode_row, self.modes = self._modes()

    def _worth(self) -> Floats:
        """What one of a state is worth in its sensitivities: over the parameter, or over 1 where that is larger."""
        columns = [self.program.parameters.index(name) for name in self.wrt]
        return np.ascontiguousarray(1.0 / np.maximum(np.abs(self.values[:, columns]), 1.0))

    def _modes(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """The modes of the linear part, for every row whose covariates come into force."""
        arrays, sizes = self.schedule.arrays, self.sizes
        index = np.zeros(max(len(arrays["covariates"]), 1), np.int64)
        if sizes.mode_length == 0 or not len(self.schedule.subjects):
            return index, np.zeros((1, 1))
        first = arrays["first_row"]
        rows = np.unique(np.concatenate([first, arrays["item_index"][arrays["item_kind"] == COVARIATES]]))
        index[rows] = np.arange(len(rows))
        subject = np.searchsorted(first, rows, side="right") - 1
        pattern = self.functions.table["pattern"]
        covariates = arrays["covariates"][rows]
        return index, decompose(sizes, self.functions.addresses, pattern, self.values[subject], covariates)

    def solve(self, method: int, order: npt.NDArray[np.int64], *, may_leave: bool) -> None:
        """Solve the subjects in `order`, in pieces over threads."""
        if not len(order):
            return
        schedule = self.schedule
        layout, packed = _space(
            self.sizes, method, self.stored, schedule.most_events, schedule.most_doses, schedule.steady
        )
        own = {
            "order": np.ascontiguousarray(order, np.int64),
            "values": self.values,
            "worth": self._worth(),
            "f": self.f,
            "df": self.df,
            "verdict": self.verdict,
            "end_time": self.end_time,
            "steps": self.steps,
            "mode_row": self.mode_row,
            "modes": self.modes,
            "active": np.array(self.functions.table["place"] or [-1], np.int64),
            "inclusive": np.array(self.functions.table["inclusive"] or [0], np.int64),
        }
        switches = {
            "moving": self.sizes.moving_bolus,
            "autonomous": 1 - self.sizes.time_dependent,
            "all_outputs": int(self.all_outputs),
        }
        patience = LONG_PATIENCE if self.sizes.closure or self.wrt else PATIENCE
        if not may_leave:
            patience = 0
        if self.device == "cuda":
            self._solve_on_gpu(method, patience, schedule.arrays | own, switches)
            return
        places = schedule.addresses | {name: array.ctypes.data for name, array in own.items()} | switches
        batch = np.array([places[name] for name in Batch._fields], np.int64)
        tableau = _TABLEAUS[method]
        entry = solver()  # made before threads start, so that its message appears once

        def piece(first: int) -> None:
            w = np.zeros(layout.doubles)
            q = np.zeros(layout.integers, np.int64)
            w[layout.tolerance : layout.tolerance + 2] = _STEADY if method == EXACT else self.rtol, self.atol
            w[layout.theta] = self.functions.table["theta"]
            last = min(first + _PIECE, len(order))
            w[layout.tableau : layout.tableau + len(tableau)] = tableau
            tables = [a.ctypes.data for a in (packed, self.addresses, w, w, q, batch)]
            entry(method, patience, self.max_steps, first, last, *tables)

        firsts = range(0, len(order), _PIECE)
        if self.threads == 1 or len(firsts) == 1:
            for first in firsts:
                piece(first)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(piece, firsts))

    def _solve_on_gpu(
        self, method: int, patience: int, arrays: dict[str, npt.NDArray[Any]], switches: dict[str, int]
    ) -> None:
        from pkpd.engine import cuda

        problem = cuda.Problem(
            program=self.program,
            functions=self.functions,
            schedule=self.schedule,
            stored=self.stored,
            method=method,
            tableau=_TABLEAUS[method],
            tolerances=(_STEADY if method == EXACT else self.rtol, self.atol),
            patience=patience,
            limit=self.max_steps,
            arrays=arrays,
            switches=switches,
        )
        cuda.solve(problem)

    def prediction(self, method: npt.NDArray[np.str_]) -> Prediction:
        """Gather the results."""
        failures = []
        for s in np.flatnonzero(self.verdict != DONE):
            subject_values = dict(zip(self.program.parameters, self.values[s].tolist(), strict=True))
            cause = CAUSES[int(self.verdict[s])].format(limit=self.max_steps)
            strange = [n for n, v in subject_values.items() if not np.isfinite(v)]
            if strange:
                cause = f"{', '.join(strange)} is not a number"
            failures.append(
                Failure(
                    self.schedule.subjects[s],
                    float(self.end_time[s]),
                    self.schedule.time_unit,
                    cause,
                    subject_values,
                )
            )
        failed = np.flatnonzero(self.verdict != DONE)
        lost = np.isin(self.schedule.record_subject, failed)
        self.f[lost] = np.nan
        self.df[lost] = np.nan
        f, df = (self.f, self.df) if self.all_outputs else (self.f[:, 0], self.df[:, 0])
        return Prediction(f, df if self.wrt else None, self.wrt, failures, method, self.steps)


@lru_cache(maxsize=256)
def _space(
    sizes: Sizes, method: int, stored: int, events: int, doses: int, steady: bool
) -> tuple[Layout, npt.NDArray[np.int64]]:
    """The layout of the work space, also as the solver reads it."""
    layout = make_layout(sizes, method, stored, events, doses, steady)
    return layout, np.array(layout, np.int64)


def _wrt(program: Program, sensitivities: bool | Iterable[str]) -> tuple[str, ...]:
    if isinstance(sensitivities, bool):
        return program.parameters if sensitivities else ()
    names = tuple(sensitivities)
    for name in names:
        if name not in program.parameters:
            hint = did_you_mean(name, program.parameters)
            raise SolveError(
                f"`{name}` is not a parameter.",
                where="predict",
                expected=f"Parameters: {', '.join(program.parameters)}.",
                remedy=f"Did you mean `{hint}`?" if hint else None,
            )
    return names


def _values(program: Program, schedule: Schedule, values: npt.ArrayLike) -> Floats:
    table = np.asarray(values, float)
    if table.ndim == 1:
        table = np.broadcast_to(table, (len(schedule.subjects), table.shape[0]))
    wanted = (len(schedule.subjects), len(program.parameters))
    if table.shape != wanted:
        raise SolveError(
            f"the values have the shape {table.shape}.",
            where="predict",
            expected=f"(subjects, parameters) = {wanted}: {', '.join(program.parameters)}.",
        )
    return np.ascontiguousarray(table)
