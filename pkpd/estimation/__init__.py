"""How to fit: estimators as frozen objects, the verb ``fit``, and the Fit it gives."""

from pkpd.estimation.base import Estimator, Outcome
from pkpd.estimation.bootstrap import Bootstrap, bootstrap
from pkpd.estimation.find_start import Start, find_start
from pkpd.estimation.fit import Fit, fit, load_fit
from pkpd.estimation.foce import FO, FOCE, Laplace, Quadrature
from pkpd.estimation.importance import Importance
from pkpd.estimation.individual import Individual
from pkpd.estimation.leave_one_out import leave_one_out
from pkpd.estimation.likelihood_ratio import LikelihoodRatio, compare
from pkpd.estimation.pooled import Pooled
from pkpd.estimation.posterior import MAP
from pkpd.estimation.prior_sensitivity import prior_sensitivity
from pkpd.estimation.profiles import Profile, profile
from pkpd.estimation.randomise import Randomisation, randomise
from pkpd.estimation.saem import SAEM
from pkpd.estimation.sir import SIR, sir
from pkpd.estimation.two_stage import TwoStage

__all__ = [
    "FO",
    "FOCE",
    "MAP",
    "SAEM",
    "SIR",
    "Bootstrap",
    "Estimator",
    "Fit",
    "Importance",
    "Individual",
    "Laplace",
    "LikelihoodRatio",
    "Outcome",
    "Pooled",
    "Profile",
    "Quadrature",
    "Randomisation",
    "Start",
    "TwoStage",
    "bootstrap",
    "compare",
    "find_start",
    "fit",
    "leave_one_out",
    "load_fit",
    "prior_sensitivity",
    "profile",
    "randomise",
    "sir",
]
