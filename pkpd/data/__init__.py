"""What was given and what was seen: doses, regimens, events, data sets. Knows nothing of models."""

from pkpd.data.after_dose import time_after_dose
from pkpd.data.dataset import Dataset, Subject
from pkpd.data.dose import Dose
from pkpd.data.events import Events, Evid, Mode
from pkpd.data.occasions import OCCASION, with_occasions
from pkpd.data.read import read_data
from pkpd.data.regimen import Regimen

__all__ = [
    "OCCASION",
    "Dataset",
    "Dose",
    "Events",
    "Evid",
    "Mode",
    "Regimen",
    "Subject",
    "read_data",
    "time_after_dose",
    "with_occasions",
]
