"""What the page on validation shows: every number from outside, ours beside it, and how many digits agree.

The numbers are those of ``tests/truth``, imported; none is written here a second time. ``python docs/refresh.py`` puts
the tables into the page.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable

import numpy as np
from validation_fits import benchmarks, fatigue, indometacin, nist, populations, relations, theophylline
from validation_populations import growth, other_laws, phenobarbital, planned, theophylline_population, wang
from validation_shares import STUDIES
from validation_tables import beside, digits_agreeing, digits_of, table, whole


# ---------------------------------------------------------------------------------------------------------- NONMEM
def nonmem_cases() -> str:
    """Give the printed part of the comparison set, record by record."""
    from tests.truth import test_events_nonmem as room

    rows: list[tuple[str, ...]] = []

    def add(name: str, times: Iterable[float], printed: Iterable[float], ours: Iterable[float]) -> None:
        for time, want, got in zip(times, printed, ours, strict=True):
            rows.append((name, f"{time:g}", f"{want:.10g}", *beside(float(got), f"{want:.10g}")))
            name = ""

    for case, (doses, values, expected) in room.CASES.items():
        add(case, expected, expected.values(), room.run(doses, values, list(expected)).f)
    for rule, expected in room.CARRIED.items():
        add(f"weights that change, {rule}", room.WEIGHED, expected, room.carried(rule))
    return table(("case", "time (h)", "printed", "pkpd", "digits"), rows)


def nonmem_set() -> str:
    """Give the whole comparison set, case by case."""
    from tests.truth.nmtests import test_nmtests as room

    got = room.predicted("auto")
    rows = [_worst(case, room.TITLES[case], np.arange(131.0), room.PRINTED[case], got[case]) for case in room.PRINTED]
    rows.append(_worst("2001", "Covariates that change", *room.with_changing_weight("auto")))
    records, agree = sum(int(row[2]) for row in rows), sum(row[-1] == "all five" for row in rows)
    said = f"\n{records:,} records in {len(rows)} cases; {agree} cases agree in all five digits of every record.\n"
    return said + table(("case", "regimen", "records", "worst at (h)", "NONMEM", "pkpd", "digits"), rows)


def _worst(case: str, title: str, time: np.ndarray, printed: np.ndarray, ours: np.ndarray) -> tuple[str, ...]:
    """One case: the record that differs most, relative to half a unit of NONMEM's fifth digit."""
    shown = np.isfinite(printed)
    time, printed, ours = time[shown], printed[shown], ours[shown]
    size = np.where(printed > 0, 10.0 ** np.floor(np.log10(np.where(printed > 0, printed, 1.0))), 1e-5)
    off = np.abs(ours - printed) / (0.5e-4 * size)
    worst = int(np.argmax(np.round(off, 6)))  # of equal ones the first, on every processor
    agree = (
        "all five" if off[worst] <= 1.0 + 1e-6 else f"{max(0.0, math.floor(10 * digits_of(ours, printed)) / 10):.1f}"
    )
    return case, title, str(len(time)), f"{time[worst]:g}", f"{printed[worst]:g}", f"{ours[worst]:.7g}", agree


# ---------------------------------------------------------------------------------------------------- closed forms
def closed_forms() -> str:
    """Give the closed forms that are printed with seven digits."""
    from tests.truth import test_closed_forms as room
    from tests.truth import test_closed_forms_nonlinear as other

    rows: list[tuple[str, ...]] = []

    def add(name: str, times: Iterable[float], printed: str, ours: Iterable[float]) -> None:
        for time, text, value in zip(times, printed.split(), ours, strict=False):
            rows.append((name, f"{time:g}", text, *beside(float(value), text)))
            name = ""

    for (setting, given), printed in room.PRINTED.items():
        peripherals, cl, v1, ka = room.SETTINGS[setting]
        plan, times, _ = room.INPUTS[given]
        model = room.mammillary_model(peripherals, cl, v1, ka)
        add(
            f"{setting} compartment{'s' * (setting != 'one')}, {given}",
            times,
            printed,
            room.run(model, plan, times, "cp", "auto"),
        )
    one = room.mammillary_model(room.ONE, 8.0, 20.0, 0.4)
    add("ka = ke", [3.0], room.EQUAL_RATES, room.run(one, room.INPUTS["oral"][0], [3.0], "cp", "auto"))
    one = room.mammillary_model(room.ONE, 1.0, 20.0, 1.3)
    iv = room.INPUTS["bolus"][0]
    add("effect site", room.EFFECT_TIMES, room.EFFECT_SITE, room.run(one, iv, room.EFFECT_TIMES, "ce", "auto"))
    chain = room.Model(room.HEAD + room.CHAIN)
    oral = room.Dose(100)
    add(
        "chain of four: its rate",
        room.TRANSIT_TIMES,
        room.TRANSIT_RATES,
        room.run(chain, oral, room.TRANSIT_TIMES, "rate", "auto"),
    )
    for name, make in other.FORMS.items():
        form = make()
        if form.printed:
            add(name, form.times, form.printed, other.run(form.model, form.plan, form.times, "auto"))
    return table(("model, input", "time (h)", "printed", "pkpd", "digits"), rows)


def forty_digits() -> str:
    """Give the digits in which linear models agree with forms of 40 digits: the worst of five times."""
    from tests.truth import test_closed_forms as room

    rows = []
    for given, (plan, times, form) in room.INPUTS.items():
        cells = []
        for setting, (peripherals, cl, v1, ka) in room.SETTINGS.items():
            unit = room.forms(setting)
            wanted = np.array([float(100 / room.mpmath.mpf(v1) * form(unit, t)) for t in times])
            model = room.mammillary_model(peripherals, cl, v1, ka)
            cells.append(whole(digits_of(room.run(model, plan, times, "cp", "auto"), wanted)))
        rows.append((given, *cells))
    return table(("input", *room.SETTINGS), rows)


def other_forms() -> str:
    """Give the digits in which models that are not linear agree with forms of 40 digits."""
    from tests.truth import test_closed_forms_nonlinear as room

    rows = []
    for name, make in room.FORMS.items():
        form = make()
        wanted = np.array([float(x) for x in form.wanted])
        got = [room.run(form.model, form.plan, form.times, method) for method in ("auto", "explicit", "rosenbrock")]
        rows.append((name, str(len(wanted)), *(whole(digits_of(ours, wanted), 9) for ours in got)))
    return table(("form", "times", "auto", "explicit", "rosenbrock"), rows)


# ----------------------------------------------------------------------------------------------------------- drugs
def drugs() -> str:
    """Give the table of concentrations after the doses of a trial."""
    from tests.truth import test_drugs as room

    rows = []
    for name, dose, output, row in room.TABLE:
        *concentrations, area = row.split()
        asked = [("at", (hour,)) for hour in room.TIMES_H] + [("auc", (0.0, 96.0))]
        cells, agree = [], []
        for (function, hours), printed in zip(asked, [*concentrations, area], strict=True):
            if printed == ".":
                cells.append("")
                continue
            ours, digits = beside(room.ask(name, dose, function, output, *hours), printed, slack=1.0, more=1)
            cells.append(f"{printed} · {ours}")
            agree.append(digits)
        rows.append((f"`{name}`, {output}", *cells, "all" if set(agree) == {"all"} else min(agree)))
    return table(
        ("model, output", "40 min", "80 min", "120 min", "230 min", "6 h", "24 h", "AUC 0–96 h", "digits"), rows
    )


def drug_shapes() -> str:
    """Give peaks, times of peaks and half-lives."""
    from tests.truth import test_drugs as room

    rows = []
    for name, dose, output, peak, at in room.PEAKS:
        for what, function, printed in (("peak (ng/mL)", "cmax", peak), ("time of the peak (h)", "tmax", at)):
            rows.append(
                (f"`{name}`, {output}", what, printed, *beside(room.ask(name, dose, function, output), printed, 1.0))
            )
    for name, dose, printed in room.HALF_LIVES:
        ours = room.ask(name, dose, "halflife", "cp", 70.0, 80.0)
        rows.append((f"`{name}`, cp", "half-life (h)", printed, *beside(ours, printed, 1.0)))
    return table(("model, output", "", "printed", "pkpd", "digits"), rows)


def models() -> str:
    """Give, for each shipped model, the numbers that its file says it must reproduce."""
    from pkpd import library
    from pkpd.simulation.check import run_checks

    rows = []
    for entry in library.catalogue():
        done = run_checks(library.load(entry.name))
        if not done:
            continue
        digits = min(digits_agreeing(one.value, one.check.equals) for one in done)
        sources = dict.fromkeys(re.split("[;,(]", one.check.where or "")[0].strip() for one in done)
        passed = sum(one.passed for one in done)
        rows.append((f"`{entry.name}`", f"{passed} of {len(done)}", whole(digits, 7), "; ".join(filter(None, sources))))
    return table(("model", "within their tolerance", "least digits", "where the numbers come from"), rows)


def esketamine() -> str:
    """Give the exposure after nasal esketamine."""
    from tests.truth import test_drugs as room

    model = room.load("ketamine_perezruixo2021")
    rows = []
    for devices, asian, japanese, age, cmax, auc, metabolite in room.TABLE_4:
        who = {"AGE": age, "ASIAN": asian, "JAPANESE": japanese}
        asked = (("cmax(cp)", "ng/mL", cmax), ("auc(cp, 0, 24)", "ng*h/mL", auc), ("cmax(cn)", "ng/mL", metabolite))
        cells, worst = [], 0.0
        for that, unit, printed in asked:
            ours = room.evaluate(model, f"{28 * devices} mg nasal", that, covariates=who, unit=unit)
            cells.append(f"{printed} · {ours:.1f}")
            worst = max(worst, abs(ours / printed - 1))
        people = "Japanese" if japanese else "Asian" if asian else "other"
        rows.append((f"{28 * devices} mg", people, str(age), *cells, f"{100 * worst:.1f} %"))
    head = (
        "dose",
        "people",
        "age",
        "Cmax (ng/mL)",
        "AUC 0–24 h (ng h/mL)",
        "Cmax of noresketamine",
        "largest difference",
    )
    return table(head, rows)


def part(name: str) -> str:
    """Give the part of this name; warnings of what the tables mean to do are not shown."""
    makers: dict[str, Callable[[], str]] = {
        make.__name__: make
        for make in (
            nonmem_cases, nonmem_set, closed_forms, forty_digits, other_forms, drugs, drug_shapes, esketamine, models,
            theophylline, indometacin, nist, fatigue, relations, benchmarks, populations,
            wang, theophylline_population, phenobarbital, other_laws, growth, planned,
        )
    } | STUDIES  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.sub(r"-(0\.0*)(?= |$)", r"\1", makers[name](), flags=re.MULTILINE)
