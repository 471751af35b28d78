"""Everybody left out in turn: on whom the estimates rest, and how well the others foretell each subject.

Cook RD. Detection of influential observation in linear regression. Technometrics 1977;19:15-18.
doi:10.1080/00401706.1977.10489493. Cook RD. Assessment of local influence. Journal of the Royal Statistical Society B
1986;48:133-169. doi:10.1111/j.2517-6161.1986.tb01398.x
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import CannotFit, check_options
from pkpd.estimation.beside import exactly
from pkpd.estimation.checkpoint import Checkpoint
from pkpd.estimation.crew import crew_of, refuse_crew
from pkpd.estimation.enlarge import dataset, enlarged
from pkpd.estimation.recall import Recalled, recall
from pkpd.estimation.replicates import FAILURES, SOUND, judged, search_again
from pkpd.estimation.series import in_turn, key_of
from pkpd.likelihood.marginal import Marginal
from pkpd.likelihood.population import Population

if TYPE_CHECKING:
    import xarray as xr

    from pkpd.data import Dataset
    from pkpd.estimation.fit import Fit

__all__ = ["leave_one_out"]

#: Estimates that move the objective of everybody by more are told: the end of a 95 % interval of one quantity.
_MOVED = 3.84


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What the fit without one subject gave: outer parameters x (X,), and what they say of everybody and of the one."""

    number: int
    x: np.ndarray
    objective: float
    displacement: float
    held_out: float
    held_out_error: float
    held_in: float
    status: str
    message: str


def leave_one_out(
    fit: Fit, data: Dataset, *, max_iterations: int = 200, workers: int = 1, checkpoint: str | Path | None = None
) -> Fit:
    """Give a population fit with the fits without each subject in turn, in the group ``leave_one_out``.

    Each starts from the estimates of everybody. Ctrl-C ends the work with what is done.

    Parameters
    ----------
    fit : Fit
        Of a population, converged.
    data : Dataset
        What was fitted; the Fit keeps its digest only.
    max_iterations : int
        Of each fit.
    workers : int
        Threads, each with a subject of its own at a time. The numbers do not depend on it.
    checkpoint : path, optional
        A file that keeps what is done; the same call goes on from it, and ends with the same numbers.

    Returns
    -------
    Fit
        A new one. For every subject: estimates without it (``value``), how far they moved in standard errors
        (``change``), by how much they raise the objective of everybody (``displacement``, Cook 1986), Cook's distance
        in the metric of the observed information (``cook``; PsN's Cook score is the root of this times the number of
        quantities), and -2 log L of the subject, exact, at the estimates of the others (``held_out``) and of everybody
        (``held_in``). The sum of ``held_out`` compares models by how they foretell people they have not seen. A fit
        that failed has NaN, with its reason.

    Raises
    ------
    CannotFit, MismatchError
        The fit is not of the kind, or these are other data; there are fewer than three subjects; or every fit failed.
    FitFileError
        The checkpoint cannot be written, or belongs to other work.
    """
    check_options("leave_one_out", ("max_iterations", max_iterations, max_iterations >= 1, "1 or more."))
    refuse_crew(workers, "leave_one_out")
    known = recall(fit, data, "leave_one_out(fit, data)").in_own_order()
    names = known.population.problem.subjects
    if len(names) < 3:
        raise CannotFit(
            f"there are {len(names)} subjects.",
            where="leave_one_out(fit, data)",
            expected="3 or more: without one there must be people who differ.",
            remedy="Profiles tell how well estimates of so few are known: pkpd.profile(fit, data).",
        )
    work = _Work(known=known, hessian=known.curvature()[0], most=max_iterations)
    key = key_of("leave_one_out 1", known, data.digest, f"max_iterations={max_iterations}")
    kept = Checkpoint(path=Path(checkpoint), key=key) if checkpoint is not None else None
    done, stopped = in_turn(range(len(names)), work, Left, what="leaving one out", kept=kept,
                            crew=crew_of(workers))  # fmt: skip
    sound = [one for one in done if one.status in SOUND]
    if not sound:
        raise CannotFit(
            f"none of {len(done)} fits without a subject converged.",
            where="leave_one_out(fit, data)",
            expected="One at least.",
            remedy=f"The first said: {done[0].message}",
        )
    place = {name: k for k, name in enumerate(data.ids)}
    done.sort(key=lambda one: place[names[one.number]])
    group = _group(known, [names[one.number] for one in done], done, work.hessian)
    return enlarged(fit, {"leave_one_out": group}, notes=_notes(known, group, stopped), limits=None, text="")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    """Leaves out subjects of a population in an order of its own."""

    known: Recalled
    hessian: np.ndarray | None
    most: int

    def __call__(self, number: int) -> Left:
        """Fit the others."""
        known, nan, population = self.known, float("nan"), self.known.population
        everybody = np.arange(len(population.problem.subjects))
        try:
            found = search_again(known, population.take(np.delete(everybody, number)), hessian=self.hessian,
                                 most=self.most)  # fmt: skip
        except FAILURES as error:
            return Left(number=number, x=np.full(len(known.x), nan), objective=nan, displacement=nan, held_out=nan,
                        held_out_error=nan, held_in=nan, status="failed", message=str(error))  # fmt: skip
        status, message = judged(known, found)
        one = population.take(everybody[number : number + 1])
        outer = known.outer(one)
        (held_out, error), (held_in, _) = (_alone(outer(x).marginal, one, x) for x in (found.x, known.x))
        return Left(
            number=number,
            x=found.x,
            objective=found.point.objective,
            displacement=known.outer()(found.x).objective - known.objective,
            held_out=held_out,
            held_out_error=error,
            held_in=held_in,
            status=status,
            message=message,
        )


def _alone(near: Marginal, one: Population, x: np.ndarray) -> tuple[float, float]:
    """-2 log L of one subject, exact, and its error."""
    each, error, _ = exactly(one, x, near)
    return float(each.sum()), error


def _group(known: Recalled, names: list[str], done: list[Left], hessian: np.ndarray | None) -> xr.Dataset:
    free, own = known.quantities.coordinates.free, known.quantities.coordinates
    sound = np.array([one.status in SOUND for one in done])
    size = (len(done), len(known.x))
    value, change, cook = np.full(size, np.nan), np.full(size, np.nan), np.full(len(done), np.nan)
    centre = own.forward(known.quantities.natural(known.x))[free]
    if hessian is not None:
        slopes = known.quantities.slopes(known.x)[free]
        error = np.sqrt(np.diagonal(slopes @ np.linalg.inv(0.5 * hessian) @ slopes.T))
    for k in np.flatnonzero(sound):
        natural = known.quantities.natural(done[k].x)
        value[k] = natural[free]
        if hessian is not None:
            with np.errstate(divide="ignore"):  # the logarithm of a variance that has gone to 0
                change[k] = (own.forward(natural)[free] - centre) / error
            step = done[k].x - known.x
            cook[k] = 0.5 * step @ hessian @ step / len(step)
    numbers = {
        name: np.where(sound, np.array([getattr(one, name) for one in done]), np.nan)
        for name in ("objective", "displacement", "held_out", "held_out_error", "held_in")
    }
    columns = {
        "value": value,
        "change": change,
        "cook": cook,
        **numbers,
        "status": np.array([one.status for one in done]),
        "message": np.array([one.message for one in done]),
    }
    coords = {"subject": np.array(names), "parameter": np.array(known.names)}
    attrs = {
        "failed": int((~sound).sum()),
        "held_out": float(numbers["held_out"].sum()),  # NaN if somebody is missing
        "held_in": float(numbers["held_in"].sum()),
    }
    return dataset("leave_one_out", columns, coords, attrs)


def _notes(known: Recalled, group: xr.Dataset, stopped: bool) -> list[str]:
    found = [known.note] if known.note else []
    names, displacement = group["subject"].values, group["displacement"].values
    people = len(known.population.problem.subjects)
    failed = names[~np.isin(group["status"].values, SOUND)].tolist()
    most = int(np.nanargmax(displacement))
    found.append(
        f"Left out one by one: {names[most]} moves the estimates most (objective of everybody "
        f"+{displacement[most]:.2f})."
    )
    moved = names[np.nan_to_num(displacement) > _MOVED].tolist()
    if moved:
        found.append(
            f"Without any one of {', '.join(moved)} the estimates of the others lie where the objective of everybody "
            f"is more than {_MOVED} above its minimum."
        )
    if stopped:
        found.append(f"Leaving out was stopped by hand after {len(names)} of {people} subjects.")
    elif not failed:
        found.append(
            f"-2 log L of everybody, each at the estimates of the others: {group.attrs['held_out']:.4f}; each at the "
            f"estimates of all: {group.attrs['held_in']:.4f}."
        )
    if failed:
        found.append(f"Without these the others could not be fitted: {', '.join(failed)}.")
    return found
