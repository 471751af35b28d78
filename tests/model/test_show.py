"""Printing: what a scientist sees."""

from __future__ import annotations

from xml.etree import ElementTree

from pkpd.model import Model
from pkpd.model.show import number


def test_print(text):
    assert (
        str(Model(text))
        == """\
Ketamine, two compartments
==========================

A source
mark: secondary
model: time in h, doses in mg

Parameters
  name  typical  unit         CV %  RSE %  bounds          times              label      source
  cl         84  L/h          24.9                         (WT / 70) ** 0.75  clearance
  v1         25  L                                         WT / 70                       Table 2
  q2        161  L/h                   10
  v2         56  L     fixed
  fo        0.3                            0 to 1 (logit)
  ka        1.2  1/h

Constants
  name   value  unit     label
  mm    237.73  mg/mmol  molar mass

Covariates
  name  reference  unit  label
  WT           70  kg    body weight

States
  name         unit
  depot        mg
  central      mg
  peripheral1  mg

Routes
  name  dose  cmt  into
  iv    mg      2  central
  oral  mg      1  depot (bioavailability = fo); central (scale = 1 - fo)

Outputs
  name  unit    dvid  residual error         label
  cp    mg/L       1  proportional, SD 20 %  ketamine in plasma
  cm    mmol/L        no error given

Equations
  cp                = central / v1
  cm                = cp / mm
  d/dt(depot)       = -ka * depot
  d/dt(central)     = ka * depot - cl * cp - q2 * (cp - peripheral1 / v2)
  d/dt(peripheral1) = q2 * (cp - peripheral1 / v2)"""
    )


def test_long_sources_go_below_the_table(change):
    long = "Somebody et al. A long title in a long journal 2020;1:2-3"
    shown = str(Model(change("Table 2", long)))
    assert "[1]" in shown and f"  [1] {long}" in shown


def test_html_is_well_formed_and_escaped(change):
    html = Model(change("clearance", "<script>alert(1)</script>"))._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert ElementTree.fromstring(html.replace("style=text-align:right>", ">")).tag == "div"


def test_correlations_are_printed():
    text = (
        "[parameters]\na = { typical = 1 }\nb = { typical = 1 }\n"
        "[[omega]]\nparameters = ['a', 'b']\ncovariance = [[0.04], [0.01, 0.04]]\n"
    )
    assert "correlation of a and b between people: 0.25" in str(Model(text))
    assert "correlation of a and b" in Model(text)._repr_html_()


def test_numbers():
    assert [number(x) for x in (84.0, 0.1 + 0.2, 1e-9, 1234567.0, 0.0)] == ["84", "0.3", "1e-09", "1.23457e+06", "0"]
