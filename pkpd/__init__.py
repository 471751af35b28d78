"""Pharmacokinetic and pharmacodynamic models as readable text: simulate, fit, report."""

__version__ = "0.1.0"
