"""Pharmacokinetic and pharmacodynamic models as readable text: simulate, fit, report.

>>> import pkpd
>>> model = pkpd.load("theophylline_boeckmann1994")
>>> sim = pkpd.simulate(model, "320 mg oral", times=range(0, 25))

The public names are listed in ``__all__`` and are imported when they are first used, so that ``import pkpd`` costs
next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pkpd import convert, diagnostics, errors, library, plots, project, units
    from pkpd.data import Dataset, Dose, Events, Regimen, Subject, read_data
    from pkpd.design import Arm, Choice, Information, choose_times, information
    from pkpd.diagnostics import (
        NPC,
        NPDE,
        VPC,
        Diagnosis,
        EtaCovariates,
        EtaDistributions,
        EtaPairs,
        EventVPC,
        Forest,
        GoodnessOfFit,
        Identifiability,
        IndividualFits,
        Influence,
        Precision,
        ProfileCurves,
        Residuals,
        Trace,
        diagnose,
        nca,
    )
    from pkpd.errors import (
        CannotFit,
        DataError,
        DoseError,
        Finding,
        FitError,
        FitFileError,
        MismatchError,
        ModelError,
        ModelSyntaxError,
        PkpdError,
        PkpdWarning,
        SolveError,
        UnitError,
        UsageError,
    )
    from pkpd.estimation import (
        FO,
        FOCE,
        MAP,
        SAEM,
        SIR,
        Bootstrap,
        Fit,
        Importance,
        Individual,
        Laplace,
        LikelihoodRatio,
        Pooled,
        Profile,
        Quadrature,
        Randomisation,
        Start,
        TwoStage,
        bootstrap,
        compare,
        find_start,
        fit,
        leave_one_out,
        load_fit,
        prior_sensitivity,
        profile,
        randomise,
        sir,
    )
    from pkpd.library import load
    from pkpd.model import Covariate, Model, Omega, Output, Parameter, Prior, parts
    from pkpd.reporting.report import report
    from pkpd.simulation import (
        Crossover,
        Dropout,
        Trial,
        attain,
        crossover,
        simulate,
        sustain,
        washout,
    )
    from pkpd.simulation.events import simulate_events
    from pkpd.simulation.studies import Study, study

_MODULES = {
    "convert": "pkpd.convert",
    "diagnostics": "pkpd.diagnostics",
    "errors": "pkpd.errors",
    "library": "pkpd.library",
    "parts": "pkpd.model.parts",
    "plots": "pkpd.plots",
    "project": "pkpd.project",
    "units": "pkpd.units",
}
_ROOMS = {
    "pkpd.data": ("Dataset", "Dose", "Events", "Regimen", "Subject", "read_data"),
    "pkpd.design": ("Arm", "Choice", "Information", "choose_times", "information"),
    "pkpd.diagnostics": (
        "NPC",
        "NPDE",
        "VPC",
        "Diagnosis",
        "EtaCovariates",
        "EtaDistributions",
        "EtaPairs",
        "EventVPC",
        "Forest",
        "GoodnessOfFit",
        "Identifiability",
        "IndividualFits",
        "Influence",
        "Precision",
        "ProfileCurves",
        "Residuals",
        "Trace",
        "diagnose",
        "nca",
    ),
    "pkpd.errors": (
        "CannotFit",
        "DataError",
        "DoseError",
        "Finding",
        "FitError",
        "FitFileError",
        "MismatchError",
        "ModelError",
        "ModelSyntaxError",
        "PkpdError",
        "PkpdWarning",
        "SolveError",
        "UnitError",
        "UsageError",
    ),
    "pkpd.estimation": (
        "FO",
        "FOCE",
        "MAP",
        "SAEM",
        "SIR",
        "Bootstrap",
        "Fit",
        "Importance",
        "Individual",
        "Laplace",
        "LikelihoodRatio",
        "Pooled",
        "Profile",
        "Quadrature",
        "Randomisation",
        "Start",
        "TwoStage",
        "bootstrap",
        "compare",
        "find_start",
        "fit",
        "leave_one_out",
        "load_fit",
        "prior_sensitivity",
        "profile",
        "randomise",
        "sir",
    ),
    "pkpd.library": ("load",),
    "pkpd.model": ("Covariate", "Model", "Omega", "Output", "Parameter", "Prior"),
    "pkpd.reporting.report": ("report",),
    "pkpd.simulation.events": ("simulate_events",),
    "pkpd.simulation.studies": ("Study", "study"),
    "pkpd.simulation": (
        "Crossover",
        "Dropout",
        "Trial",
        "attain",
        "crossover",
        "simulate",
        "sustain",
        "washout",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [  # noqa: RUF022 - by what a reader does first, not by the alphabet
    # verbs
    "load",
    "read_data",
    "fit",
    "find_start",
    "load_fit",
    "profile",
    "bootstrap",
    "sir",
    "compare",
    "randomise",
    "leave_one_out",
    "prior_sensitivity",
    "simulate",
    "simulate_events",
    "attain",
    "sustain",
    "washout",
    "crossover",
    "study",
    "information",
    "choose_times",
    "diagnose",
    "nca",
    "report",
    # estimators
    "Individual",
    "Pooled",
    "FO",
    "FOCE",
    "Laplace",
    "Quadrature",
    "SAEM",
    "Importance",
    "TwoStage",
    # subjects, given a population
    "MAP",
    # how well the estimates of a population fit are known
    "Profile",
    "Bootstrap",
    "SIR",
    "LikelihoodRatio",
    "Randomisation",
    # questions to a fit; all of them are in diagnostics
    "GoodnessOfFit",
    "IndividualFits",
    "Residuals",
    "NPDE",
    "VPC",
    "NPC",
    "EventVPC",
    "EtaDistributions",
    "EtaPairs",
    "EtaCovariates",
    "Forest",
    "Trace",
    "Precision",
    "ProfileCurves",
    "Influence",
    "Identifiability",
    # nouns
    "Model",
    "Parameter",
    "Prior",
    "Covariate",
    "Omega",
    "Output",
    "Dose",
    "Regimen",
    "Events",
    "Subject",
    "Dataset",
    "Trial",
    "Dropout",
    "Crossover",
    "Study",
    "Fit",
    "Diagnosis",
    "Start",
    "Arm",
    "Information",
    "Choice",
    # rooms
    "convert",
    "diagnostics",
    "library",
    "parts",
    "plots",
    "project",
    "units",
    # what can go wrong
    "errors",
    "PkpdError",
    "PkpdWarning",
    "ModelError",
    "ModelSyntaxError",
    "UnitError",
    "DataError",
    "DoseError",
    "MismatchError",
    "SolveError",
    "FitError",
    "CannotFit",
    "FitFileError",
    "UsageError",
    "Finding",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import a public name from its room when it is first asked for."""
    if name in _MODULES:
        value: object = importlib.import_module(_MODULES[name])
    elif name in _ROOM_OF:
        value = getattr(importlib.import_module(_ROOM_OF[name]), name)
    else:
        raise AttributeError(f"module 'pkpd' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, those not imported yet among them."""
    return sorted({*globals(), *__all__})
