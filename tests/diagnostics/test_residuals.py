"""Residuals."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.diagnostics import Case, Residuals, answer
from pkpd.errors import MismatchError, UsageError

from .conftest import fit_of
from .lines import TEXT, drawn, lined, whitened


def row(found, kind, name, output="y"):
    mine = (found["test_kind"].values == kind) & (found["test_output"].values == output)
    return float(found[f"test_{name}"].values[mine][0])


def test_conditional_residuals_of_lines_have_a_closed_form():
    y = drawn(20, 4)
    found = answer(Case(fit=lined(y)), Residuals(kinds=("WRES", "CWRES", "CWRESI"))).data
    for kind in ("WRES", "CWRES", "CWRESI"):
        assert np.allclose(found[kind].values, whitened(y, symmetric=True).ravel(), atol=1e-7)
    assert found.attrs["page_kinds"] == "WRES\nCWRES\nCWRESI"


def test_a_right_model_is_seldom_rejected():
    p = [row(answer(Case(fit=lined(drawn(20, seed))), Residuals(kinds=("CWRES",))).data, "CWRES", name)
         for seed in range(40) for name in ("p_global", "p_time", "p_size")]  # fmt: skip
    for k in range(3):
        assert (np.array(p[k::3]) < 0.05).sum() <= 7  # 2 in the mean


def proportional(people, seed):
    """Lines whose noise grows with them."""
    rng = np.random.default_rng(seed)
    t = np.array((0.0, 1.0, 2.0, 4.0))
    f = 10 + 2 * rng.normal(size=(people, 1)) + (8 + 0.5 * rng.normal(size=(people, 1))) * t
    return f * (1 + 0.1 * rng.normal(size=f.shape))


def test_planted_misfits_show():
    y = drawn(40, 7)
    right = answer(Case(fit=lined(y)), Residuals()).data
    assert right.attrs["page_kinds"] == "CWRES\nIWRES"
    assert row(right, "CWRES", "p_time") > 0.02 and row(right, "CWRES", "p_size") > 0.02
    assert np.isnan(row(right, "IWRES", "p_global")) and np.isnan(row(right, "IWRES", "p_size"))
    steep = TEXT.replace("typical = 2, ", "typical = 8, ")
    constant = steep.replace("add = 1 ", "add = 3 ")
    wrong_error = answer(Case(fit=lined(proportional(60, 1), constant)), Residuals(kinds=("IWRES",))).data
    assert row(wrong_error, "IWRES", "rho_size") > 0.3
    conditional = answer(Case(fit=lined(proportional(60, 1), constant)), Residuals(kinds=("CWRES",))).data
    assert row(conditional, "CWRES", "p_size") < 1e-4
    fitting = steep.replace("add = 1 ", "prop = 0.1 ")
    right_error = answer(Case(fit=lined(proportional(60, 1), fitting)), Residuals()).data
    assert row(right_error, "CWRESI", "p_size") > 0.01
    assert right_error.attrs["page_kinds"] == "CWRESI\nIWRES"
    bent = answer(Case(fit=lined(y, TEXT.replace("slope * t", "slope * t * (1 - 0.05 * slope * t)"))), Residuals()).data
    assert row(bent, "CWRES", "p_time") < 1e-4
    alike = answer(Case(fit=lined(y, TEXT.replace("iiv = 4 }", "iiv = 0.04 }"))), Residuals()).data
    assert row(alike, "CWRES", "p_variance") < 1e-4


def test_scores_and_censored_records_have_randomised_residuals():
    found = answer(Case(fit=fit_of("kinds")), Residuals()).data
    assert found.attrs["page_kinds"] == "RQR\nRQR\nRQR"
    from scipy import stats

    for name in ("vas", "fits", "better"):
        assert stats.shapiro(found["RQR"].values[found["DVID"].values == name])[1] > 0.01
    y = drawn(60, 2)
    fit = lined(np.where(y < 9, 9.0, y), CENS=(y < 9).astype(int))
    hidden = answer(Case(fit=fit), Residuals())
    assert hidden.data.attrs["page_kinds"] == "CWRES\nIWRES\nRQR"
    censored = int((y < 9).sum())
    assert np.isnan(hidden.data["IWRES"].values).sum() == censored
    assert np.isfinite(hidden.data["RQR"].values).all()
    assert f"Rings: {censored} censored records" in hidden.caption(2)
    assert f"{censored} of 240 records have none" in hidden.caption(1)


def test_size_and_order():
    """Numbers beside the tests are those of plain loops."""
    from scipy import stats

    fit = fit_of("population")
    found = answer(Case(fit=fit), Residuals(kinds=("IWRES",))).data
    records = fit.records
    z = records["IWRES"].values
    rho = stats.spearmanr(np.abs(z), records["IPRED"].values)[0]
    assert row(found, "IWRES", "rho_size", "cp") == pytest.approx(rho)
    conditional = answer(Case(fit=fit), Residuals(kinds=("CWRES",))).data
    p = stats.spearmanr(np.abs(records["CWRES"].values), records["PRED"].values)[1]
    assert row(conditional, "CWRES", "p_size", "cp") == pytest.approx(p)
    pairs = [(z[k], z[k + 1]) for k in range(len(z) - 1) if records["ID"].values[k] == records["ID"].values[k + 1]]
    assert row(found, "IWRES", "following", "cp") == pytest.approx(np.corrcoef(np.array(pairs).T)[0, 1])


def test_one_record_all_censored_and_a_fit_without_effects():
    one = answer(Case(fit=lined(drawn(1, 1)[:, :1], times=(0.0,))), Residuals())
    assert "too few to test" in one.caption() and one.figure()
    hidden = answer(Case(fit=lined(np.full((9, 4), 30.0), CENS=np.ones((9, 4), dtype=int))), Residuals())
    assert hidden.data.attrs["page_kinds"] == "RQR" and hidden.figure() and "Rings: 36" in hidden.caption()
    alike = answer(Case(fit=fit_of("pooled")), Residuals())
    assert alike.data.attrs["page_kinds"] == "IWRES"
    assert "shrinkage" not in alike.caption() and "shrinkage" in answer(
        Case(fit=lined(drawn(9, 1))), Residuals()
    ).caption(1)


def test_what_the_fit_does_not_have_is_refused():
    with pytest.raises(MismatchError, match=r"no record has CWRES(.|\n)*IWRES"):
        pkpd.diagnose(fit_of("pooled"), Residuals(kinds=("CWRES", "IWRES")))
    with pytest.raises(MismatchError, match="no record has RQR"):
        pkpd.diagnose(fit_of("population"), Residuals(kinds=("RQR",)))
    for wrong in (("EWRES",), "CWRES", (), 3):
        with pytest.raises(UsageError, match="kinds is"):
            Residuals(kinds=wrong)
