"""How probable the data are under a model: problems, and the laws of residual error."""

from pkpd.likelihood.observations import Feature, Observations
from pkpd.likelihood.problem import Prediction, Problem, make_problem
from pkpd.likelihood.residual import Law, Residuals, Spread, log_density

__all__ = [
    "Feature",
    "Law",
    "Observations",
    "Prediction",
    "Problem",
    "Residuals",
    "Spread",
    "log_density",
    "make_problem",
]
