"""A simulation computed in blocks of people: what a block holds never depends on how they are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import MismatchError, SolveError
from pkpd.simulation.arms import Plan
from pkpd.simulation.setting import Setting

if TYPE_CHECKING:
    from pkpd.engine.prediction import Prediction
    from pkpd.engine.schedule import Schedule

# A block is 4 MiB of predictions, or as many people as keep several threads busy.
_NUMBERS_AT_ONCE = 524_288
_RUNS_AT_LEAST = 1024
# On a GPU a block is 256 MiB, so that all of its threads are busy for several turns.
_GPU_TIMES = 64
# People whose covariates are looked at together before anything is computed.
_GLANCE = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some subjects of one draw, or all subjects of some draws.

    Parameters
    ----------
    draws, subjects : slice
        Who, in the order of the cohort.
    values : (A, d, n, T, O) float
        Finite predictions in every arm, and what is observed of them where that was asked for.
    individuals : (d, n, P) float
    """

    draws: slice
    subjects: slice
    values: np.ndarray
    individuals: np.ndarray

    @property
    def people(self) -> int:
        """Number of individuals, d times n."""
        return self.individuals.shape[0] * self.individuals.shape[1]


def block_shape(setting: Setting, chunk: int | None, device: str = "cpu") -> tuple[int, int]:
    """Draws and subjects of a block.

    Parameters
    ----------
    setting : Setting
    chunk : int, optional
        The most individuals of a block; left out: about 4 MiB of predictions, 256 MiB on a GPU.
    device : str
        Where it is computed.
    """
    arms, draws, subjects, times = setting.shape
    if chunk is None:
        per_person = arms * times * max(len(setting.names), 1)
        numbers = _NUMBERS_AT_ONCE * (1 if device == "cpu" else _GPU_TIMES)
        chunk = max(numbers // per_person, _RUNS_AT_LEAST // arms, 1)
    if chunk >= subjects:
        return min(chunk // subjects, draws), subjects
    pieces = -(-subjects // chunk)
    # Even pieces: a short last one would need tables of its own.
    return 1, -(-subjects // pieces)


def compute_blocks(
    setting: Setting,
    *,
    chunk: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[Block]:
    """Compute everybody, block by block: all arms of a block in one call of the engine.

    Parameters
    ----------
    setting : Setting
    chunk : int, optional
        See :func:`block_shape`.
    threads : int, optional
    device : str
        See :func:`~pkpd.engine.predict.predict`.
    on_progress : callable, optional
        Told ``(done, total)`` individuals after each block has been taken care of.

    Raises
    ------
    MismatchError
        A dose, a route or a covariate does not fit the model.
    SolveError
        The equations could not be solved for somebody, or an output is no finite number.
    """
    from pkpd.engine import predict

    cohort, program = setting.cohort, setting.program
    order = [cohort.parameters.index(name) for name in program.parameters]
    arms, _, _, times = setting.shape
    shape = block_shape(setting, chunk, device)
    tables = _Tables(setting)
    tables.check(shape)
    total, done = cohort.draws * cohort.subjects, 0
    for d in range(0, cohort.draws, shape[0]):
        draws = slice(d, min(d + shape[0], cohort.draws))
        for s in range(0, cohort.subjects, shape[1]):
            subjects = slice(s, min(s + shape[1], cohort.subjects))
            individuals = cohort.individuals(draws, subjects)
            own = individuals.reshape(-1, individuals.shape[-1])[:, order]
            each = np.tile(own, (arms, 1))
            answer = predict(program, tables.of(draws, subjects), each, threads=threads, device=device)
            if answer.failures:
                _named(answer, setting, draws, subjects).raise_failures()
            values = answer.f.reshape(arms, *individuals.shape[:2], times, len(setting.predicted))
            drawn = None
            if setting.observer is not None:
                of = [setting.predicted.index(name) for name in setting.observer.outputs]
                who = range(draws.start, draws.stop), range(subjects.start, subjects.stop)
                drawn = setting.observer.draw(values[..., of], *who)
            _expect(values, setting)
            _check_finite(values, setting, draws, subjects)
            if drawn is not None:
                values = np.concatenate([values, drawn], axis=-1)
            block = Block(draws=draws, subjects=subjects, values=values, individuals=individuals)
            yield block
            done += block.people
            if on_progress is not None:
                on_progress(done, total)


def _expect(values: np.ndarray, setting: Setting) -> None:
    """Put expectations in the place of predictions, (A, d, n, T, O), of outputs that are no measured amounts."""
    outputs = {o: setting.model.outputs.get(name) for o, name in enumerate(setting.predicted)}
    for o, output in outputs.items():
        if output is not None and output.kind is not None:
            from pkpd.likelihood.discrete import Discrete

            values[..., o] = Discrete.expectation(output, values[..., o])


class _Tables:
    """Schedules of the engine, made once for all blocks that can share one."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.bound: tuple[tuple[int, int, int], Schedule] | None = None
        self.numbers: list[str] = []

    def check(self, shape: tuple[int, int]) -> None:
        """Raise what is wrong with doses and covariates: once for each arm, and before anything is computed."""
        from pkpd.engine import bind

        plan, program = self.setting.plan, self.setting.program
        if not plan.each:
            bind(program, plan.events)
            return
        self._bind(slice(0, 1), slice(0, 1))
        if shape[1] < self.setting.cohort.subjects:
            first = plan.first_row()
            for s in range(0, self.setting.cohort.subjects, _GLANCE):
                who = np.arange(s, min(s + _GLANCE, self.setting.cohort.subjects))
                self._bind_named(first, who, lambda i, s=s: f"subject {s + i + 1}")

    def of(self, draws: slice, subjects: slice) -> Schedule:
        """Give the schedule of a block."""
        # Without covariates of their own all subjects have the same events, whoever they are.
        first = subjects.start if self.setting.plan.each else 0
        needed = (draws.stop - draws.start, subjects.stop - subjects.start, first)
        if self.bound is None or self.bound[0] != needed:
            self.bound = needed, self._bind(draws, subjects)
        return self.bound[1]

    def _bind(self, draws: slice, subjects: slice) -> Schedule:
        who = np.tile(np.arange(subjects.start, subjects.stop), draws.stop - draws.start)
        return self._bind_named(self.setting.plan, who, lambda i: _name(self.setting, draws, subjects, i))

    def _bind_named(self, plan: Plan, who: np.ndarray, name: Callable[[int], str]) -> Schedule:
        from pkpd.engine import bind

        runs = plan.arms * len(who)
        self.numbers.extend(map(str, range(len(self.numbers), runs)))
        try:
            # Names cost as much as an exact solution; numbers stand for them until somebody asks.
            return bind(self.setting.program, plan.batch(who, self.numbers[:runs]))
        except MismatchError:
            return bind(self.setting.program, plan.batch(who, [name(i) for i in range(runs)]))


def _name(setting: Setting, draws: slice, subjects: slice, run: int) -> str:
    """Name one run of a block: a subject of a draw in an arm."""
    count = subjects.stop - subjects.start
    a, person = divmod(run, count * (draws.stop - draws.start))
    draw, subject = divmod(person, count)
    who = f"subject {subjects.start + subject + 1}"
    if setting.cohort.draws > 1:
        who += f" of draw {draws.start + draw + 1}"
    return f"{who} of arm {list(setting.arms)[a]!r}"


def _named(answer: Prediction, setting: Setting, draws: slice, subjects: slice) -> Prediction:
    """Give the answer with the names of those who failed in place of their numbers."""
    named: list[Any] = [replace(f, subject=_name(setting, draws, subjects, int(f.subject))) for f in answer.failures]
    return replace(answer, failures=named)


def _check_finite(values: np.ndarray, setting: Setting, draws: slice, subjects: slice) -> None:
    """Refuse values, shape (A, d, n, T, O), that are no finite numbers."""
    wrong = ~np.isfinite(values)
    if not wrong.any():
        return
    flat = wrong.reshape(-1, *wrong.shape[-2:])
    run, _, o = (int(index) for index in np.argwhere(flat)[0])
    t = int(np.flatnonzero(flat[run, :, o])[0])
    value = values.reshape(flat.shape)[run, t, o]
    raise SolveError(
        f"`{setting.names[o]}` is {value:g} at t = {setting.times[t]:g} {setting.model.time_unit}.",
        where=_name(setting, draws, subjects, run),
        expected="A finite number at every time: a result without one says nothing.",
        remedy="Check the equations for a division by 0, the logarithm or root of a number that is 0 or negative, or a "
        "score outside its range there; or leave this time or output out.",
    )


class Contrast:
    """Whether anything that is observed differs between the subjects of a draw; told every block in turn."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        # Covariates differ as well, but whoever gave them knows.
        self.asked = setting.cohort.subjects > 1 and bool(setting.cohort.varying)
        self.first = np.empty(0)

    def see(self, block: Block) -> None:
        """Compare the subjects of a block with the first of their draw."""
        if not self.asked:
            return
        values = block.values[..., : len(self.setting.predicted)]
        if block.subjects.start == 0:
            self.first = np.array(values[:, :, :1])
        # A solver that takes other steps for another subject leaves traces of its tolerance.
        close = 1e-7 * np.abs(self.first).max(axis=-2, keepdims=True)
        if (np.abs(values - self.first) > close).any():
            self.asked = False

    def notes(self) -> tuple[str, ...]:
        """Say so where subjects differ, but nothing that is observed does."""
        if not self.asked:
            return ()
        names = self.setting.predicted
        several = len(names) > 1
        return (
            f"Warning: {', '.join(names)} {'are' if several else 'is'} the same in every subject: with these doses and "
            f"times {'they do' if several else 'it does'} not depend on what varies between subjects "
            f"({', '.join(self.setting.cohort.varying)}).",
        )
