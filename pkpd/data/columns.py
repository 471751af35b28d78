"""The columns that a data file may have, and what each means."""

from __future__ import annotations

# What is read as a number, and what a row gets that says nothing.
NUMBERS: dict[str, float] = {
    "TIME": float("nan"),
    "EVID": float("nan"),
    "AMT": float("nan"),
    "RATE": float("nan"),
    "DUR": float("nan"),
    "II": 0.0,
    "ADDL": 0.0,
    "SS": 0.0,
    "DV": float("nan"),
    "MDV": float("nan"),
    "CENS": 0.0,
    "LLOQ": float("nan"),
    "ULOQ": float("nan"),
    "LIMIT": float("nan"),
    "PERIOD": 0.0,
    "OCC": 0.0,
    "N": 1.0,
    "SD": float("nan"),
    "SE": float("nan"),
    "REF": float("nan"),
}
WHOLE = ("EVID", "ADDL", "SS", "MDV", "CENS", "PERIOD", "OCC")
LABELS = ("ID", "ROUTE", "CMT", "DVID", "ARM", "SEQUENCE")
DATES = ("DATE", "DAT1", "DAT2", "DAT3")

MEANING: dict[str, str] = {
    "ID": "who: rows of one subject lie together",
    "TIME": "time, as a number or as a clock time (9:30)",
    "DATE": "calendar date (year-month-day, month/day/year or a day number); DAT1, DAT2, DAT3 as in NONMEM",
    "EVID": "0 observation, 1 dose, 2 other, 3 reset, 4 reset and dose",
    "AMT": "amount of a dose",
    "RATE": "0 bolus, > 0 amount per time, -1 rate modelled, -2 duration modelled",
    "DUR": "duration of an infusion",
    "II": "time between doses",
    "ADDL": "number of doses that follow",
    "SS": "1 steady state, 2 steady state added to what is there",
    "CMT": "number of the model's route on a dose",
    "ROUTE": "name of the model's route on a dose",
    "DV": "what was observed",
    "DVID": "which output was observed: its name or its number",
    "MDV": "1: the row's DV does not count",
    "CENS": "0 observed, 1 below DV or LLOQ, -1 above DV or ULOQ",
    "LLOQ": "lower limit of quantification",
    "ULOQ": "upper limit of quantification",
    "LIMIT": "as in Monolix and nlmixr2: LLOQ on a row with CENS 1, ULOQ with CENS -1, else whichever side of DV it is",
    "ARM": "name of the arm",
    "PERIOD": "number of the period",
    "SEQUENCE": "name of the sequence",
    "OCC": "number of the occasion",
    "N": "the row is a mean of N people",
    "SD": "standard deviation between these people",
    "SE": "standard error of the mean",
    "REF": "time; the row is a percent change from the output's value at that time",
}

# Names other programs use for the same thing.
ALIASES = {
    "TINF": "DUR",
    "AMOUNT": "AMT",
    "ADM": "CMT",
    "Y": "DV",
    "YTYPE": "DVID",
    "OBSID": "DVID",
    "SUBJECT": "ID",
    "SUBJID": "ID",
    "BLQ": "CENS",
}
