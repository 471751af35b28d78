"""What a drug does: parameters, equations, routes, outputs; read from text, written as text, checked."""

from __future__ import annotations

from pkpd.model.equation import Equations, parse_equations, parse_expression
from pkpd.model.expression import Call, Expr, Name, Number
from pkpd.model.mixture import Class
from pkpd.model.model import Check, Model, Need, State
from pkpd.model.omega import Block, Omega
from pkpd.model.output import Output
from pkpd.model.parameter import Constant, Covariate, Parameter
from pkpd.model.prior import Prior
from pkpd.model.route import Input, Route

__all__ = [
    "Block",
    "Call",
    "Check",
    "Class",
    "Constant",
    "Covariate",
    "Equations",
    "Expr",
    "Input",
    "Model",
    "Name",
    "Need",
    "Number",
    "Omega",
    "Output",
    "Parameter",
    "Prior",
    "Route",
    "State",
    "parse_equations",
    "parse_expression",
]
