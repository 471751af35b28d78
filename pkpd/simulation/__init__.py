"""What would happen: models and regimens become labelled arrays, and answers to questions asked of them."""

from __future__ import annotations

from pkpd.simulation.simulate import simulate
from pkpd.simulation.target import attain, sustain
from pkpd.simulation.trial import Dropout, Trial
from pkpd.simulation.washout import washout

__all__ = ["Dropout", "Trial", "attain", "simulate", "sustain", "washout"]
