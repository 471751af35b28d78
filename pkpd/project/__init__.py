"""A folder in ``fits/``: run it, check that it is fresh, bring it up to date."""

from __future__ import annotations

from pkpd.project.replay import Replayed, replay
from pkpd.project.run import Freshness, Outcome, check, freshen, run

__all__ = ["Freshness", "Outcome", "Replayed", "check", "freshen", "replay", "run"]
