"""What the page on validation shows of trials that were simulated and estimated again: from validation_studies.json."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from validation_tables import table

__all__ = ["STUDIES", "fewest", "results"]

RESULTS = Path(__file__).resolve().parent / "validation_studies.json"
SOUND = ("converged", "at a bound")
#: The parts of a design, in the order of the columns.
DESIGNS = {
    "sparse": ("sparse", "sparse, sampled"),
    "occasions": ("occasions", "occasions, sampled"),
    "turnover": ("turnover", "turnover, sampled"),
    "crossover": ("crossover", "crossover, sampled", "crossover, profiles"),
}
WORDS = {"wald": "Wald", "profile": "profile", "sir": "SIR"}
LAWS = {"chi-square": "chi-square", "mixture": "mixture of chi-squares", "bartlett": "Bartlett's factor",
        "drawn": "data drawn"}  # fmt: skip
TESTS = {
    "groups, test": "score, two groups of 5 people: no difference",
    "crossover of 10, test": "score, crossover of 10 people: no effect",
    "crossover, test": "the first of these trials",
    "crossover of 20, test": "score, crossover of 20 people: no effect",
    "crossover of 40, test": "score, crossover of 40 people: no effect",
    "sparse, test": "one compartment, 60 people: no covariate",
    "occasions, test": "two compartments, 24 people: no variance between occasions",
}
#: Tests of a variance, whose 0 is an edge.
EDGE = ("occasions, test",)


@lru_cache
def results() -> dict[str, Any]:
    """Give everything that was found."""
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def _parts(design: str) -> dict[str, Any]:
    return {name: results()[name] for name in DESIGNS[design] if name in results()}


def _signed(number: float) -> str:
    """Give a percentage with its sign, with two digits or to a tenth."""
    return f"{number:+.1f}".replace("-", "−") if abs(number) < 99.5 else f"{number:+.0f}".replace("-", "−")


def _share(one: dict[str, float]) -> str:
    share, low, high = (100 * one[name] for name in ("coverage", "coverage_lower", "coverage_upper"))
    return f"{share:.1f} ({low:.0f}–{high:.0f})"


def counted(design: str) -> str:
    """Give how many fits count, and why others do not."""
    rows = []
    for name, part in _parts(design).items():
        if name.endswith(("profiles", "SIR")):
            continue
        for way, own in part["estimators"].items():
            sound = sum(own["status"].get(word, 0) for word in SOUND)
            others = ", ".join(f"{count} {word}" for word, count in own["status"].items() if word not in SOUND)
            rows.append((way, str(part["n"]), str(sound), str(own["status"].get("at a bound", 0)), others))
    return table(("estimator", "trials", "fits that count", "of these at a bound", "do not count"), rows)


def precision(design: str) -> str:
    """Give bias and root mean squared error of every quantity by every estimator, % of the truth."""
    ways = {way: own["parameters"] for name, part in _parts(design).items()
            if not name.endswith(("profiles", "SIR")) for way, own in part["estimators"].items()
            if not way.endswith("sandwich")}  # fmt: skip
    rows = []
    for name in dict.fromkeys(name for own in ways.values() for name in own):
        truth = next(own[name]["truth"] for own in ways.values() if name in own)
        cells = []
        for own in ways.values():
            one, size = own[name], abs(truth)
            bias, error, rmse = (100 * one[what] / size for what in ("bias", "bias_error", "rmse"))
            cells.append(f"{_signed(bias)} ± {error:.1f}; {rmse:.0f}")
        rows.append((name, f"{truth:g}", *cells))
    return table(("", "truth", *ways), rows)


def coverage(design: str) -> str:
    """Give how many 95 % intervals held the truth, %."""
    columns: dict[str, dict[str, Any]] = {}
    for part in _parts(design).values():
        for way, own in part["estimators"].items():
            kinds = dict.fromkeys(kind for one in own["parameters"].values() for kind in one["coverage"])
            for kind in kinds:
                title = way if kind == "wald" else f"{way}, {WORDS[kind]}"
                columns[title] = {name: one["coverage"].get(kind) for name, one in own["parameters"].items()}
    rows = [
        (name, *(_share(own[name]) if own.get(name) else "" for own in columns.values()))
        for name in dict.fromkeys(name for own in columns.values() for name in own)
    ]
    return table(("", *columns), rows)


def tests() -> str:
    """Give how often a true null model was rejected at 5 %."""
    rows = []
    for name, title in TESTS.items():
        for way, laws in results().get(name, {}).get("tests", {}).items():
            for law, one in laws.items():
                if law == "mixture" and name not in EDGE:
                    continue  # the same as chi-square
                share, low, high = (100 * one[what] for what in ("rejected", "rejected_lower", "rejected_upper"))
                cells = (title, way, LAWS[law], str(one["tests"]), f"{share:.1f} ({low:.1f}–{high:.1f})")
                rows.append(cells)
                title = ""
    return table(("", "estimator", "law", "tests", "rejected, %"), rows)


def sizes() -> str:
    """Give the coverage of intervals of the score by the number of people, %."""
    rows = []
    own = {n: _by_kind(n) for n in (10, 20, 40)}
    titles = {"wald": "Wald, R", "sandwich": "Wald, sandwich", "profile": "profile", "sir": "SIR"}
    for kind, title in titles.items():
        for name in own[10].get("wald", {}):
            cells = [_share(own[n][kind][name]) if name in own[n].get(kind, {}) else "" for n in own]
            if any(cells):
                rows.append((title, name, *cells))
                title = ""
    return table(("95 % interval", "", *(f"{n} people" for n in own)), rows)


def _by_kind(people: int) -> dict[str, dict[str, Any]]:
    """Give the coverage of the score by Laplace's method, by kind of interval and quantity."""
    start = "crossover" if people == 10 else f"crossover of {people}"
    found: dict[str, dict[str, Any]] = {}
    for part in (start, f"{start}, profiles", f"{start}, SIR"):
        for way, kind in (("Laplace", ""), ("Laplace, sandwich", "sandwich")):
            own = results().get(part, {}).get("estimators", {}).get(way, {}).get("parameters", {})
            for name, one in own.items():
                for each, share in one["coverage"].items():
                    found.setdefault(kind or each, {})[name] = share
    return found


def fewest(people: int = 10) -> dict[str, tuple[float, float]]:
    """Give the lowest and highest coverage over quantities, %, by kind of interval."""
    shares = {kind: [100 * one["coverage"] for one in own.values()] for kind, own in _by_kind(people).items()}
    return {kind: (float(np.min(own)), float(np.max(own))) for kind, own in shares.items()}


def _design(name: str) -> str:
    return (
        counted(name)
        + "Bias ± Monte Carlo error; root mean squared error, all in % of the truth:\n"
        + precision(name)
        + "How many 95 % intervals held the truth, %, with the exact 95 % interval of that share:\n"
        + coverage(name)
    )


#: What the page shows, by name.
STUDIES = {
    **{f"studies_{name}": partial(_design, name) for name in DESIGNS},
    "studies_tests": tests,
    "studies_sizes": sizes,
}
