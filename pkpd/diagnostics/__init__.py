"""Diagnostics: one question each. What is asked of a fit stands in a file of its own, with how it is drawn."""

from pkpd.diagnostics.case import Case
from pkpd.diagnostics.diagnose import Diagnosis, answer, diagnose, every
from pkpd.diagnostics.diagnostic import Diagnostic
from pkpd.diagnostics.eta_covariates import EtaCovariates
from pkpd.diagnostics.eta_pairs import EtaPairs
from pkpd.diagnostics.etas import EtaDistributions
from pkpd.diagnostics.forest import Forest
from pkpd.diagnostics.goodness import GoodnessOfFit
from pkpd.diagnostics.identifiability import Identifiability
from pkpd.diagnostics.individual_fits import IndividualFits
from pkpd.diagnostics.influence import Influence
from pkpd.diagnostics.nca import nca
from pkpd.diagnostics.npc import NPC
from pkpd.diagnostics.npde import NPDE
from pkpd.diagnostics.precision import Precision
from pkpd.diagnostics.profile_curves import ProfileCurves
from pkpd.diagnostics.residuals import Residuals
from pkpd.diagnostics.survival import EventVPC
from pkpd.diagnostics.trace import Trace
from pkpd.diagnostics.vpc import VPC

#: Every diagnostic, in the order of a report.
DIAGNOSTICS = (
    "GoodnessOfFit",
    "IndividualFits",
    "Residuals",
    "NPDE",
    "VPC",
    "NPC",
    "EventVPC",
    "EtaDistributions",
    "EtaPairs",
    "EtaCovariates",
    "Forest",
    "Trace",
    "Precision",
    "ProfileCurves",
    "Influence",
    "Identifiability",
)

__all__ = [
    "DIAGNOSTICS",
    "NPC",
    "NPDE",
    "VPC",
    "Case",
    "Diagnosis",
    "Diagnostic",
    "EtaCovariates",
    "EtaDistributions",
    "EtaPairs",
    "EventVPC",
    "Forest",
    "GoodnessOfFit",
    "Identifiability",
    "IndividualFits",
    "Influence",
    "Precision",
    "ProfileCurves",
    "Residuals",
    "Trace",
    "answer",
    "diagnose",
    "every",
    "nca",
]
