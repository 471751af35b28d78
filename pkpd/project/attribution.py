"""How much of a change is due to a drug: the change, less the change had its doses not been given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pkpd.project.plan import Attribution
from pkpd.project.profile import Profile, Quantity, profile
from pkpd.project.study import Fitted, Predictor, Study

__all__ = ["Share", "allowed", "attribute", "standard_error"]

_LIMITS = (-150.0, 150.0)  # percentage points: beyond, an interval says no more
_BLIND = 1e-6  # as in pkpd.estimation.identify
_STEPS = 5  # to each side, if the profile were a parabola


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a drug contributes to a change at one time, by one fitted model.

    Parameters
    ----------
    label, time
        When.
    whole
        The change that the model predicts, in percent.
    part
        What of it is the drug's, in percentage points.
    profile
        How the sum of squares rises as the part is held at other values; None if there is nothing to hold.
    determined
        Whether the data fix the part at the estimates. If not, it can move without any prediction changing, as far as
        the bounds of the parameters let it.
    sd
        The SD under which the sum of squares was computed.
    """

    label: str
    time: float
    whole: float
    part: float
    profile: Profile | None
    sd: float
    determined: bool = True
    slope: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def interval(self, level: float, sd: float) -> tuple[float, float]:
        """Profile-likelihood interval of the part if the assumed SD is `sd`."""
        if self.profile is None:
            return self.part, self.part
        return self.profile.interval(allowed(level, self.sd, sd))


def allowed(level: float, sd: float, other: float) -> float:
    """Rise of a sum of squares computed with `sd` that has the probability `level` if the SD is `other`.

    With the same SD for all rows, the sum of squares is inversely proportional to its square.
    """
    from scipy.stats import chi2

    return float(chi2.ppf(level, 1)) * (other / sd) ** 2


def attribute(study: Study, fitted: Fitted, question: Attribution, *, profiled: bool = True) -> list[Share]:
    """Ask a fitted model for the drug's part at each time, with the profile of each.

    The change is counted from the subject's first time, in percent.
    """
    focus, sds = study.plan.focus, (study.plan.spread.sd, *study.plan.spread.others)
    times = (focus.start, *question.times)
    both = Predictor(study, fitted, focus.subject, times, removals=((), question.remove))
    until = 1.1 * allowed(question.level, study.plan.spread.sd, max(sds))
    with_drug = both.values()[0]
    shares = []
    for k, (time, label) in enumerate(zip(question.times, question.labels, strict=True), start=1):
        quantity = _part(fitted, both, k)
        part, slope = quantity(fitted.z)
        curve = None
        determined = _is_determined(fitted, slope)
        if profiled and np.any(np.abs(slope) > 0) and abs(part) > 1e-12:
            error = standard_error(fitted, slope)
            step = float(np.clip(error * np.sqrt(until) / _STEPS, 0.2 if determined else 5.0, 15.0))
            curve = profile(fitted.objective, fitted.z, quantity, until=until, step=step, limits=_LIMITS)
        whole = float(100 * (with_drug[k] / with_drug[0] - 1))
        shares.append(
            Share(
                label=label,
                time=time,
                whole=whole,
                part=part,
                profile=curve,
                sd=study.plan.spread.sd,
                determined=determined,
                slope=slope,
            )
        )
    return shares


def _part(fitted: Fitted, both: Predictor, k: int) -> Quantity:
    """The drug's part at the k-th time, in percentage points of change from the first time, with derivatives."""
    count = len(fitted.model.parameters)
    own = fitted.coordinates.free[:count]
    names = [name for name, free in zip(fitted.model.parameters, own, strict=True) if free]

    def quantity(z: np.ndarray) -> tuple[float, np.ndarray]:
        f, df = both.at(fitted.objective.values(z)[:count], by=names)
        ratio = f[:, k] / f[:, 0]
        slope = 100 * (df[:, k] - ratio[:, None] * df[:, 0]) / f[:, :1]
        scale = fitted.coordinates.slope(_full(fitted, z))[fitted.coordinates.free]
        return float(100 * (ratio[0] - ratio[1])), (slope[0] - slope[1]) * scale

    return quantity


def _full(fitted: Fitted, z: np.ndarray) -> np.ndarray:
    full = fitted.coordinates.forward(fitted.coordinates.initial)
    full[fitted.coordinates.free] = z
    return full


def _is_determined(fitted: Fitted, slope: np.ndarray) -> bool:
    """Whether a quantity stays the same in every direction in which no prediction changes."""
    jacobian = fitted.objective.jacobian(fitted.z)
    scale = np.maximum(np.linalg.norm(jacobian, axis=0), 1e-300)
    _, singular, right = np.linalg.svd(jacobian / scale, full_matrices=True)
    rank = int((singular > _BLIND * singular[0]).sum())
    scaled = slope / scale
    lost = right[rank:] @ scaled
    return bool(np.linalg.norm(lost) <= 1e-4 * np.linalg.norm(scaled))


def standard_error(
    fitted: Fitted, slope: np.ndarray, *, correlation: float = 0.0, groups: Sequence[object] | None = None
) -> float:
    """Standard error of a linearised quantity, under the plan's SD.

    Parameters
    ----------
    slope : (F,) float
        Derivatives of the quantity on the estimation scale.
    correlation : float
        Between the errors of two rows of the same group.
    groups : (n,) sequence, optional
        Which group each fitted row belongs to.

    Notes
    -----
    The estimator is linearised: ``z = (J'J)^-1 J' u``; with the correlation R of the weighted errors its covariance is
    ``(J'J)^-1 J' R J (J'J)^-1``.
    """
    back = np.linalg.pinv(fitted.objective.jacobian(fitted.z), rcond=1e-9)
    member = np.eye(back.shape[1])
    if groups is not None:
        same = np.array([[a == b for b in groups] for a in groups])
        member = np.where(np.eye(len(groups), dtype=bool), 1.0, np.where(same, correlation, 0.0))
    return float(np.sqrt(slope @ back @ member @ back.T @ slope))
