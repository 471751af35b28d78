"""Trials that are simulated and estimated again: ``python docs/validation_studies.py FOLDER [PART ...]``.

Runs for hours, by hand. FOLDER keeps a checkpoint for each part, so that a run may be stopped and goes on; what was
found is written to ``docs/validation_studies.json``, from which ``validation_shares.py`` makes the tables of the page.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import pkpd

RESULTS = Path(__file__).resolve().parent / "validation_studies.json"
SEED = 20

SPARSE = """
title = "one compartment, oral"
[parameters]
ka = { typical = 1.2, unit = "1/h", iiv = 0.2 }
cl = { typical = 4, unit = "L/h", iiv = 0.09 }
v = { typical = 40, unit = "L", iiv = 0.04 }
[routes]
oral = { into = "depot" }
[dynamics]
equations = '''
d/dt(depot) = -ka * depot
d/dt(central) = ka * depot - cl / v * central
cp = central / v
'''
[outputs]
cp = { unit = "mg/L", prop = 0.15 }
"""
OCCASIONS = """
title = "two compartments, infusions on two occasions"
[parameters]
cl = { typical = 5, unit = "L/h", iiv = 0.09, iov = 0.03 }
v1 = { typical = 10, unit = "L", iiv = 0.06 }
q = { typical = 8, unit = "L/h" }
v2 = { typical = 30, unit = "L" }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
d/dt(central) = -(cl + q) / v1 * central + q / v2 * peripheral
d/dt(peripheral) = q / v1 * central - q / v2 * peripheral
cp = central / v1
'''
[outputs]
cp = { unit = "mg/L", prop = 0.1 }
"""
TURNOVER = """
title = "a drug that inhibits the making of a response"
[parameters]
cl = { typical = 3, unit = "L/h", iiv = 0.09 }
v = { typical = 20, unit = "L", iiv = 0.04 }
base = { typical = 100, unit = "1", iiv = 0.04 }
kout = { typical = 0.2, unit = "1/h", iiv = 0.04 }
ic50 = { typical = 1, unit = "mg/L", iiv = 0.16 }
[routes]
iv = { into = "central" }
[dynamics]
equations = '''
d/dt(central) = -cl / v * central
cp = central / v
response(0) = base
d/dt(response) = kout * base * (1 - cp / (ic50 + cp)) - kout * response
effect = response
'''
[outputs]
cp = { unit = "mg/L", prop = 0.15 }
effect = { unit = "1", add = 5 }
"""

SCORE = """
title = "a score from 0 to 100 that a drug lowers"
[parameters]
base = { typical = 0.4, unit = "1", transform = "none", iiv = 0.5 }
effect = { typical = -1, unit = "1", transform = "none" }
[covariates]
TREATED = { reference = 0 }
[dynamics]
equations = '''
vas = 100 / (1 + exp(-(base + effect * TREATED)))
'''
[outputs]
vas = { unit = "1", score = { lower = 0, upper = 100, step = 1, sd = 0.6 } }
"""


Design = tuple[pkpd.Trial, pkpd.Model]


def sparse() -> Design:
    """One compartment, oral: four samples of each of 60 people."""
    arms, hours = {"dose": "200 mg oral"}, {"cp": [0.5, 2, 8, 24]}
    return pkpd.Trial(arms=arms, sequences={"all": ("dose",)}, n=60, visits=hours), pkpd.Model(SPARSE)


def sexes() -> Design:
    """The same with 30 men and 30 women, whose clearances do not differ."""
    trial, _ = sparse()
    trial = replace(
        trial, arms={"men": "200 mg oral", "women": "200 mg oral"}, sequences={"M": ("men",), "W": ("women",)}, n=30,
        covariates={"FEMALE": {"arm": {"men": 0, "women": 1}}},
    )  # fmt: skip
    text = SPARSE.replace("[routes]", 'sex = { typical = 0, unit = "1", transform = "none" }\n[routes]')
    text = text.replace("[dynamics]", "[covariates]\nFEMALE = { reference = 0 }\n[dynamics]")
    return trial, pkpd.Model(text.replace("cl / v", "cl * exp(sex * FEMALE) / v"))


def occasions() -> Design:
    """Two compartments: the same infusion on two occasions, six samples each, in 24 people."""
    return pkpd.Trial(
        arms={"infusion": "100 mg iv over 1 h"}, sequences={"all": ("infusion", "infusion")}, n=24, washout="1 wk",
        visits={"cp": [1, 2, 4, 8, 12, 24]},
    ), pkpd.Model(OCCASIONS)  # fmt: skip


def same() -> Design:
    """The same without differences between occasions."""
    trial, truth = occasions()
    cl = replace(truth.parameters["cl"], iov=0.0)
    return trial, truth.replace(parameters={**truth.parameters, "cl": cl})


def turnover() -> Design:
    """A turnover response whose making is inhibited: 4 concentrations, 6 responses of 30 people on two doses."""
    return pkpd.Trial(
        arms={"low": "50 mg iv bolus", "high": "200 mg iv bolus"}, sequences={"low": ("low",), "high": ("high",)}, n=15,
        visits={"cp": [1, 4, 12, 24], "effect": [0, 4, 8, 12, 24, 48]},
    ), pkpd.Model(TURNOVER)  # fmt: skip


def crossover(people: int = 10, effect: float = -1.0) -> Design:
    """A score from 0 to 100, three times under a drug and three times under placebo, in ten people."""
    return pkpd.Trial(
        arms={"drug": "no dose", "placebo": "no dose"},
        sequences={"DP": ("drug", "placebo"), "PD": ("placebo", "drug")},
        n=people // 2, washout="2 weeks", visits={"vas": ["2 h", "day 1", "day 3"]},
        covariates={"TREATED": {"arm": {"drug": 1, "placebo": 0}}},
    ), pkpd.Model(SCORE).set(effect=effect)  # fmt: skip


def groups() -> Design:
    """The score without an effect, in two groups of five people."""
    trial, truth = crossover(effect=0.0)
    return replace(trial, sequences={"D": ("drug",), "P": ("placebo",)}, n=5, washout=None), truth


@dataclass(frozen=True, kw_only=True)
class Part:
    """One study: a design, estimators, the number of trials, and what else `pkpd.study` is told."""

    design: Callable[[], Design]
    ways: Mapping[str, Any]
    n: int = 200
    more: Mapping[str, Any] = field(default_factory=dict)

    def run(self, n: int, checkpoint: Path | None = None) -> pkpd.Study:
        """Simulate and estimate; every fit starts from the truth."""
        trial, truth = self.design()
        return pkpd.study(trial, truth, self.ways, n=n, seed=SEED, workers=1, checkpoint=checkpoint, **self.more)


FO, FOCE, LAPLACE = pkpd.FO(covariance="R"), pkpd.FOCE(covariance="R"), pkpd.Laplace(covariance="R")
PLAIN = {"FO": FO, "FOCE": FOCE, "FOCE, sandwich": pkpd.FOCE(), "Laplace": LAPLACE}
SAMPLED = {
    "SAEM": pkpd.SAEM(seed=1, burn=100, smooth=50, covariance="R"),
    "Importance": pkpd.Importance(seed=1, draws=200, covariance="R"),
}
TWO_STAGE = {"TwoStage, global": pkpd.TwoStage(method="global", covariance="R")}
SCORES = {"Laplace": LAPLACE, "Laplace, sandwich": pkpd.Laplace(), "Quadrature": pkpd.Quadrature(covariance="R")}
PROFILES = {"intervals": ("profile",)}
NO_EFFECT = {"null": crossover(effect=0.0)[1].fix("effect")}

PARTS: dict[str, Part] = {
    "sparse": Part(design=sparse, ways={**PLAIN, **TWO_STAGE}),
    "sparse, sampled": Part(design=sparse, ways=SAMPLED, n=50),
    "sparse, test": Part(design=sexes, ways={"FO": FO, "FOCE": FOCE}, n=100, more={"null": sexes()[1].fix("sex")}),
    "occasions": Part(design=occasions, ways=PLAIN, n=100),
    "occasions, sampled": Part(design=occasions, ways=SAMPLED, n=30),
    "occasions, test": Part(design=same, ways={"FOCE": FOCE}, n=100,
                            more={"null": same()[1], "model": occasions()[1]}),
    "turnover": Part(design=turnover, ways={"FO": FO, "FOCE": FOCE, **TWO_STAGE}, n=100),
    "turnover, sampled": Part(design=turnover, ways={"Laplace": LAPLACE, **SAMPLED}, n=29),
    "crossover": Part(design=crossover, ways=SCORES),
    "crossover, sampled": Part(design=crossover, ways=SAMPLED, n=50),
    "crossover, profiles": Part(design=crossover, ways={"Laplace": LAPLACE}, more=PROFILES),
    "crossover, test": Part(design=partial(crossover, 10, 0.0), ways={"Laplace": LAPLACE},
                            n=100, more={**NO_EFFECT, "draws": 19}),
}  # fmt: skip
PARTS["groups, test"] = Part(design=groups, ways={"Laplace": LAPLACE}, more=NO_EFFECT)
PARTS["crossover of 10, test"] = replace(PARTS["crossover, test"], n=200, more=NO_EFFECT)
for people in (20, 40):
    larger, name = partial(crossover, people), f"crossover of {people}"
    PARTS |= {
        name: Part(design=larger, ways={"Laplace": LAPLACE, "Laplace, sandwich": pkpd.Laplace()}, n=100),
        f"{name}, profiles": Part(design=larger, ways={"Laplace": LAPLACE}, n=100, more=PROFILES),
        f"{name}, test": Part(design=partial(crossover, people, 0.0), ways={"Laplace": LAPLACE}, more=NO_EFFECT),
    }


def told(found: pkpd.Study) -> dict[str, Any]:
    """Give what a study showed, as plain numbers."""
    table, every = found.summary.isel(model=0), found.replicates.isel(model=0)
    ways: dict[str, Any] = {}
    for way in table["estimator"].values.tolist():
        own, fits = table.sel(estimator=way), every.sel(estimator=way)
        status, count = np.unique(fits["status"].values, return_counts=True)
        names = own["parameter"].values[own["count"].values > 0].tolist()
        ways[way] = {
            "status": dict(zip(status.tolist(), count.tolist(), strict=True)),
            "parameters": {name: _of_one(own.sel(parameter=name)) for name in names},
            "first": {"objective": float(fits["objective"][0]),
                      "value": {name: float(fits["value"].sel(parameter=name)[0]) for name in names}},
        }  # fmt: skip
    result = {"n": int(found.replicates.sizes["replicate"]), "seed": SEED, "estimators": ways}
    if "study_tests" in found.tree.children:
        tests = found["study_tests"].isel(model=0)
        result["tests"] = {
            way: {law: {name: _short(tests[name].sel(estimator=way, law=law)) for name in
                        ("tests", "rejected", "rejected_lower", "rejected_upper")}
                  for law in tests["law"].values.tolist() if tests["tests"].sel(estimator=way, law=law) > 0}
            for way in tests["estimator"].values.tolist()
        }  # fmt: skip
    return result


def _of_one(table: Any) -> dict[str, Any]:
    """Give what was found of one quantity."""
    plain = ("truth", "mean", "bias", "bias_error", "relative_bias", "rmse", "sd", "mean_se", "count")
    shares = ("coverage", "coverage_lower", "coverage_upper", "intervals")
    kinds = table["interval"].values.tolist()
    return {
        **{name: _short(table[name]) for name in plain},
        "coverage": {kind: {name: _short(table[name].sel(interval=kind)) for name in shares} for kind in kinds
                     if table["intervals"].sel(interval=kind) > 0},
    }  # fmt: skip


def _short(value: Any) -> float | int | None:
    number = float(np.squeeze(value))
    return None if np.isnan(number) else int(number) if number == int(number) else float(f"{number:.6g}")


def main() -> None:
    """Run what is named, and write what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    parser.add_argument("--n", type=int, default=None)
    given = parser.parse_args()
    for name in given.parts:
        part = PARTS[name]
        found = part.run(given.n or part.n, given.folder / f"{name}.npz")
        print(f"== {name}\n{found}", flush=True)
        known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
        known[name] = told(found)
        text = json.dumps({name: known[name] for name in PARTS if name in known}, indent=1)
        RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
