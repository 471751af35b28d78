"""A model file that the tests of this room take apart."""

from __future__ import annotations

import pytest

TEXT = """\
title     = "Ketamine, two compartments"
reference = "A source"
tags      = ["ketamine", "pk"]

[source]
mark = "secondary"

[units]
time = "h"
amount = "mg"

[covariates]
WT = { unit = "kg", reference = 70, label = "body weight" }

[constants]
mm = { value = 237.73, unit = "mg/mmol", label = "molar mass" }

[parameters]
cl = { typical = 84.0, unit = "L/h", iiv = 0.06, label = "clearance", times = "(WT / 70) ** 0.75" }
v1 = { typical = 25.0, unit = "L", times = "WT / 70", source = "Table 2" }
q2 = { typical = 161, unit = "L/h", rse = 0.1 }
v2 = { typical = 56, unit = "L", fixed = true }
fo = { typical = 0.3, transform = "logit", lower = 0, upper = 1 }
ka = { typical = 1.2, unit = "1/h" }

[routes]
iv = { into = "central", cmt = 2 }
oral = { cmt = 1, inputs = [{ into = "depot", bioavailability = "fo" }, { into = "central", scale = "1 - fo" }] }

[dynamics]
equations = '''
cp = central / v1                # mass
cm = cp / mm                     # substance
d/dt(depot)       = -ka * depot
d/dt(central)     = ka * depot - cl * cp - q2 * (cp - peripheral1 / v2)
d/dt(peripheral1) = q2 * (cp - peripheral1 / v2)
'''

[outputs]
cp = { unit = "mg/L", dvid = 1, prop = 0.2, label = "ketamine in plasma" }
cm = { unit = "mmol/L" }

[[checks]]
dose = "35 mg iv over 40 min"
that = "cmax(cp)"
equals = 0.25305
unit = "mg/L"
rtol = 0.01
where = "nowhere"
covariates = { WT = 70 }
"""


@pytest.fixture
def text() -> str:
    return TEXT


@pytest.fixture
def change(text):
    """Give the text with a piece replaced, which must be there."""

    def put(old: str, new: str) -> str:
        assert old in text
        return text.replace(old, new)

    return put
