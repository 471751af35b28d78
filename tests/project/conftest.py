"""A small folder that runs in seconds: two arms, a score that falls after a drug and by itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pkpd import project

MODEL = '''title = "A score that falls after a drug, and by itself"

[units]
time = "h"
amount = "mg"

[constants]
before = { value = 100, unit = "%", label = "score before the dose" }

[parameters]
k = { typical = 0.1, unit = "1/h", lower = 0.001, upper = 10, label = "rate constant of the drug" }
effect = { typical = 0.02, unit = "1/mg", transform = "none", lower = -5, upper = 5, label = "fall for each mg" }
drift = { typical = 0.1, unit = "1", transform = "none", lower = -2, upper = 2, label = "final fall by itself" }
half = { typical = 24, unit = "h", fixed = true, label = "half-life of that fall" }

[routes]
iv = { into = "central" }

[dynamics]
equations = """
d/dt(central) = -k * central
alone = before * (1 - effect * central)
score = alone - before * drift * (1 - exp(-log(2) * t / half))
"""

[outputs]
score = { unit = "%", label = "score" }
'''

PLAN = """title = "A small trial"
question = "How much is the drug's?"
model = "linear"
rows = "known"
observe = "score"
seed = 7

[data]
file = "data.csv"
units = { TIME = "h", AMT = "mg", DV = "%" }
group = ["ARM"]
label = "TIME"
label_text = "hours after the dose"
mark = "MARK"

[spread]
sd = 10
others = [20]
why = "Nobody knows."

[row_sets.known]
title = "all means that are known"
where = { MARK = ["known"] }

[row_sets.all]
title = "all means"

[focus]
subject = "1"
until = 48
title = "Arm A"

[candidates.linear]
file = "model.toml"
title = "Linear"
explains = "Everything."

[candidates.nothing]
file = "model.toml"
title = "No drug"
fix = { effect = 0, k = 0.1 }

[candidates.hopeless]
file = "model.toml"
title = "Nothing to estimate"
fix = { effect = 0, k = 0.1, drift = 0 }

[attribution]
drug = "the drug"
remove = ["iv"]
times = [6]
labels = ["6 h"]

[[sensitivity]]
name = "half"
title = "Half-life"
caption = "Slow or fast."
attribute = "interval"
show = ["drift"]
cases = [{ name = "12 h", fix = { half = 12 } }, { name = "24 h", fix = { half = 24 } }, { name = "all", rows = "all" }]

[what_if]
own = "alone"
target = 80
target_text = "20 % lower"
draws = 50
candidates = ["nothing"]
scenarios = [{ name = "dose", title = "Dose", until = 24, arms = { "10 mg" = "10 mg iv", "20 mg" = "20 mg iv" } }]

[[assumptions]]
what = "The sky is blue"
why = "It was"
tested = "No"
if_wrong = "Rain"
"""


def truth(time: float, dose: float) -> float:
    """The change in percent that the data are made of."""
    return -100 * (0.03 * dose * np.exp(-0.12 * time) + 0.08 * (1 - 2 ** (-time / 24)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the folder."""
    return write(tmp_path / "small")


@pytest.fixture(scope="session")
def ran(tmp_path_factory) -> Path:
    """Write and run it once."""
    place = write(tmp_path_factory.mktemp("ran") / "small")
    project.run(place)
    return place


@pytest.fixture
def done(ran: Path, tmp_path: Path) -> Path:
    """A copy of the folder with its results."""
    return Path(shutil.copytree(ran, tmp_path / "small"))


def write(place: Path) -> Path:
    """Write the inputs."""
    place.mkdir()
    (place / "model.toml").write_text(MODEL)
    (place / "fit.toml").write_text(PLAN)
    lines = ["ID,ARM,TIME,AMT,ROUTE,DV,N,REF,MARK"]
    noise = iter([0.4, -0.6, 0.5, -0.2, 0.3, -0.5, 0.1, 0.2])
    for who, arm, dose in (("1", "A", 10.0), ("2", "B", 0.001)):
        lines.append(f"{who},{arm},0,{dose},iv,.,5,.,known")
        for time, mark in ((2, "known"), (6, "known"), (24, "known"), (48, "guessed")):
            # the change is counted from just before the dose, where the score is 100
            lines.append(f"{who},{arm},{time},.,.,{truth(time, dose) + next(noise):.3f},5,0,{mark}")
    (place / "data.csv").write_text("\n".join(lines) + "\n")
    return place
