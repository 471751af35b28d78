"""The log density of records with its derivatives by what it depends on: the prediction and the residual parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.likelihood.censoring import Jet
from pkpd.likelihood.discrete import Discrete, Jets
from pkpd.likelihood.residual import Spread

__all__ = ["Terms", "chain", "fill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The log density of n records with its derivatives; V = 1 + R, place 0 is the prediction.

    A record whose density is 0 or does not exist (an SD that is not above 0, a log-normal prediction that is not above
    0, a prediction that is no number) has value -inf and derivatives NaN.

    Parameters
    ----------
    value : (n,) float
        Log density, without the constant ``-log(2 pi) / 2``; the log of a probability, whole, where the record is known
        by an interval; 0 where it is left out.
    v : (n, V) float or None
        Gradient.
    vv : (n, V, V) float or None
        Hessian.
    info : (n, V, V) float or None
        Information, positive semidefinite, from first derivatives of m and g alone: the expected one where the record
        was seen; where it is known by an interval, the observed one about m / g and 1 / g
        (:func:`pkpd.likelihood.censoring.interval_information`).
    dinfo : (n, V, V, V) float or None
        Derivatives of `info`, the last axis by what.
    """

    value: np.ndarray
    v: np.ndarray | None = None
    vv: np.ndarray | None = None
    info: np.ndarray | None = None
    dinfo: np.ndarray | None = None


def chain(at: Spread, jet: Jet, info: np.ndarray | None, dinfo: np.ndarray | None, order: int) -> Terms:
    """Give the derivatives by v from those by location and scale."""
    if jet.d1 is None:
        return Terms(value=jet.value)
    n, width = at.sd_psi.shape[0], 1 + at.sd_psi.shape[1]
    x = np.zeros((n, 2, width))  # derivatives of location and scale by v
    x[:, 0, 0], x[:, 1, 0], x[:, 1, 1:] = at.mean_f, at.sd_f, at.sd_psi
    v = np.einsum("ni,niv->nv", jet.d1, x)
    if order < 2:
        return Terms(value=jet.value, v=v)
    assert jet.d2 is not None and info is not None and at.mean_ff is not None and at.sd_vv is not None
    bent = np.zeros((n, 2, width, width))
    bent[:, 0, 0, 0], bent[:, 1] = at.mean_ff, at.sd_vv
    vv = np.einsum("niv,niw->nvw", x, jet.d2 @ x) + np.einsum("ni,nivw->nvw", jet.d1, bent)
    about = info @ x
    found = np.einsum("niv,niw->nvw", x, about)
    if dinfo is None:
        return Terms(value=jet.value, v=v, vv=vv, info=found)
    along = np.einsum("nijk,nju,nkw->niuw", dinfo, x, x, optimize=True)
    change = np.einsum("niv,niuw->nvuw", x, along)
    turning = np.einsum("nivw,niu->nvuw", bent, about)
    change += turning + turning.transpose(0, 2, 1, 3)
    return Terms(value=jet.value, v=v, vv=vv, info=found, dinfo=change)


def fill(terms: Terms, law: Discrete, rows: np.ndarray, jets: Jets) -> None:
    """Put the jets of a law's records where they belong.

    Their information only leads searches for modes: it has no derivatives, and `dinfo` stays NaN.
    """
    terms.value[rows] = jets.value
    places = np.array([0, *(1 + place for place in law.places)], dtype=int)
    if terms.v is None:
        return
    terms.v[rows] = 0.0
    terms.v[np.ix_(rows, places)] = jets.d1
    if terms.vv is None or terms.info is None:
        return
    terms.vv[rows] = terms.info[rows] = 0.0
    terms.vv[np.ix_(rows, places, places)] = jets.d2
    terms.info[np.ix_(rows, places, places)] = law.information(jets)
