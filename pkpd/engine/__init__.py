"""A model and events become numbers and their sensitivities.

`compile_model` makes a model ready to run, `bind` lets events meet it, `predict` gives the numbers,
`predict_second` their second derivatives too.
"""

from __future__ import annotations

from pkpd.data.occasions import OCCASION
from pkpd.engine.predict import predict
from pkpd.engine.prediction import Failure, Prediction
from pkpd.engine.program import Program, compile_model
from pkpd.engine.schedule import Schedule, bind
from pkpd.engine.second import predict_second

__all__ = [
    "OCCASION",
    "Failure",
    "Prediction",
    "Program",
    "Schedule",
    "bind",
    "compile_model",
    "predict",
    "predict_second",
]
