"""Effects of covariates on the transformed scale: the same as written out by hand, with exact slopes."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd import engine
from pkpd.data import Events
from pkpd.errors import MismatchError, ModelError

TEXT = """
title = "effects"

[covariates]
WT = {{ unit = "kg", reference = 70 }}
AGE = {{ unit = "yr", reference = 40 }}
SEX = {{}}

[constants]
middle = {{ value = 70 }}

[parameters]
cl = {{ typical = 4, unit = "L/h", iiv = 0.1{cl} }}
v = {{ typical = 30, unit = "L"{v} }}
f = {{ typical = 0.6, lower = 0, upper = 1, transform = "logit", iiv = 0.2{f} }}
base = {{ typical = 1, unit = "mg/L", transform = "none"{base} }}
wt_cl = {{ typical = 0.75, transform = "none" }}
sex_cl = {{ typical = -0.3, transform = "none" }}
age_f = {{ typical = 0.02, transform = "none" }}
age_base = {{ typical = 0.1, unit = "mg/L", transform = "none" }}

[routes]
oral = {{ into = "central", bioavailability = "{uses_f}" }}

[dynamics]
equations = '''
{more}
cp = central / {uses_v} + {uses_base}
d/dt(central) = -{uses_cl} * central / {uses_v}
'''

[outputs]
cp = {{ unit = "mg/L", add = 0.1 }}
"""
SHIFTED = TEXT.format(
    cl=', shift = "wt_cl * log(WT / middle) + sex_cl * SEX"',
    v=', times = "WT / 70"',
    f=', shift = "age_f * (AGE - 40)"',
    base=', shift = "age_base * (AGE - 40) / 10 if AGE > 40 else 0"',
    more="", uses_f="f", uses_v="v", uses_base="base", uses_cl="cl",
)  # fmt: skip
BY_HAND = TEXT.format(
    cl="", v="", f="", base="",
    more="""cl_own = cl * (WT / middle) ** wt_cl * exp(sex_cl * SEX)
v_own = v * WT / 70
f_own = 1 / (1 + (1 - f) / f * exp(-age_f * (AGE - 40)))
base_own = base + (age_base * (AGE - 40) / 10 if AGE > 40 else 0)""",
    uses_f="1 / (1 + (1 - f) / f * exp(-age_f * (AGE - 40)))", uses_v="v_own", uses_base="base_own", uses_cl="cl_own",
).replace('unit = "kg", ', "").replace('unit = "yr", ', "")  # fmt: skip  # numbers without units, as a shift sees them
PEOPLE = [("a", 55.0, 30.0, 1.0), ("b", 90.0, 61.0, 0.0), ("c", 70.0, 40.0, 1.0)]


def solved(text: str, wrt: tuple[str, ...] = ()) -> engine.Prediction:
    model = pkpd.Model(text)
    events = Events.from_regimens(
        [(who, "100 mg oral every 12 h x 2", [1, 6, 14, 30], {"WT": w, "AGE": a, "SEX": s}) for who, w, a, s in PEOPLE],
        time_unit="h",
    )
    program = engine.compile_model(model)
    values = np.array([p.typical for p in model.parameters.values()]) * np.ones((3, 1))
    return engine.predict(program, engine.bind(program, events), values, sensitivities=wrt)


def test_shifts_are_what_is_written_by_hand():
    names = tuple(pkpd.Model(SHIFTED).parameters)
    ours, theirs = solved(SHIFTED, names), solved(BY_HAND, names)
    np.testing.assert_allclose(ours.f, theirs.f, rtol=1e-9)
    assert ours.df is not None and theirs.df is not None
    np.testing.assert_allclose(ours.df, theirs.df, rtol=1e-7, atol=1e-9)
    assert np.abs(ours.df).max(axis=0).min() > 1e-3  # every coefficient does something


def test_a_shift_survives_writing_and_joining():
    model = pkpd.Model(SHIFTED)
    assert pkpd.Model(model.text) == model
    assert "wt_cl * log(WT / middle)" in str(model)
    renamed = model.rename({"wt_cl": "exponent"})
    assert "exponent * log(WT / middle)" in renamed.text
    assert not [finding for finding in model.check() if finding.code == "unused"]


def test_what_may_stand_in_a_shift():
    with pytest.raises(ModelError, match="`v` has a shift of its own"):
        pkpd.Model(SHIFTED.replace('times = "WT / 70"', 'shift = "log(WT / 70)"').replace("sex_cl * SEX", "v * SEX"))
    with pytest.raises(ModelError, match="`cp` is not a covariate, constant or parameter"):
        pkpd.Model(SHIFTED.replace("sex_cl * SEX", "sex_cl * cp"))
    with pytest.raises(ModelError, match=r"`SEXX` is not a covariate, constant or parameter(.|\n)*Did you mean `SEX`"):
        pkpd.Model(SHIFTED.replace("sex_cl * SEX", "sex_cl * SEXX"))


def test_a_shift_that_is_no_number_names_row_and_covariate():
    model = pkpd.Model(SHIFTED)
    data = pkpd.read_data({
        "ID": [1, 1, 2, 2], "TIME": [0.0, 1.0, 0.0, 1.0], "AMT": [100.0, 0, 100, 0], "DV": [None, 3.0, None, 3.0],
        "WT": [70.0, 70, 0, 0], "AGE": [40.0] * 4, "SEX": [0.0] * 4,
    })  # fmt: skip
    with pytest.raises(MismatchError, match=r"(row 3|ID 2)(.|\n)*shift of `cl`(.|\n)*WT = 0"):
        pkpd.fit(model, data, pkpd.FOCE())
