"""A folder in ``fits/``: run it, check that it is fresh, bring it up to date, write its report."""

from __future__ import annotations

from pkpd.project.printed import is_kept, report
from pkpd.project.replay import Replayed, replay
from pkpd.project.run import Freshness, Outcome, check, freshen, run

__all__ = ["Freshness", "Outcome", "Replayed", "check", "freshen", "is_kept", "replay", "report", "run"]
