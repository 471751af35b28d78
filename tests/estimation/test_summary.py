"""A population fit in print, read as a pharmacometrician does."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import pkpd
from pkpd.data import Dataset, read_data
from pkpd.estimation.parts import parts
from pkpd.reporting import describe
from tests.truth.test_growth_curves import ORANGE, fitted, trees
from tests.truth.test_theophylline_population import fitted as theophylline


def rows(text: str) -> dict[str, list[str]]:
    """Lines by their first word, cells split at two blanks."""
    return {line.split()[0]: re.split(r" {2,}", line) for line in text.splitlines() if line.split()}


def test_what_is_printed_of_a_population():
    fit = theophylline(pkpd.FOCE())
    text = str(fit)
    for said in (
        "Status: converged.", "by FOCE with interaction (the objective)  116.8034", "(exact)", "± ",
        "Without n log(2 pi), here 242.5998, as NONMEM prints it", "rank 7, condition number 1.7", "95 % CI",
        "R,S sandwich",
        "CV: of a log-normal parameter, sqrt(exp(variance) - 1)", "1 - SD / omega and as 1 - variance / omega^2",
    ):  # fmt: skip
        assert said in text, said
    exact, error = (float(fit.verdict[name].item()) for name in ("marginal", "marginal_error"))
    assert re.search(rf"\(exact\) +{exact:.4f}  ± {error:.2g}\n", text)
    typical, _, spread = text.partition("Between people")
    assert rows(typical)["cl"][1:3] == ["L/h", "2.752"]
    line = rows(spread)["cl"]
    variance = float(fit.estimates["value"].sel(parameter="iiv.cl"))
    assert line[1] == f"{variance:.4g}"
    assert f"CV {100 * np.sqrt(np.exp(variance) - 1):.3g} %" in line
    by_sd, by_variance = (100 * float(fit["omega"][k].sel(effect="cl")) for k in ("shrinkage", "shrinkage_variance"))
    assert f"{by_sd:.1f} SD, {by_variance:.1f} var." in line
    eps = 100 * (1 - fit.records["IWRES"].values.std(ddof=1))
    assert rows(spread)["cp.add"][-1] == f"{eps:.1f} %"
    assert "<pre>" in fit._repr_html_() and "116.8034" in fit._repr_html_()


def test_intervals_of_cvs_are_those_of_the_variances():
    fit = theophylline(pkpd.FOCE())
    table = fit.estimates
    for spread in parts(fit).variability:
        ends = [float(table[end].sel(parameter=f"iiv.{spread.who}")) for end in ("lower", "upper")]
        assert [spread.lower, spread.upper] == pytest.approx([100 * np.sqrt(np.exp(end) - 1) for end in ends])


def test_what_is_not_log_normal_has_an_sd_in_its_unit():
    fit = fitted("orange", pkpd.FOCE())
    assert str(fit.estimates["unit"].sel(parameter="iiv.asym").item()) == "mm^2"
    (spread,) = parts(fit).variability
    assert (spread.measure, spread.unit) == ("SD", "mm")
    assert spread.size == pytest.approx(float(fit.estimates["value"].sel(parameter="iiv.asym")) ** 0.5)
    assert "SD 31.6 mm" in str(fit) and "CV" not in str(fit).split("CI:")[1].split("SD:")[0]


def test_what_is_fixed_or_not_known_is_said():
    model, data = pkpd.Model(ORANGE), trees("orange")
    fit = pkpd.fit(model, data, pkpd.FOCE(), fixed=["scal"])
    line = rows(str(fit))["scal"]
    assert line == ["scal", "d", "350", "350", "fixed"]
    more = model.replace(parameters={name: replace(p, iiv=p.iiv or 400.0) for name, p in model.parameters.items()})
    fit = pkpd.fit(more, data, pkpd.FOCE(covariance="S", max_iterations=2))
    text = " ".join(str(fit).split())
    assert rows(str(fit))["xmid"][-1] == "no SE" and "NOT CONVERGED" in text
    assert "There are no standard errors: 5 subjects do not support 7 squares of slopes." in text
    fit = pkpd.fit(model, data, pkpd.FOCE(covariance=None, max_iterations=0))
    assert "No standard errors were asked for." in str(fit) and "no SE:" not in str(fit)


MODEL = """
title = "a decline on two occasions"
[covariates]
SINCE = { reference = 1 }
[parameters]
k = { typical = 0.3, iiv = 0.1, iov = 0.05 }
a = { typical = 10, iiv = 0.02 }
[[omega]]
parameters = ["k", "a"]
correlation = [[1], [0.1, 1]]
[dynamics]
equations = "y = a * exp(-k * SINCE)"
[outputs]
y = { prop = 0.1 }
"""


def crossover() -> Dataset:
    """Eight people, two occasions of three observations."""
    noise = np.random.default_rng(5).normal(size=(8, 2, 5))
    table: dict = {name: [] for name in ("ID", "TIME", "SINCE", "OCC", "DV")}
    for who in range(8):
        for occasion in range(2):
            k = 0.3 * np.exp(0.4 * noise[who, 0, 0] + 0.3 * noise[who, occasion, 1])
            for place, t in enumerate((0.5, 2.0, 6.0)):
                size = 10 * np.exp(0.2 * noise[who, 1, 0])
                y = size * np.exp(-k * t) * (1 + 0.1 * noise[who, occasion, 2 + place])
                for name, value in zip(table, (who + 1, 10.0 * occasion + t, t, occasion + 1, y), strict=True):
                    table[name].append(value)
    return read_data(table)


def test_correlations_and_occasions():
    fit = pkpd.fit(pkpd.Model(MODEL), crossover(), pkpd.FOCE(covariance="R"))
    spreads = {spread.estimate.name: spread for spread in parts(fit).variability}
    covariance = spreads["iiv.a,k" if "iiv.a,k" in spreads else "iiv.k,a"]
    assert covariance.size == pytest.approx(float(fit["omega"]["correlation"].sel(effect="k", effect_="a")))
    assert len(spreads["iov.k"].shrinkage) == 2 and len(spreads["iiv.k"].shrinkage) == 1
    text = str(fit)
    assert f"corr. {covariance.size:+.3f}" in text and "Between occasions" in text and "κ-shrinkage" in text
    said = " ".join(
        block.text for section in describe(fit).sections for block in section.blocks if hasattr(block, "text")
    )
    assert "correlated:" in said and "Between the occasions of one person vary k (log-normal)." in said


def test_the_report_holds_the_same():
    fit = theophylline(pkpd.FOCE())
    content = describe(fit)
    tables = {table.name: table for table in content.tables}
    assert [row[1] for row in tables["objective"].rows] == pytest.approx([fit.ofv, fit.verdict["marginal"].item()])
    assert [row[0] for row in tables["between_iiv"].rows] == ["ka", "cl", "v"]
    names = [column.name for column in tables["between_iiv"].columns]
    assert {"η-shrinkage, SD", "η-shrinkage, variance", "its 95 % CI"} <= set(names)
    assert tables["residual"].rows[0][0] == "cp.add"
    determined = next(section for section in content.sections if section.title == "What the data determine")
    assert "condition number 1.7" in determined.blocks[0].text
    model = next(section for section in content.sections if section.title == "Model")
    said = " ".join(block.text for block in model.blocks if hasattr(block, "text"))
    assert "Between people vary ka (log-normal), cl (log-normal), v (log-normal), independently." in said


def test_a_residual_sd_that_differs_between_people():
    """Its random effect multiplies: the variance is shown as a CV, like that of a log-normal parameter."""
    model = pkpd.Model(ORANGE.replace("add = 8", "add = 8, iiv = 0.05"))
    fit = pkpd.fit(model, trees("orange"), pkpd.FOCE(covariance="R", max_iterations=2))
    spread = next(one for one in parts(fit).variability if one.estimate.name == "iiv.girth")
    assert (spread.who, spread.measure, len(spread.shrinkage)) == ("girth (residual SD)", "CV %", 1)
    assert "girth (residual SD)" in str(fit) and "girth (residual SD) (log-normal)" in str(
        [getattr(block, "text", "") for section in describe(fit).sections for block in section.blocks]
    )
