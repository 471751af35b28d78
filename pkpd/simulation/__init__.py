"""What would happen: models and regimens become labelled arrays, and answers to questions asked of them."""

from __future__ import annotations

from pkpd.simulation.simulate import simulate
from pkpd.simulation.target import attain, sustain
from pkpd.simulation.trial import Crossover, Dropout, Trial, crossover
from pkpd.simulation.washout import washout

__all__ = [
    "Crossover",
    "Dropout",
    "Trial",
    "attain",
    "crossover",
    "simulate",
    "sustain",
    "washout",
]
