"""Trials as objects: who gets what when, and when they are seen; people and observations drawn from it."""

from pkpd.simulation.trial.analyses import Crossover, crossover
from pkpd.simulation.trial.design import Dropout, Trial

__all__ = ["Crossover", "Dropout", "Trial", "crossover"]
