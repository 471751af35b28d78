"""Every dimension, variable and group that a result may hold, with its meaning and the kind of its unit.

Fits and simulations are xarray objects; this table is what their names mean. A writer takes the ``long_name`` of a
variable from here (:func:`describe`), a reader looks here to know what to expect. Columns of records are NONMEM's, in
upper case.
"""

from __future__ import annotations

from pkpd.schema.fits import OF_FITS
from pkpd.schema.more import OF_MORE
from pkpd.schema.variable import Variable

__all__ = ["DIMENSIONS", "GROUPS", "VARIABLES", "Variable", "describe"]

DIMENSIONS: dict[str, str] = {
    "parameter": "an estimated quantity: the model's parameters, then those of the residual error",
    "parameter_": "the same, along the other side of a matrix",
    "subject": "a person, or an arm whose means are the data",
    "effect": "a between-subject effect (ETA)",
    "effect_": "the same, along the other side of a matrix",
    "class": "a class of people in a mixture",
    "record": "an observation, in the order of the data file",
    "row": "a row of the data: a dose, an observation, another event",
    "iteration": "a step of the search",
    "start": "one of several starts of the search",
    "arm": "a treatment",
    "draw": "a replicate: another population, or other parameter values",
    "time": "time after the start of the record, in the model's unit",
    "chain": "a Markov chain; one for draws that are independent",
    "point": "a place along a profile",
    "replicate": "a data set that was drawn, and fitted",
    "round": "a round of sampling, whose draws say where the next one looks",
    "quantile": "a share of a distribution",
    "variant": "the same model with other priors",
    "assignment": "which person has which sequence or arm",
    "estimator": "one of several ways to fit",
    "model": "one of several models that are fitted",
    "interval": "how an interval was made",
    "law": "the law that a likelihood ratio is held against",
}

GROUPS: dict[str, str] = {
    "/": "attributes: what was fitted, how, and with what verdict",
    "estimates": "the estimates and their precision",
    "covariance": "covariance and correlation of the estimates, on the estimation and on the natural scale",
    "verdict": "why the fit may or may not be believed, in numbers",
    "omega": "between-subject variances and covariances",
    "subjects": "what belongs to one subject: its parameters, its part of the objective",
    "etas": "the subjects' random effects: their modes, given the data",
    "mixture": "to which class of a mixture the subjects belong",
    "importance": "importance sampling: how well the draws of a subject stand for its random effects",
    "records": "the observations, their predictions and residuals (the sdtab)",
    "data": "what was fitted: the rows of the data set; what all of them say alike stands in the attribute `same`",
    "trace": "the path of the search",
    "starts": "where each start of the search ended",
    "posterior": "draws of the parameters, with ArviZ's names",
    "sample_stats": "how those draws were made, with ArviZ's names",
    "profile": "profile likelihood: the objective along one quantity, minimised over all others",
    "bootstrap": "fits to data that were drawn again",
    "sir": "sampling importance resampling: how well the draws stand for the likelihood",
    "information": "no part of a fit: what a study is expected to tell (`pkpd.information`)",
    "choice": "no part of a fit: how sampling times were chosen (`pkpd.choose_times`)",
    "study": "no part of a fit: estimates of simulated trials beside the truth (`pkpd.study`)",
    "study_replicates": "no part of a fit: the fits of every simulated trial (`pkpd.study`)",
    "study_tests": "no part of a fit: how often the null model was rejected (`pkpd.study`)",
    "leave_one_out": "fits without each subject in turn",
    "prior_sensitivity": "fits with priors made narrower, wider, or taken out",
    "compare": "likelihood ratios of data that were drawn from the smaller of two models",
    "randomise": "a statistic under other assignments of sequences or arms to people",
}

VARIABLES: dict[tuple[str, str], Variable] = {
    (variable.group, variable.name): variable for variable in (*OF_FITS, *OF_MORE)
}


def describe(group: str, name: str, unit: str | None = None) -> dict[str, str]:
    """Give the attributes of a variable: ``long_name``, and ``units`` where it has one unit.

    Parameters
    ----------
    group, name
        Where it lives and what it is called.
    unit
        Its unit, where the kind of unit leaves that open ("time", "output", "parameter").

    Examples
    --------
    >>> describe("estimates", "rse")
    {'long_name': 'relative standard error', 'units': '%'}
    """
    variable = VARIABLES[group, name]
    units = unit if unit is not None else variable.unit if variable.unit in ("1", "%", "s", "-2 log L") else None
    return {"long_name": variable.meaning} | ({"units": units} if units else {})
