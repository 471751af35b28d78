"""What the page on validation shows of fits, of relations that always hold, and of times."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping

from validation_tables import ROOT, beside, digits_agreeing, table, whole

RESULTS = ROOT / "tests" / "benchmarks" / "results.json"


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


#: Titles of timed population fits, how fast they shall be, and what others need.
_TIMED = {
    "theophylline": ("theophylline, FOCE-I with standard errors", 0.4, "nlmixr2 6.0: 4.4 s; pynlme: 4.4 s"),
    "theophylline_saem": ("theophylline, SAEM, 300 + 200 iterations, 3 chains", 2, "nlmixr2: 6 s; pynlme: 1.3 s"),
    "eighty": ("80 people, one compartment, oral, FOCE-I", 3, "nlmixr2: 66 s"),
    "effect": ("32 people, kinetics and turnover, FOCE-I", 10, "nlmixr2: 252 s"),
    "effect_saem": ("the same, SAEM", 15, "nlmixr2: 135 s"),
    "thousand": ("1,000 people, two compartments, oral, FOCE-I", 30, ""),
}


def populations() -> str:
    """Give the times of population fits that were measured last."""
    cases = json.loads(RESULTS.read_text(encoding="utf-8"))["cases"] if RESULTS.exists() else {}
    found = cases.get("populations")
    if found is None:
        return "\n"
    rows = [
        (title, f"{found[name]['records']:,}", f"{found[name]['wall']:.2f}", f"{found[name]['cpu']:.2f}",
         f"{wanted:g}", f"{found[name]['peak_mib']:,}", others)
        for name, (title, wanted, others) in _TIMED.items()
    ]  # fmt: skip
    head = ("fit", "records", "s", "CPU s", "wanted s", "peak memory, MiB", "others, where measured")
    plain, many = found["theophylline"], {"people": 1000, "peak_mib": found["thousand"]["peak_mib"]}
    sizes = sorted([*found["memory"], many], key=lambda row: row["people"])
    grown = ", ".join(f"{row['peak_mib']:,} ({row['people']:,})" for row in sizes)
    made = _circumstances(found["measured"]).replace("one thread", "two processors")
    return (
        f"\nMeasured {made}.\n{table(head, rows)}The same FOCE-I of theophylline written plainly with NumPy and SciPy, "
        f"without standard errors, takes {plain['plain']:.1f} s of CPU in the same run, {plain['ratio']:.0f} times as "
        f"long. Peak memory of the last row in MiB, by people: {grown}.\n\n"
    )


def _circumstances(measured: Mapping[str, str]) -> str:
    return f"{measured['date']} on {measured['processor']} (one thread), Python {measured['python']}"
