"""What the page on validation shows: every number from outside, ours beside it, and how many digits agree.

The numbers are those of ``tests/truth``, imported; none is written here a second time. ``python docs/refresh.py`` puts
the tables into the page.
"""

from __future__ import annotations

import ast
import json
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.truth.digits import digits_agreeing  # noqa: E402

RESULTS = ROOT / "tests" / "benchmarks" / "results.json"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Give a Markdown table, with a line before and after it."""
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return (
        "\n"
        + "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
        + "\n"
    )


def beside(ours: float, printed: str, slack: float = 0.5, more: int = 2) -> tuple[str, str]:
    """Give our number with some more digits than were printed, and how many digits agree.

    "all": ours rounds to what is printed, within `slack` units of its last digit.
    """
    decimals = len(printed.partition(".")[2])
    want = float(printed)
    if abs(ours - want) <= slack * 10.0**-decimals * (1 + 1e-9):
        agree = "all"
    else:
        agree = f"{math.floor(10 * digits_agreeing(ours, want)) / 10:.1f}"
    return f"{ours:.{decimals + more}f}", agree


def whole(digits: float, most: int = 12) -> str:
    """Give a number of digits, cut to a whole one."""
    return f"≥ {most}" if digits >= most else str(math.floor(digits))


def digits_of(ours: np.ndarray, wanted: np.ndarray) -> float:
    """Digits in which the worst of several numbers agrees; a wanted zero counts by its absolute error."""
    return min(digits_agreeing(float(a), float(b)) for a, b in zip(ours, wanted, strict=True))


# ---------------------------------------------------------------------------------------------------------- NONMEM
def nonmem_cases() -> str:
    """Give the printed part of the comparison set, record by record."""
    from tests.truth.test_events_nonmem import CASES, run

    rows = []
    for case, (doses, values, expected) in CASES.items():
        got = run(doses, values, list(expected)).f
        name = case
        for (time, printed), ours in zip(expected.items(), got, strict=True):
            rows.append((name, f"{time:g}", f"{printed:.10g}", *beside(float(ours), f"{printed:.10g}")))
            name = ""
    return table(("case", "time (h)", "printed", "pkpd", "digits"), rows)


def nonmem_set() -> str:
    """Give the whole comparison set, case by case."""
    from tests.truth.nmtests import test_nmtests as room

    got = room.predicted("auto")
    rows = [_worst(case, room.TITLES[case], np.arange(131.0), room.PRINTED[case], got[case]) for case in room.PRINTED]
    rows.append(_worst("2001", "Covariates that change", *room.with_changing_weight("auto")))
    notes = "".join(f"- Case {case}: {why}.\n" for case, why in room.OTHERWISE.items())
    records, agree = sum(int(row[2]) for row in rows), sum(row[-1] == "all five" for row in rows)
    said = f"\n{records:,} records in {len(rows)} cases; {agree} cases agree in all five digits of every record.\n"
    return (
        said
        + table(("case", "regimen", "records", "worst at (h)", "NONMEM", "pkpd", "digits"), rows)
        + (f"Otherwise than NONMEM, by a rule of ours:\n\n{notes}\n" if notes else "")
    )


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


# ------------------------------------------------------------------------------------------------------------ fits
def _named(
    printed: Mapping[str, str], ours: Mapping[str, float], what: str, slack: float = 0.5
) -> list[tuple[str, ...]]:
    return [(f"{what} {name}".strip(), text, *beside(float(ours[name]), text, slack)) for name, text in printed.items()]


def theophylline() -> str:
    """Give the individual fits to theophylline."""
    from tests.truth import test_individual_fits as room

    fit = room.fitted()
    first = [
        *_named(room.SUBJECT_1, room.of(fit, "1", "transformed"), "subject 1: log"),
        *_named(room.SUBJECT_1_ERRORS, room.of(fit, "1", "transformed_se"), "its standard error: log"),
        *_named({"": room.SUBJECT_1_SD}, {"": room.of(fit, "1", "value")["cp.add"]}, "subject 1: residual SD (8 df)"),
        *_named({"": room.POOLED_SD}, {"": room.pooled_sd(fit)}, "all subjects: residual SD (96 df)"),
    ]
    rows = []
    for subject, *printed in room.LINES:
        ours = room.of(fit, subject, "transformed")
        named = dict(zip(("ke", "ka", "cl"), printed, strict=True))
        cells = [(text, *beside(ours[name], text)) for name, text in named.items()]
        agree = {cell[2] for cell in cells}
        rows.append(
            (subject, *(f"{text} · {value}" for text, value, _ in cells), "all" if agree == {"all"} else min(agree))
        )
    rows.sort(key=lambda row: int(row[0]))
    return table(("", "printed", "pkpd", "digits"), first) + table(
        ("subject", "log ke", "log ka", "log cl", "digits"), rows
    )


def indometacin() -> str:
    """Give the pooled fit to indometacin."""
    from tests.truth import test_indometh as room

    fit = room.pooled()
    ours = room.column(fit, "transformed")
    rows = [
        *_named(room.PRINTED, ours, "", slack=1.2),
        *_named(room.ERRORS, room.column(fit, "transformed_se"), "standard error of"),
        *_named({"": room.RESIDUAL_SD}, {"": room.column(fit, "value")["cp.add"]}, "residual SD (62 df)"),
    ]
    for name, want in room.MINIMUM.items():
        agree = whole(digits_agreeing(ours[name], want), 6)
        rows.append((f"{name}, the minimum to 40 digits", f"{want:.8g}", f"{ours[name]:.8g}", agree))
    return table(("", "printed", "pkpd", "digits"), rows)


def nist() -> str:
    """Give NIST's certified values."""
    from tests.truth import test_nist as room

    rows = []
    for name, (_, _, certified) in room.CASES.items():
        value, se = room.found(room.fitted(name, 0, "log"))
        ours = (value["b1"], se["b1"], value["b2"], se["b2"], value["sd"])
        for what, want, got in zip(("b1", "its error", "b2", "its error", "residual SD"), certified, ours, strict=True):
            rows.append((f"{name}: {what}", f"{want:.10e}", f"{got:.8e}", whole(digits_agreeing(got, want), 7)))
    return table(("", "certified", "pkpd", "digits"), rows)


def fatigue() -> str:
    """Give what the fit to the fatigue trial must reproduce."""
    from tests.truth import test_ketamine_fatigue as room

    ours = room.predictions(room.chosen())
    rows = [
        (f"arm {arm}, {time:g} h", f"{want:g}", f"{ours[time, arm]:.2f}")
        for (time, arm), want in room.PREDICTED.items()
    ]
    rows.append(("half the weighted sum of squares", "15.00", f"{room.cost(room.chosen()):.3f}"))
    return table(("percent change of fatigue", "computed apart", "pkpd"), rows)


# ------------------------------------------------------------------------------------------------------- relations
def relations() -> str:
    """Give the property tests, from their names and docstrings."""
    rows = []
    for name in (
        "relations",
        "random_events",
        "steady",
        "isolation",
        "linear",
        "hybrid",
        "switches",
        "moving_covariates",
    ):
        path = ROOT / "tests" / "engine" / f"test_{name}.py"
        body = ast.parse(path.read_text(encoding="utf-8")).body
        open_ = {
            ast.unparse(n.targets[0]) for n in body if isinstance(n, ast.Assign) and "xfail" in ast.unparse(n.value)
        }
        for node in body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = [ast.unparse(mark) for mark in node.decorator_list]
                if any("xfail" in mark or mark in open_ for mark in marks):
                    continue
                words = node.name.removeprefix("test_").replace("_", " ")
                said = " ".join((ast.get_docstring(node) or "").split())
                rows.append((words, said, f"`tests/engine/{path.name}`"))
    return table(("relation", "", "where"), rows)


# ------------------------------------------------------------------------------------------------------ benchmarks
def benchmarks() -> str:
    """Give what was measured last, with date and processor."""
    if not RESULTS.exists():
        return "\n"
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = []
    for case in results["cases"].values():
        if "fastest" not in case:
            continue
        title = f"{case['title']} ({case['subjects']:,} subjects)"
        for name, run in case["fastest"].items():
            if name == "any" and run["chosen"] == case["fastest"]["general"]["chosen"]:
                continue
            ratio = case["ratio"].get(name)
            shown = {"lsoda": "LSODA", "lsoda-lean": "LSODA, zero derivatives left out"}.get(
                name, f"pkpd, {run['chosen']}"
            )
            each = 1e6 * run["cpu"] / case["subjects"]
            rows.append((title, shown, f"{run['error']:.1e}", f"{each:,.1f}", f"{ratio:.1f}" if ratio else ""))
            title = ""
    made = sorted({_circumstances(case["measured"]) for case in results["cases"].values() if "measured" in case})
    head = ("model", "method", "true error", "CPU ms per 1,000 subjects", "times LSODA")
    return f"\nMeasured {'; '.join(made)}.\n{table(head, rows)}"


def _circumstances(measured: Mapping[str, str]) -> str:
    return f"{measured['date']} on {measured['processor']} (one thread), Python {measured['python']}"


def part(name: str) -> str:
    """Give the part of this name; warnings of what the tables mean to do are not shown."""
    makers: dict[str, Callable[[], str]] = {
        make.__name__: make
        for make in (
            nonmem_cases, nonmem_set, closed_forms, forty_digits, other_forms, drugs, drug_shapes, esketamine,
            theophylline, indometacin, nist, fatigue, relations, benchmarks,
        )
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.sub(r"-(0\.0*)(?= |$)", r"\1", makers[name](), flags=re.MULTILINE)
