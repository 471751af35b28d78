"""Pieces of models, each a small model of its own; joined with ``+``.

A piece that needs something from another (an effect needs a concentration) says so in its `needs`, and the names it
waits for are arguments. Typical values are round numbers to be changed by ``.set()``; units are arguments.

Examples
--------
>>> from pkpd.model import parts
>>> model = parts.disposition(2) + parts.absorption() + parts.effect_compartment() + parts.emax("ce")
>>> sorted(model.parameters)
['cl', 'ec50', 'emax', 'ka', 'ke0', 'q2', 'v1', 'v2']
"""

from __future__ import annotations

from pkpd.model.parts.absorption import absorption
from pkpd.model.parts.crossover import carryover, left_over, period
from pkpd.model.parts.disposition import disposition
from pkpd.model.parts.driver import kinetic_driver
from pkpd.model.parts.effect import effect_compartment, emax, linear, sigmoid
from pkpd.model.parts.placebo import exponential, inverse_bateman, weibull
from pkpd.model.parts.tolerance import tolerance
from pkpd.model.parts.transduction import transit_transduction
from pkpd.model.parts.turnover import indirect_response

__all__ = [
    "absorption",
    "carryover",
    "disposition",
    "effect_compartment",
    "emax",
    "exponential",
    "indirect_response",
    "inverse_bateman",
    "kinetic_driver",
    "left_over",
    "linear",
    "period",
    "sigmoid",
    "tolerance",
    "transit_transduction",
    "weibull",
]
