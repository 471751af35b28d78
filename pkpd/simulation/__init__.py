"""What would happen: models and regimens become labelled arrays, and answers to questions asked of them."""

from __future__ import annotations

from pkpd.simulation.events import simulate_events
from pkpd.simulation.simulate import simulate
from pkpd.simulation.studies import Study, study
from pkpd.simulation.target import attain, sustain
from pkpd.simulation.trial import Crossover, Dropout, Trial, crossover
from pkpd.simulation.washout import washout

__all__ = [
    "Crossover",
    "Dropout",
    "Study",
    "Trial",
    "attain",
    "crossover",
    "simulate",
    "simulate_events",
    "study",
    "sustain",
    "washout",
]
