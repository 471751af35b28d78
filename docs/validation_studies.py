"""Four designs, simulated and estimated again: ``python docs/validation_studies.py FOLDER [NAME ...] [--n 200]``.

Runs for long, by hand. FOLDER keeps a checkpoint for each design, so that a run may be stopped and goes on; what was
found is written to ``docs/validation_studies.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

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
kout = { typical = 0.2, unit = "1/h" }
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


def sparse() -> tuple[pkpd.Trial, pkpd.Model]:
    """Four samples of each of 60 people."""
    arms, hours = {"dose": "200 mg oral"}, {"cp": [0.5, 2, 8, 24]}
    return pkpd.Trial(arms=arms, sequences={"all": ("dose",)}, n=60, visits=hours), pkpd.Model(SPARSE)


def occasions() -> tuple[pkpd.Trial, pkpd.Model]:
    """The same infusion twice, in 24 people."""
    return pkpd.Trial(
        arms={"infusion": "100 mg iv over 1 h"}, sequences={"all": ("infusion", "infusion")}, n=24, washout="1 wk",
        visits={"cp": [1, 2, 4, 8, 12, 24]},
    ), pkpd.Model(OCCASIONS)  # fmt: skip


def turnover() -> tuple[pkpd.Trial, pkpd.Model]:
    """Concentrations and responses of 30 people in two groups."""
    return pkpd.Trial(
        arms={"low": "50 mg iv bolus", "high": "200 mg iv bolus"}, sequences={"low": ("low",), "high": ("high",)}, n=15,
        visits={"cp": [1, 4, 12, 24], "effect": [0, 4, 8, 12, 24, 48]},
    ), pkpd.Model(TURNOVER)  # fmt: skip


def crossover() -> tuple[pkpd.Trial, pkpd.Model]:
    """Scores of ten people who get a drug and a placebo."""
    return pkpd.Trial(
        arms={"drug": "no dose", "placebo": "no dose"},
        sequences={"DP": ("drug", "placebo"), "PD": ("placebo", "drug")},
        n=5, washout="2 weeks", visits={"vas": ["2 h", "day 1", "day 3"]},
        covariates={"TREATED": {"arm": {"drug": 1, "placebo": 0}}},
    ), pkpd.Model(SCORE)  # fmt: skip


DESIGNS: dict[str, Callable[[], tuple[pkpd.Trial, pkpd.Model]]] = {
    one.__name__: one for one in (sparse, occasions, turnover, crossover)
}


def run(name: str, folder: Path, n: int) -> dict:
    """Give what a design showed, as plain numbers."""
    trial, truth = DESIGNS[name]()
    way = pkpd.Laplace() if any(one.kind for one in truth.outputs.values()) else pkpd.FOCE()
    found = pkpd.study(trial, truth, way, n=n, seed=SEED, checkpoint=folder / f"{name}.npz")
    print(found, flush=True)
    table = found.summary.isel(estimator=0, model=0)
    columns = (
        "truth",
        "mean",
        "relative_bias",
        "rmse",
        "sd",
        "mean_se",
        "coverage",
        "coverage_lower",
        "coverage_upper",
    )
    rows = {
        str(parameter): {column: float(np.squeeze(table[column].sel(parameter=parameter).values)) for column in columns}
        for parameter in table["parameter"].values
        if table["count"].sel(parameter=parameter) > 0
    }
    return {"design": DESIGNS[name].__doc__, "model": truth.title, "n": found.replicates.sizes["replicate"],
            "sound": int(table["sound"]), "parameters": rows}  # fmt: skip


def main() -> None:
    """Run what is named, and write what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(DESIGNS))
    parser.add_argument("--n", type=int, default=200)
    given = parser.parse_args()
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for name in given.names:
        known[name] = run(name, given.folder, given.n)
        RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
