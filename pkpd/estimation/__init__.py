"""How to fit: estimators as frozen objects, the verb ``fit``, and the Fit it gives."""

from pkpd.estimation.base import Estimator, Outcome
from pkpd.estimation.fit import Fit, fit, load_fit
from pkpd.estimation.foce import FO, FOCE, Laplace, Quadrature
from pkpd.estimation.individual import Individual
from pkpd.estimation.pooled import Pooled
from pkpd.estimation.saem import SAEM

__all__ = [
    "FO",
    "FOCE",
    "SAEM",
    "Estimator",
    "Fit",
    "Individual",
    "Laplace",
    "Outcome",
    "Pooled",
    "Quadrature",
    "fit",
    "load_fit",
]
