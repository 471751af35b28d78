"""Diagnostics: one question each. What is asked of a fit stands in a file of its own, with how it is drawn."""

from pkpd.diagnostics.case import Case
from pkpd.diagnostics.diagnose import Diagnosis, answer, diagnose, every
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.goodness import GoodnessOfFit
from pkpd.diagnostics.npc import NPC
from pkpd.diagnostics.npde import NPDE
from pkpd.diagnostics.residuals import Residuals
from pkpd.diagnostics.survival import EventVPC
from pkpd.diagnostics.vpc import VPC

#: Every diagnostic, in the order of a report.
DIAGNOSTICS = ("GoodnessOfFit", "Residuals", "NPDE", "VPC", "NPC", "EventVPC")

__all__ = [
    "DIAGNOSTICS",
    "NPC",
    "NPDE",
    "VPC",
    "Case",
    "Diagnosis",
    "Diagnostic",
    "EventVPC",
    "GoodnessOfFit",
    "Residuals",
    "answer",
    "diagnose",
    "every",
]
