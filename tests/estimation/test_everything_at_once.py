"""One model that says all at once: it is read, written, shown, set, fitted, saved, simulated and reported."""

from __future__ import annotations

import warnings

import numpy as np

import pkpd
from pkpd.model import Model
from tests.estimation.test_population import seen, value

MODEL = Model("""
title = "a bolus, with all that a model may say of differences"
[parameters]
cl = { typical = 4.0, unit = "L/h", transform = "boxcox", shape = 0.3, iiv = 0.2 }
v = { typical = 30.0, unit = "L" }
f = { typical = 1.0, fixed = true, iiv = 0.01, fixed_iiv = true }
[routes]
iv = { into = "central", bioavailability = "f" }
[dynamics]
equations = '''
cp = central / v
d/dt(central) = -cl * cp
'''
[outputs]
cp = { unit = "mg/L", add = 0.02, prop = 0.1, t = 5, fixed_error = false }
[[omega]]
parameters = ["v", "cp"]
covariance = [[0.05], [0.01, 0.1]]
[[omega]]
parameters = ["cl", "v"]
covariance = [[0.05], [0.01, 0.03]]
between = "occasions"
fixed = true
""")


def test_all_of_it(tmp_path):
    assert Model(MODEL.text) == MODEL
    for said in ("Box-Cox, shape 0.3", "10 fixed", "Student's t with 5 df", "of v and cp between people: 0.141",
                 "of cl and v between occasions: 0.258, block fixed", "SDs differ by 31.6 %"):  # fmt: skip
        assert said in str(MODEL), said
    names = {"iiv.cl", "iiv.v", "iiv.cp", "iiv.cp,v", "iiv.f", "iov.cl", "iov.v", "iov.v,cl"}
    assert set(MODEL.variance_names) == names
    moved = MODEL.set({name: 1.1 * element for name, element in {"iiv.cp": 0.1, "iov.cl": 0.05}.items()})
    assert Model(moved.text) == moved != MODEL
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = pkpd.fit(MODEL, seen(3, 0.04), pkpd.FOCE(max_iterations=15))
    assert np.isfinite(fit.ofv) and np.isfinite(fit.estimates["value"].values).all()
    table = fit.estimates
    held = {n for n, fixed in zip(table["parameter"].values.tolist(), table["fixed"].values.tolist()) if fixed}
    assert held == {"f", "iiv.f", "iov.cl", "iov.v", "iov.v,cl"}
    assert value(fit, "iov.v,cl") == 0.01 and value(fit, "iiv.f") == 0.01 != value(fit, "iiv.cp")
    fit.save(tmp_path / "fit.nc")
    again = pkpd.load_fit(tmp_path / "fit.nc")
    assert again.identical(fit) and again.model == fit.model
    assert again.model.outputs["cp"].iiv == value(fit, "iiv.cp") and again.model.outputs["cp"].t == 5
    sim = pkpd.simulate(again, "100 mg iv", times=[0, 4], n=50, seed=2)
    assert np.isfinite(sim["cp"].values).all()
    page = pkpd.report(again, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Variability between occasions" in page and "(residual SD)" in page and "iiv.cp,v" in page
