"""How to fit: estimators as frozen objects, the verb ``fit``, and the Fit it gives."""

from pkpd.estimation.base import Estimator, Outcome
from pkpd.estimation.bootstrap import Bootstrap, bootstrap
from pkpd.estimation.find_start import Start, find_start
from pkpd.estimation.fit import Fit, fit, load_fit
from pkpd.estimation.foce import FO, FOCE, Laplace, Quadrature
from pkpd.estimation.individual import Individual
from pkpd.estimation.pooled import Pooled
from pkpd.estimation.profiles import Profile, profile
from pkpd.estimation.saem import SAEM
from pkpd.estimation.sir import SIR, sir

__all__ = [
    "FO",
    "FOCE",
    "SAEM",
    "SIR",
    "Bootstrap",
    "Estimator",
    "Fit",
    "Individual",
    "Laplace",
    "Outcome",
    "Pooled",
    "Profile",
    "Quadrature",
    "Start",
    "bootstrap",
    "find_start",
    "fit",
    "load_fit",
    "profile",
    "sir",
]
