"""Studies that are planned: what they are expected to tell, and when to take samples."""

from __future__ import annotations

from pkpd.design.arm import Arm
from pkpd.design.exchange import Choice, choose_times
from pkpd.design.information import Information, information

__all__ = ["Arm", "Choice", "Information", "choose_times", "information"]
