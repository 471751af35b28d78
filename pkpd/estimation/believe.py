"""Whether a fit of a population may be believed, in numbers and in words."""

from __future__ import annotations

import numpy as np

from pkpd.estimation.basins import Minimum
from pkpd.estimation.descend import STOPPED
from pkpd.estimation.outer import Outer
from pkpd.estimation.precision import Precision, rank_and_condition
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.verdict import BY_HAND, Status, Verdict

__all__ = ["believe"]

#: A slope of the objective, times the standard error of its parameter, above which a minimum is not believed.
_FLAT = 0.01
#: A parameter takes part in a direction without information when its share of it is larger than this.
_SHARE = 0.3
#: An objective above that of one person for all, by this, is no minimum.
_ABOVE = 1e-3
#: A share of a mixture below this says that nobody is in the class.
_NOBODY = 1e-4


def believe(
    most: int, outer: Outer, quantities: Quantities, found: Minimum, known: Precision | None, at_bound: np.ndarray
) -> Verdict:
    """Judge.

    Parameters
    ----------
    most : int
        Iterations that were allowed; 0: nothing was searched.
    outer, quantities
        What was searched.
    found : Minimum
    known : Precision or None
    at_bound : (X,) bool
        What stands at a bound of its own.
    """
    own, descent, gone = quantities.coordinates, found.descent, found.collapsed
    names = [own.names[place] for place in np.flatnonzero(own.free)]
    gradient = 0.5 * descent.point.gradient
    errors = np.sqrt(np.diagonal(np.linalg.inv(0.5 * descent.hessian)))
    held = at_bound | gone
    steep = float(np.abs(gradient * errors)[~held].max(initial=0.0))
    natural = quantities.natural(descent.x)[own.free]
    empty = [n.startswith("share.") and min(v, 1 - v) < _NOBODY for n, v in zip(names, natural, strict=True)]
    bounds = tuple(name for name, *is_at in zip(names, held, empty, strict=True) if any(is_at))
    status, message = Status.CONVERGED, "The search ended at a minimum."
    if most == 0:
        status, message = Status.NOT_CONVERGED, "Nothing was searched: the objective stands at the starting values."
    elif descent.reason == STOPPED:
        status = Status.NOT_CONVERGED
        message = f"{BY_HAND} after {descent.iterations} iterations: the estimates so far."
    elif not descent.settled or steep > _FLAT:
        status = Status.NOT_CONVERGED
        remedy = "Raise max_iterations, or try other starts: starts=5." if descent.iterations >= most else (
            "Try other starts: starts=5."
        )  # fmt: skip
        reason = descent.reason or f"the steepest slope is {steep:.2g} per standard error"
        message = f"The search ended without a minimum: {reason}. {remedy}"
    elif found.above > _ABOVE:
        status = Status.NOT_CONVERGED
        message = (
            f"This is no minimum: one set of values for everybody explains the records better, by {found.above:.4g}. "
            "Try other starts: starts=5."
        )
    elif known is not None and known.open:
        status = Status.NOT_IDENTIFIED
        open_ = _open(names, ~held, known)
        finite = np.isfinite(known.eigenvalues).any()
        least = f" (smallest eigenvalue {known.eigenvalues.min():.2g}, of 1 each)" if finite else ""
        message = f"There are no standard errors: {known.reason}{least}. "
        if open_:
            message += f"The data do not tell {' and '.join(open_)} from each other. " if len(open_) > 1 else (
                f"The data say nothing about {open_[0]}. "
            )  # fmt: skip
        if "nobody" in known.reason and (np.diagonal(known.s) <= 1e-6 * np.diagonal(known.r)).all():
            open_, message = [], "There are no standard errors: all subjects say the same. Are they copies of one? "
        message += f"Fix {open_[0] if open_ else 'a parameter'}, or take out a random effect."
    elif bounds:
        status = Status.AT_BOUND
        message = f"At a bound: {', '.join(bounds)}."
    if any(gone):
        message += " " + " ".join(_said(name) for name, is_gone in zip(names, gone, strict=True) if is_gone)
    if status == Status.AT_BOUND and any(empty):
        message += " A class in which nobody is left is best taken out of the mixture."
    rank, condition = rank_and_condition(known)
    return Verdict(
        status=status,
        message=message,
        gradient=steep,
        decrement=descent.decrement,
        rank=rank,
        free=len(descent.x),
        condition=condition,
        at_bounds=bounds,
        evaluations=outer.solved,
        starts=len(found.ends),
        starts_at_best=found.at_best,
        basins=len(found.basins),
    )


def _open(names: list[str], free: np.ndarray, known: Precision) -> list[str]:
    """Name what takes part in the direction that is known least."""
    matrix = known.s if "nobody" in known.reason else known.r
    scale = np.sqrt(np.abs(np.diagonal(matrix)))
    if not np.isfinite(known.eigenvalues).all() or not scale.size:
        return []
    silent = scale <= 1e-6 * scale.max()
    own = [name for name, is_free in zip(names, free, strict=True) if is_free]
    if silent.any():
        return [own[int(np.argmin(scale))]]
    direction = np.abs(np.linalg.eigh(matrix / np.outer(scale, scale))[1][:, 0])
    return [own[k] for k in np.argsort(-direction) if direction[k] > _SHARE]


def _said(name: str) -> str:
    """Say what has run to 0, and what to do."""
    kind, _, rest = name.partition(".")
    if kind in ("iiv", "iov"):
        whom = "people" if kind == "iiv" else "occasions"
        if "," in rest:
            return f"A correlation of {rest} has run to 1: take out one of the two random effects."
        return (
            f"The variance of {rest} between {whom} has run to 0: as far as the data tell, {whom} do not differ in it. "
            f"A variance that has run to 0 is best taken out of the model ({kind} = 0)."
        )
    return f"The residual SD {name} has run to 0: the other part of the error explains the records. Take {rest} out."
