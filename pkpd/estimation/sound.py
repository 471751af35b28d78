"""What data cannot tell of a population, found before a search: each finding names who, where, and what to do."""

from __future__ import annotations

import numpy as np

from pkpd.errors import CannotFit, Finding, raise_all
from pkpd.estimation.quantities import Quantities
from pkpd.estimation.seek import Scan
from pkpd.likelihood.observations import Observations
from pkpd.likelihood.population import Population
from pkpd.likelihood.problem import Prediction
from pkpd.model import Output
from pkpd.model.kind import Categories, Event, Likelihood, Score

__all__ = ["check_likelihood", "check_population"]

#: Places at which a parameter is moved, to see whether any prediction follows; decades between them.
_PLACES, _DECADES = 12, 2.0
#: A change smaller than this, relative to others or to the prediction, is rounding.
_SILENT = 1e-10
#: Records that are named.
_NAMED = 5


def check_population(population: Population, quantities: Quantities) -> None:
    """Refuse what no search can find.

    Raises
    ------
    CannotFit
        All that is wrong: fewer records than estimates; one subject, or one record each, for variances; a parameter on
        which no record depends; occasions that nobody has two of; outputs of which nothing was seen, or nothing that
        differs; a residual SD that may shrink without end.
    """
    found = []
    if not population.priors.names:  # which stand for records that were not seen
        found += [*_counts(population, quantities), *_occasions(population)]
        if population.mixture is None:
            found += _idle(population, quantities)
    found += _outputs(population)
    if found:
        raise_all(CannotFit, found)


def check_likelihood(population: Population, z: np.ndarray, each: np.ndarray) -> None:
    """Refuse a place where records have no likelihood, and name them.

    Parameters
    ----------
    population : Population
    z : (K,) float
        Typical values, transformed.
    each : (S,) float
        -2 log L of every subject; infinite where there is none.
    """
    lost = ~np.isfinite(each)
    if not lost.any():
        return
    problem, effects, seen = population.problem, population.effects, population.problem.observations
    w = effects.arguments(z, np.zeros((len(problem.subjects), len(effects.names))))
    values, _ = effects.natural(w, problem.program.parameters)
    for own in population.classes:
        own.problem.predict(values).raise_failures()
    got = problem.predict(values)
    psi, _, _ = effects.residual(w)
    spread = problem.residuals.spread(got.f, psi[population.subject])
    terms = population.density.terms(got.f, psi[population.subject])
    rows = np.flatnonzero(~np.isfinite(terms.value) & ~population.density.left_out)
    rows = rows[np.argsort(seen.row[rows], kind="stable")]
    outputs = list(problem.model.outputs.values())
    names = list(problem.model.outputs)
    findings = [
        Finding(
            code="no likelihood",
            where=seen.where(int(i)),
            what=f"the record has no likelihood at the starting values: DV {seen.dv[i]:g}, "
            f"{got.f[i]:g} predicted, SD {spread.sd[i]:g}.",
            expected="A residual SD above 0 for every record, and predictions above 0 under a log-normal error.",
            remedy=f"Leave the record out (MDV = 1), give {names[seen.output[i]]} an additive error (add), or change "
            "the starting values.",
        )
        if outputs[seen.output[i]].kind is None
        else _of_its_kind(seen, int(i), outputs[seen.output[i]], got)
        for i in rows[:_NAMED]
    ]
    if rows.size > _NAMED:
        findings.append(
            Finding(
                code="no likelihood",
                where=seen.origin,
                what=f"{rows.size - _NAMED} more records like this.",
                expected="All of them possible.",
                remedy="See above.",
            )
        )
    if findings:
        raise_all(CannotFit, findings)
    who = [problem.subjects[s] for s in np.flatnonzero(lost)]
    raise CannotFit(
        f"the records of {', '.join(who[:_NAMED])}{f' and {len(who) - _NAMED} more' if len(who) > _NAMED else ''} have "
        "no likelihood at the starting values.",
        where=problem.where,
        expected="Predictions at which every record is possible: a residual SD above 0, above 0 under a log-normal "
        "error, within the range of a score, not absurdly far from a count.",
        remedy="Look for records that are errors, change the starting values, or the law of the observations.",
    )


def _of_its_kind(seen: Observations, i: int, output: Output, got: Prediction) -> Finding:
    """A record that is no measured amount and has no likelihood."""
    name, dv = output.name, f"DV {seen.dv[i]:g}"
    if isinstance(output.kind, Event):
        since = f"{got.expected[i]:.4g} events expected since the record before"
        if seen.censored[i]:
            what, expected = f"an event at an unknown time (CENS), and {since}", "A hazard above 0 since then."
        elif got.f[i] == -np.inf:
            what, expected = (
                f"an event, and the hazard {name} is 0 at its time",
                "A hazard above 0 where events happen.",
            )
        else:
            what, expected = f"{dv}, {since}: the hazard {name} is no number or below 0", "A hazard of 0 or more."
    elif isinstance(output.kind, Likelihood):
        what, expected = f"{dv}, and the log likelihood {name} is {got.f[i]:g}", "A finite number, from its equations."
    else:
        what, expected = f"{dv}, {got.f[i]:g} predicted", f"A prediction at which {dv} is possible."
    return Finding(
        code="no likelihood",
        where=seen.where(i),
        what=f"the record has no likelihood at the starting values: {what}.",
        expected=expected,
        remedy="Check the equations and TIME, change the starting values, or leave the record out (MDV = 1).",
    )


def _counts(population: Population, quantities: Quantities) -> list[Finding]:
    """Too few records, or subjects."""
    problem, effects = population.problem, population.effects
    counting = ~population.density.left_out
    n, free = int(counting.sum()), int(quantities.coordinates.free.sum())
    each = np.bincount(population.subject[counting], minlength=len(problem.subjects))
    own = [name for name, is_free in zip(quantities.coordinates.names, quantities.coordinates.free) if is_free]
    between = [name for name in own if name.startswith("iiv.")]
    residual = [name for name in effects.typical if name in problem.residuals.names]
    if n < free:
        return [
            Finding(
                code="few records",
                where=problem.where,
                what=f"{n} record{'s' * (n != 1)} cannot give {free} estimates.",
                expected=f"Free are {', '.join(own)}.",
                remedy="Fix some of them, or take out random effects.",
            )
        ]
    if int((each > 0).sum()) == 1 and between:
        return [
            Finding(
                code="one subject",
                where=problem.where,
                what=f"ID {problem.subjects[int(np.argmax(each))]} alone has records, and {', '.join(between)} "
                "are variances between people.",
                expected="Two subjects with records, better twenty.",
                remedy="Use Individual() or Pooled(), or set iiv = 0.",
            )
        ]
    if each.max(initial=0) == 1 and between and residual:
        return [
            Finding(
                code="one record",
                where=problem.where,
                what=f"nobody has two records: the residual error ({', '.join(residual)}) cannot be told from "
                f"differences between people ({', '.join(between)}).",
                expected="Subjects with two records or more.",
                remedy=f"Hold the residual error at a known value (fixed={residual!r}), or use Pooled().",
            )
        ]
    return []


def _occasions(population: Population) -> list[Finding]:
    """Variances between occasions, where nobody has two."""
    groups = population.effects.covariance.groups
    within = [g.names[0] for g in groups if g.kind == "iov" and len(g.places) == 1]
    between = {name for g in groups if g.kind == "iiv" for name in g.names}
    both = [name for name in within if name in between]
    if not both:
        return []
    return [
        Finding(
            code="one occasion",
            where=population.problem.where,
            what=f"nobody has two occasions: differences of {', '.join(both)} between occasions (iov) cannot be told "
            "from those between people (iiv).",
            expected="A column OCC, or PERIOD, that changes within subjects.",
            remedy="Set iov = 0, or check the column.",
        )
    ]


def _outputs(population: Population) -> list[Finding]:
    """Outputs whose residual error the records cannot tell."""
    problem, effects, density = population.problem, population.effects, population.density
    seen, residuals = problem.observations, problem.residuals
    f = np.full(seen.dv.size, np.nan)
    found = []
    for o, (output, law) in enumerate(zip(problem.model.outputs.values(), residuals.laws, strict=True)):
        rows = np.flatnonzero((residuals.output == o) & np.isnan(residuals.known) & ~density.left_out)
        rows = rows[np.argsort(seen.row[rows], kind="stable")]
        if law.discrete is not None:
            found += _all_the_same(seen, output, rows, [name for name in output.residual_names if name in
                                                        effects.typical])  # fmt: skip
            continue
        own = [p for p in (law.add, law.prop, law.log) if p is not None]
        free = [residuals.names[p] for p in own if residuals.names[p] in effects.typical]
        if not rows.size or not free:
            continue
        points = rows[~density.censored[rows]]
        if not points.size:
            found.append(
                Finding(
                    code="all censored",
                    where=f"{seen.where(int(rows[0]))}, output {output.name}",
                    what=f"all {rows.size} records of {output.name} are beyond a limit (CENS): nothing was seen.",
                    expected=f"Observations that tell its residual error ({', '.join(free)}).",
                    remedy=f"Hold it (fixed={free!r}), or check the columns CENS, LLOQ and DV.",
                )
            )
            continue
        dv = seen.dv[points]
        if dv.size > 2 and (dv == dv[0]).all() and len(free) == len(own) and points.size == rows.size:
            found.append(
                Finding(
                    code="constant",
                    where=f"{seen.where(int(points[0]))}, output {output.name}",
                    what=f"all {dv.size} observations of {output.name} are {dv[0]:g}.",
                    expected="Observations that differ: the residual SD of equal ones may shrink without end.",
                    remedy="Check the column DV, and its units.",
                )
            )
        elif law.add is not None and law.prop is not None and residuals.names[law.add] in free and (dv == 0).any():
            if np.isnan(f).all():
                w = effects.arguments(effects.start, np.zeros((len(problem.subjects), len(effects.names))))
                f = population.predicted(w)
            nothing = points[f[points] == 0]
            if nothing.size and (seen.dv[nothing] == 0).all():
                found.append(
                    Finding(
                        code="exact",
                        where=seen.where(int(nothing[0])) + (f" and {nothing.size - 1} more" * (nothing.size > 1)),
                        what=f"DV is 0 where 0 is predicted, such as before the first dose: {residuals.names[law.add]} "
                        "may shrink without end.",
                        expected="Records whose prediction is not exact, beside a proportional error.",
                        remedy="Leave these records out (MDV = 1), or hold the additive SD "
                        f"(fixed=[{residuals.names[law.add]!r}]).",
                    )
                )
    return found


def _all_the_same(seen: Observations, output: Output, rows: np.ndarray, free: list[str]) -> list[Finding]:
    """Scores, categories or counts that are all one value, and levels that nobody has; `free` are estimated."""
    dv, kind = seen.dv[rows], output.kind
    if isinstance(kind, Event) and dv.size and (dv == 0).all():
        return [
            Finding(
                code="no event",
                where=f"{seen.where(int(rows[0]))}, output {output.name}",
                what=f"all {dv.size} records of {output.name} have DV 0: there is no event.",
                expected="An event or more: without any, the most probable hazard is 0.",
                remedy="Check the column DV; or leave the output out.",
            )
        ]
    if isinstance(kind, Categories) and dv.size and free:
        unseen = [level for level in kind.levels if not (dv == level).any()]
        if unseen and (dv != dv[0]).any():
            said = ", ".join(f"{level:g}" for level in unseen)
            return [
                Finding(
                    code="unseen",
                    where=f"{seen.where(int(rows[0]))}, output {output.name}",
                    what=f"nobody has the level {said} of {output.name}: a cut beside it runs to where it has no "
                    "probability.",
                    expected=f"Each of the levels {', '.join(f'{level:g}' for level in kind.levels)} at least once.",
                    remedy=f"Take {said} out of levels, with a cut; or hold the cuts (fixed={free!r}).",
                )
            ]
    if dv.size < 2 or (dv != dv[0]).any() or kind is None or kind.key in ("event", "likelihood"):
        return []
    ends = (kind.lower, kind.upper) if isinstance(kind, Score) else ()
    place = {0: ", the floor", 1: ", the ceiling"}[ends.index(dv[0])] if dv[0] in ends else ""
    return [
        Finding(
            code="constant",
            where=f"{seen.where(int(rows[0]))}, output {output.name}",
            what=f"all {dv.size} observations of {output.name} are {dv[0]:g}{place}.",
            expected="Observations that differ: equal ones are most probable where a prediction runs to infinity.",
            remedy="Check the column DV; or leave the output out.",
        )
    ]


def _idle(population: Population, quantities: Quantities) -> list[Finding]:
    """Parameters on which no record depends."""
    effects = population.effects
    own = [p for p in effects.parameters[: effects.count] if p.name in effects.engine]
    w = effects.arguments(effects.start, np.zeros((len(population.problem.subjects), len(effects.names))))
    v = population.slopes(w, order=1).v[:, 0]
    at = {name: i for i, name in enumerate(effects.engine)}
    size = np.abs(np.nan_to_num(v, nan=np.inf)).max(axis=0, initial=0.0)
    suspects = [p for p in own if not size[at[p.name]] > _SILENT * size.max(initial=0.0)]
    if not suspects:
        return []
    # A slope may be 0 because the starting values are far off, or the random effects 0: look elsewhere, too.
    scan = Scan.of(population, quantities)
    places = scan.arguments(np.vstack([scan.centre[None], scan.box(scan.centre, _DECADES)[: _PLACES - 1]]))
    # Some parameters act through random effects alone, such as the shape of their law: every other place has some.
    spread = effects.to_effect @ np.minimum(
        np.sqrt(np.diagonal(effects.covariance.matrix(effects.covariance.start))), 1.0
    )
    places += np.outer(np.arange(len(places)) // len(scan.population.problem.subjects) % 2, spread)
    crowd = scan.population.repeat(_PLACES)
    before, found = crowd.predicted(places), []
    free = dict(zip(quantities.coordinates.names, quantities.coordinates.free, strict=True))
    for p in suspects:
        moved = places.copy()
        moved[:, at[p.name]] += 0.1 * max(1.0, abs(float(p.forward(p.typical)))) if p.transform == "none" else 0.1
        if not np.allclose(crowd.predicted(moved), before, rtol=_SILENT, atol=0.0, equal_nan=True):
            continue
        estimated = [name for name in (p.name, f"iiv.{p.name}") if free.get(name)]
        if not estimated:
            continue
        found.append(
            Finding(
                code="idle",
                where=f"parameter {p.name}, {population.problem.where}",
                what=f"no record depends on {p.name}, so that nothing tells {' and '.join(estimated)}.",
                expected="Every typical value and every random effect changes the prediction of some record.",
                remedy=f"Fix {p.name} and set its iiv = 0, or add the doses and records that it needs.",
            )
        )
    return found
