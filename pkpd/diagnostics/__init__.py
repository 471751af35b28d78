"""Diagnostics: one question each. What is asked of a fit stands in a file of its own, with how it is drawn."""

from pkpd.diagnostics.case import Case
from pkpd.diagnostics.diagnose import Diagnosis, answer, diagnose, every
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.goodness import GoodnessOfFit
from pkpd.diagnostics.nca import nca
from pkpd.diagnostics.survival import EventVPC
from pkpd.diagnostics.vpc import VPC

#: Every diagnostic, in the order of a report.
DIAGNOSTICS = ("GoodnessOfFit", "VPC", "EventVPC")

__all__ = [
    "DIAGNOSTICS",
    "VPC",
    "Case",
    "Diagnosis",
    "Diagnostic",
    "EventVPC",
    "GoodnessOfFit",
    "answer",
    "diagnose",
    "every",
    "nca",
]
