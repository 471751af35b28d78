"""Every dimension, variable and group that a result may hold, with its meaning and the kind of its unit.

Fits and simulations are xarray objects; this table is what their names mean. A writer takes the ``long_name`` of a
variable from here (:func:`describe`), a reader looks here to know what to expect. Columns of records are NONMEM's, in
upper case.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DIMENSIONS", "GROUPS", "VARIABLES", "Variable", "describe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What one variable of a result means.

    Parameters
    ----------
    name, group
        Its name, and the group of the tree in which it lives.
    dims
        Its dimensions. In fits of one subject each, ``subject`` comes in front of them where `by_subject` is true.
    meaning
        One line; becomes the ``long_name``.
    unit
        The kind of its unit: ``"time"``, ``"dose"``, ``"output"`` (the unit of the record's output), ``"parameter"``
        (each parameter's own), ``"transformed"`` (the estimation scale), ``"1"``, ``"%"``, ``"-2 log L"``, ``"s"``,
        or ``""`` for names, texts and flags.
    by_subject
        Whether there is one for each subject when each is fitted alone.
    """

    name: str
    group: str
    dims: tuple[str, ...]
    meaning: str
    unit: str = ""
    by_subject: bool = False


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


def _estimate(name: str, meaning: str, unit: str = "") -> Variable:
    return Variable(name=name, group="estimates", dims=("parameter",), meaning=meaning, unit=unit, by_subject=True)


def _verdict(name: str, meaning: str, unit: str = "", dims: tuple[str, ...] = ()) -> Variable:
    return Variable(name=name, group="verdict", dims=dims, meaning=meaning, unit=unit, by_subject=True)


def _record(name: str, meaning: str, unit: str = "") -> Variable:
    return Variable(name=name, group="records", dims=("record",), meaning=meaning, unit=unit)


def _more(group: str, dims: tuple[str, ...], /, **meanings: str | tuple[str, str]) -> tuple[Variable, ...]:
    """Several variables of one group and of the same dimensions: a meaning each, or (meaning, unit)."""
    pairs = {name: (said, "") if isinstance(said, str) else said for name, said in meanings.items()}
    return tuple(
        Variable(name=name, group=group, dims=dims, meaning=meaning, unit=unit)
        for name, (meaning, unit) in pairs.items()
    )


_ENDS: dict[str, str | tuple[str, str]] = {
    "lower": ("lower end of the interval", "parameter"),
    "upper": ("upper end of the interval", "parameter"),
}

_LISTED = (
    _estimate("value", "estimate", "parameter"),
    _estimate("se", "standard error", "parameter"),
    _estimate("rse", "relative standard error", "%"),
    _estimate("lower", "lower end of the confidence interval", "parameter"),
    _estimate("upper", "upper end of the confidence interval", "parameter"),
    _estimate("initial", "value before the fit", "parameter"),
    _estimate("fixed", "held at its initial value"),
    _estimate("unit", "unit"),
    _estimate("transform", "from the natural to the estimation scale: log, logit or none"),
    _estimate("transformed", "estimate on the estimation scale", "transformed"),
    _estimate("transformed_se", "standard error on the estimation scale", "transformed"),
    _estimate("at_bound", "the estimate lies on a bound"),
    _estimate("label", "what the parameter is"),
    _estimate("prior", "it has a prior"),
    _estimate("prior_share", "share of the information on it that is due to priors", "1"),
    Variable(
        name="covariance",
        group="covariance",
        dims=("parameter", "parameter_"),
        meaning="covariance of the estimates on the estimation scale",
        unit="transformed",
        by_subject=True,
    ),
    Variable(
        name="correlation",
        group="covariance",
        dims=("parameter", "parameter_"),
        meaning="correlation of the estimates on the estimation scale",
        unit="1",
        by_subject=True,
    ),
    Variable(
        name="natural",
        group="covariance",
        dims=("parameter", "parameter_"),
        meaning="covariance of the estimates on the natural scale (delta method)",
        unit="parameter",
        by_subject=True,
    ),
    _verdict("status", "the verdict in a word"),
    _verdict("message", "the verdict in a sentence, with what to do"),
    _verdict("gradient", "largest slope of half the objective, in standard errors of the parameters", "1"),
    _verdict("decrement", "how much the objective could still fall", "-2 log L"),
    _verdict("rank", "rank of the weighted sensitivities"),
    _verdict("free", "number of quantities estimated"),
    _verdict("condition", "condition number of the correlation of the estimates (ratio of eigenvalues)", "1"),
    _verdict("null_directions", "what the data leave undetermined, in words"),
    _verdict("evaluations", "number of times the model was solved"),
    _verdict("objective", "-2 log likelihood without the constant n log(2 pi), and that of priors", "-2 log L"),
    _verdict("likelihood", "the part of the objective that is the likelihood", "-2 log L"),
    _verdict("prior", "the part of the objective that is due to priors, 0 at their modes", "-2 log L"),
    _verdict("sum_of_squares", "sum of squared weighted residuals", "1"),
    _verdict("sigma", "factor on the residual SDs, from the sum of squares and the degrees of freedom", "1"),
    _verdict("records", "number of observations that count"),
    _verdict("probabilities", "number of these that have a probability, not a density: censored ones, scores, counts"),
    _verdict("degrees_of_freedom", "observations less estimated quantities"),
    _verdict("marginal", "-2 log likelihood with the random effects integrated out exactly", "-2 log L"),
    _verdict("marginal_error", "its numerical or Monte Carlo error", "-2 log L"),
    _verdict("starts_at_best", "number of starts that reached the best objective"),
    _verdict("basins", "number of different objectives at which the starts ended"),
    *_more(
        "subjects",
        ("subject", "parameter"),
        individual=("the subject's parameters, before the factors of its covariates", "parameter"),
    ),
    *_more("subjects", ("subject",), objective=("the subject's part of the objective", "-2 log L")),
    *_more("etas", ("subject", "effect"), eta=("between-subject effect", "1"), eta_se=("its standard error", "1")),
    *_more(
        "etas",
        ("subject", "effect", "effect_"),
        eta_covariance=("covariance of the subject's effects, given its records", "1"),
    ),
    *_more(
        "omega",
        ("effect", "effect_"),
        covariance=("covariance of the ETAs", "1"),
        correlation=("correlation of the ETAs", "1"),
    ),
    *_more(
        "omega",
        ("effect",),
        shrinkage=("shrinkage of the ETAs, SD form", "1"),
        shrinkage_variance=("shrinkage of the ETAs, variance form", "1"),
    ),
    *_more("mixture", ("subject", "class"), probability=("probability of the class, given the subject's records", "1")),
    *_more("mixture", ("subject",), most_probable="the most probable class: that of the ETAs, PRED and IPRED"),
    *_more(
        "importance",
        ("subject",),
        objective_error=("Monte Carlo standard error of -2 log L", "1"),
        effective=("effective number of draws", "1"),
        largest_share=("largest share of one draw in the weights", "1"),
        tail_index=("tail index of the weights", "1"),
    ),
    _record("ID", "subject"),
    _record("TIME", "time", "time"),
    _record("DV", "observation", "output"),
    _record("DVID", "name of the output"),
    _record("PRED", "prediction at the typical values; the expectation of a score or count", "output"),
    _record("IPRED", "prediction at the subject's own values; the expectation of a score or count", "output"),
    _record("RES", "DV - PRED; none where the record is censored", "output"),
    _record("IRES", "DV - IPRED; none where the record is censored", "output"),
    _record("WRES", "RES over the residual SD at PRED; of amounts in a population, as of FO (NONMEM's WRES)", "1"),
    _record("IWRES", "IRES over the residual SD at IPRED (of logarithms for a log error)", "1"),
    _record("CWRES", "conditional weighted residual (Hooker 2007; NONMEM's CWRES)", "1"),
    _record("CWRESI", "conditional weighted residual with interaction (NONMEM's CWRESI)", "1"),
    _record("RQR", "randomised quantile residual at IPRED (Dunn and Smyth)", "1"),
    _record("NPDE", "normalised prediction distribution error", "1"),
    _record("SD", "residual standard deviation at IPRED (of the logarithm for a log error)", "output"),
    _record("N", "number of people behind the value"),
    _record("REF", "time from which the change is counted, in percent; empty if the value is not a change", "time"),
    _record("UNIT", "unit of the observation and of its predictions"),
    _record("ROW", "row in the data file; -1 if there is none"),
    _record("ARM", "treatment"),
    _record("PERIOD", "period of a crossover"),
    _record("SEQUENCE", "order of the treatments in a crossover"),
    _record("OCC", "occasion"),
    *_more(
        "data",
        ("row",),
        ID="subject",
        TIME=("time", "time"),
        DV="observation",
        DVID="name of the output",
        MDV="whether the observation does not count",
        CENS="whether the observation is a limit: 1 below, -1 above",
        LLOQ="lower limit of quantification",
        ULOQ="upper limit of quantification",
        ARM="treatment",
        PERIOD="period of a crossover",
        SEQUENCE="order of the treatments in a crossover",
        OCC="occasion",
        N="number of people behind the value",
        SD="standard deviation of the value",
        SE="standard error of the value",
        REF=("time from which the change is counted, in percent", "time"),
        ROW="row in the data file; -1 if there is none",
        EVID="kind of event, as in NONMEM",
        AMT="amount of the dose",
        RATE="rate of the infusion",
        DUR=("duration of the infusion", "time"),
        II=("interval between doses", "time"),
        ADDL="number of additional doses",
        SS="whether the dose is at steady state",
        MODE="how the dose goes in: bolus, at a rate, over a duration, or modelled",
        ROUTE="route of the dose",
        UNIT="unit of the dose",
    ),
    *_more("trace", ("iteration",), objective=("objective along the search", "-2 log L")),
    *_more("trace", ("iteration", "parameter"), value=("parameters along the search", "parameter")),
    *_more("trace", ("iteration",), group="whose search it is: a subject, or `pooled`"),
    *_more("starts", ("start",), objective=("objective where the start ended", "-2 log L")),
    *_more("starts", ("start", "parameter"), value=("where the start ended", "parameter")),
    *_more("starts", ("start",), group="whose search it is: a subject, or `pooled`"),
    *_more(
        "profile",
        ("parameter",),
        **_ENDS,
        lower_open="the data set no lower end",
        upper_open="the data set no upper end",
    ),
    *_more(
        "profile",
        ("parameter", "point"),
        value=("value at which the quantity was held", "parameter"),
        objective=("rise of the objective above its minimum", "-2 log L"),
    ),
    *_more("profile", ("parameter", "point", "parameter_"), others=("where all quantities stand then", "parameter")),
    *_more(
        "bootstrap",
        ("parameter",),
        **_ENDS,
        bca_lower=("lower end, corrected for bias and acceleration", "parameter"),
        bca_upper=("upper end, corrected for bias and acceleration", "parameter"),
        mean=("mean of the estimates", "parameter"),
        se=("their standard deviation", "parameter"),
        transformed_se=("the same on the estimation scale", "transformed"),
        bias=("mean of the estimates less the estimate", "parameter"),
    ),
    *_more(
        "bootstrap",
        ("replicate",),
        hash="what tells one drawn data set from another",
        status="the verdict on its fit in a word",
        message="why it does not count, if it does not",
        objective=("its objective", "-2 log L"),
    ),
    *_more("sample_stats", ("chain", "draw"), lp=("log likelihood, without constants", "1")),
    *_more("sir", ("parameter",), **_ENDS, median=("median of the draws", "parameter")),
    *_more(
        "sir",
        ("round",),
        samples="number of draws",
        resamples="number of them that were kept",
        effective=("effective number of draws: draws of equal weight that would say as much", "1"),
        lost="number of draws that had no likelihood",
        proposal_freedom=("mean rise of the objective over the draws", "-2 log L"),
        freedom=("the same over those kept: the degrees of freedom if they follow a chi-square law", "-2 log L"),
    ),
    *_more(
        "sir",
        ("quantile",),
        rise=("quantiles of the rise of the objective over the draws kept", "-2 log L"),
        proposal_rise=("quantiles of the rise of the objective over all draws of the last round", "-2 log L"),
        chi_square=("quantiles of chi-square with as many degrees of freedom as quantities", "-2 log L"),
    ),
    *_more(
        "information",
        ("parameter",),
        value=("value at which the study is looked at", "parameter"),
        unit="unit of the value",
        se=("expected standard error; infinite if the study does not identify it", "parameter"),
        rse=("expected relative standard error", "%"),
        se_error=("Monte Carlo error of the standard error", "parameter"),
    ),
    *_more(
        "information",
        ("parameter", "parameter_"),
        information=("expected Fisher information on the natural scale", "parameter"),
        information_error=("its Monte Carlo error", "parameter"),
        covariance=("its inverse: the expected covariance of the estimates", "parameter"),
    ),
    *_more("information", ("arm",), n="number of people"),
    *_more(
        "choice",
        ("iteration",),
        start="which start it belongs to; 0 is the design that was given",
        arm="whose sample was moved",
        output="of which output",
        before=("when it was taken before", "time"),
        after=("when it is taken now", "time"),
        criterion=("the criterion then", "1"),
    ),
    *_more(
        "leave_one_out",
        ("subject", "parameter"),
        value=("estimate without the subject", "parameter"),
        change=("how far it moved, in standard errors on the estimation scale", "1"),
    ),
    *_more(
        "leave_one_out",
        ("subject",),
        objective=("objective of the others at their estimates", "-2 log L"),
        displacement=("objective of everybody there, less its minimum", "-2 log L"),
        cook=("squared distance of the estimates in the metric of their precision, over their number", "1"),
        held_out=("exact -2 log likelihood of the subject at the estimates of the others", "-2 log L"),
        held_out_error=("its numerical or Monte Carlo error", "-2 log L"),
        held_in=("exact -2 log likelihood of the subject at the estimates of everybody", "-2 log L"),
        status="the verdict on the fit in a word",
        message="why it does not count, if it does not",
    ),
    *_more(
        "prior_sensitivity",
        ("variant", "parameter"),
        value=("estimate", "parameter"),
        se=("standard error, of the observed information", "parameter"),
        share=("share of the information on it that is due to priors", "1"),
        shift=("how far the estimate moved, in standard errors of the fit on the estimation scale", "1"),
    ),
    *_more(
        "prior_sensitivity",
        ("variant",),
        prior="the prior that was changed, or `all`",
        scale=("factor on the SD of the prior; infinite where it was taken out", "1"),
        objective=("objective", "-2 log L"),
        likelihood=("the part of the objective that is the likelihood", "-2 log L"),
        status="the verdict on the fit in a word",
        message="why it does not count, if it does not",
    ),
    *_more(
        "compare",
        ("replicate",),
        statistic=("likelihood ratio: objective of the smaller model less that of the larger", "-2 log L"),
        small=("objective of the smaller model", "-2 log L"),
        large=("objective of the larger model", "-2 log L"),
        hash="what tells one drawn data set from another",
        status="the verdict on the two fits in a word",
        message="why it does not count, if it does not",
    ),
    *_more("study", ("parameter",), truth=("the value that made the data; NaN where the truth has none", "parameter")),
    *_more(
        "study",
        ("estimator", "model"),
        fits="how many fits there are",
        sound="how many of them count: converged, or at a bound",
        fit_seconds=("mean time of one, with its intervals and tests", "s"),
    ),
    *_more(
        "study",
        ("estimator", "model", "parameter"),
        count="fits that count and estimate it",
        mean=("mean of the estimates", "parameter"),
        bias=("mean of the estimates less the truth", "parameter"),
        bias_error=("Monte Carlo error of mean and bias: one standard deviation", "parameter"),
        relative_bias=("bias over the truth", "%"),
        rmse=("root of the mean squared distance from the truth", "parameter"),
        sd=("standard deviation of the estimates", "parameter"),
        mean_se=("mean of their standard errors, where there is one", "parameter"),
    ),
    *_more(
        "study",
        ("estimator", "model", "interval", "parameter"),
        coverage=("share of the intervals that hold the truth", "1"),
        coverage_lower=("lower end of the exact 95 % binomial interval of that share", "1"),
        coverage_upper=("its upper end", "1"),
        intervals="how many intervals there are",
    ),
    *_more(
        "study_replicates",
        ("replicate", "estimator", "model", "parameter"),
        value=("estimate", "parameter"),
        se=("standard error", "parameter"),
    ),
    *_more("study_replicates", ("replicate", "estimator", "model", "interval", "parameter"), **_ENDS),
    *_more(
        "study_replicates",
        ("replicate", "estimator", "model"),
        objective=("objective", "-2 log L"),
        status="the verdict in a word",
        message="why it has not converged, if it has not",
        seconds=("time of the fit, with its intervals and tests; the only number that chance may change", "s"),
        statistic=("likelihood ratio against the null model", "-2 log L"),
        untested="why there is no test, or what is missing of it",
    ),
    *_more("study_replicates", ("replicate", "estimator", "model", "law"), p=("p of the likelihood ratio", "1")),
    *_more("study_replicates", ("replicate",), hash="what tells one data set from another"),
    *_more(
        "study_tests",
        ("estimator", "model", "law"),
        tests="how many tests there are",
        rejected=("share of them with a p of alpha or less", "1"),
        rejected_lower=("lower end of the exact 95 % binomial interval of that share", "1"),
        rejected_upper=("its upper end", "1"),
    ),
    *_more("randomise", ("subject",), given="the sequence or arm of the data"),
    *_more("randomise", ("assignment", "subject"), assigned="the sequence or arm"),
    *_more(
        "randomise",
        ("assignment",),
        statistic="the statistic",
        status="whether it could be computed",
        message="why it could not, if it could not",
    ),
)

VARIABLES: dict[tuple[str, str], Variable] = {(variable.group, variable.name): variable for variable in _LISTED}


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
