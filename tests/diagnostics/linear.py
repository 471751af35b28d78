"""A population of straight lines, whose random effects given the data are normal, with moments in closed form."""

from __future__ import annotations

import numpy as np

import pkpd

LINE = """
title = "lines"
[parameters]
a = { typical = 10, unit = "1", transform = "none", iiv = 4 }
b = { typical = 1, unit = "1/h", transform = "none", iiv = 0.25 }
[dynamics]
equations = '''
y = a + b * t
'''
[outputs]
y = { unit = "1", add = 1 }
"""
TIMES = np.array([0.0, 1.0, 2.0, 4.0])
OMEGA = np.diag([4.0, 0.25])
AT = np.column_stack([np.ones(4), TIMES])


def lines(people=40, seed=1, effect=0.0, outlier=0.0, missing=False, times=TIMES):
    """Data: WT moves a by `effect` for each SD of it; the first person lies off by `outlier`."""
    rng = np.random.default_rng(seed)
    names = ("ID", "TIME", "DV", "WT", "SEX", "SAME")
    rows = {name: [] for name in names}
    for person in range(people):
        weight, sex = rng.normal(), person % 2
        eta = rng.multivariate_normal([0, 0], OMEGA)
        for time in times:
            y = 10 + eta[0] + effect * weight + outlier * (person == 0) + (1 + eta[1]) * time + rng.normal()
            wt = np.nan if missing and person == 1 else 70 + 10 * weight
            for name, cell in zip(names, (f"P{person}", time, y, wt, sex, 3)):
                rows[name].append(cell)
    return pkpd.read_data(rows, units={"TIME": "h", "WT": "kg"})


def fit_lines(data, model=LINE, **options):
    """Evaluate, or fit, the lines."""
    options = {"max_iterations": 0, "covariance": None} | options
    return pkpd.fit(pkpd.Model(model), data, pkpd.FOCE(**options))


def posterior(fit):
    """Mean (S, 2) and covariance (2, 2) of the random effects given the data, by normal regression."""
    table = fit.estimates
    a, b, sd = (float(table["value"].sel(parameter=name)) for name in ("a", "b", "y.add"))
    omega = np.diag([float(table["value"].sel(parameter=f"iiv.{name}")) for name in ("a", "b")])
    covariance = np.linalg.inv(AT.T @ AT / sd**2 + np.linalg.inv(omega))
    left = fit.records["DV"].values.reshape(-1, 4) - (a + b * TIMES)
    return left @ AT @ covariance.T / sd**2, covariance
