"""How probable the data are under a model: problems, and the laws of residual error."""

from pkpd.likelihood.density import CensoringMethod, Density, Terms
from pkpd.likelihood.observations import Feature, Observations
from pkpd.likelihood.problem import Prediction, Problem, make_problem
from pkpd.likelihood.residual import Law, Residuals, Spread, log_density

__all__ = [
    "CensoringMethod",
    "Density",
    "Feature",
    "Law",
    "Observations",
    "Prediction",
    "Problem",
    "Residuals",
    "Spread",
    "Terms",
    "log_density",
    "make_problem",
]
