"""Studies of estimators: trials are simulated, fitted again and again, and the estimates held against the truth."""

from pkpd.simulation.studies.result import Study
from pkpd.simulation.studies.study import study

__all__ = ["Study", "study"]
