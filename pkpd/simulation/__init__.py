"""What would happen: models and regimens become labelled arrays, and answers to questions asked of them."""

from __future__ import annotations

from pkpd.simulation.events import simulate_events
from pkpd.simulation.simulate import simulate
from pkpd.simulation.target import attain, sustain

__all__ = ["attain", "simulate", "simulate_events", "sustain"]
