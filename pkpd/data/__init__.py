"""What was given and what was seen: doses, regimens, events, data sets. Knows nothing of models."""

from pkpd.data.dose import Dose
from pkpd.data.events import Events, Evid, Mode
from pkpd.data.regimen import Regimen

__all__ = ["Dose", "Events", "Evid", "Mode", "Regimen"]
