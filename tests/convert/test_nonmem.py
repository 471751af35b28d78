"""A fit in NONMEM's files, read back as other tools read them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.convert import write_nonmem

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}


@cache
def fit() -> pkpd.Fit:
    data = pkpd.read_data("fits/theophylline_foce/data.csv", units=UNITS)
    return pkpd.fit(pkpd.load("theophylline_boeckmann1994"), data, pkpd.FOCE())


@pytest.fixture
def written(tmp_path):
    paths = write_nonmem(fit(), tmp_path / "run1")
    assert [path.name for path in paths] == [
        f"run1.{ending}" for ending in ("ext", "phi", "cov", "cor", "tab", "names.csv")
    ]
    return lambda ending: pd.read_csv(tmp_path / f"run1.{ending}", sep=r"\s+", skiprows=1)


def test_the_ext_file_holds_estimates_errors_and_objective(written):
    table = written("ext").set_index("ITERATION")
    names = {"THETA1": "ka", "THETA2": "cl", "THETA3": "v", "THETA4": "cp.add", "OMEGA(1,1)": "iiv.ka",
             "OMEGA(2,2)": "iiv.cl", "OMEGA(3,3)": "iiv.v"}  # fmt: skip
    own = fit().estimates
    for theirs, ours in names.items():
        value, se = (float(own[column].sel(parameter=ours)) for column in ("value", "se"))
        assert np.isclose(table.loc[-1000000000, theirs], value, rtol=1e-5)
        assert np.isclose(table.loc[-1000000001, theirs], se, rtol=1e-5)
        spread = np.sqrt(value) if "OMEGA" in theirs else value
        assert np.isclose(table.loc[-1000000004, theirs], spread, rtol=1e-5)
        assert np.isclose(table.loc[-1000000005, theirs], se / (2 * spread) if "OMEGA" in theirs else se, rtol=1e-5)
        assert table.loc[-1000000006, theirs] == 0
    assert np.isclose(table.loc[-1000000000, "OBJ"], fit().ofv, atol=1e-9)
    assert table.loc[-1000000001, "OMEGA(2,1)"] == 1e10 and table.loc[-1000000006, "OMEGA(2,1)"] == 1
    assert table.loc[-1000000000, "SIGMA(1,1)"] == 1 and table.loc[-1000000006, "SIGMA(1,1)"] == 1
    assert table.loc[-1000000007, "THETA1"] == 0
    assert np.isclose(table.loc[-1000000003, "THETA1"], float(fit().verdict["condition"]), rtol=1e-5)
    assert table.index[0] == 0 and np.isclose(table["OBJ"].iloc[0], fit()["trace"]["objective"].values[0])


def test_the_phi_file_holds_modes_their_covariance_and_parts_of_the_objective(written):
    table = written("phi")
    etas = fit()["etas"]
    assert table["ID"].tolist() == [int(who) for who in etas["subject"].values]
    for k in range(3):
        assert np.allclose(table[f"ETA({k + 1})"], etas["eta"].values[:, k], rtol=1e-5, atol=1e-9)
        for j in range(k + 1):
            assert np.allclose(table[f"ETC({k + 1},{j + 1})"], etas["eta_covariance"].values[:, k, j], rtol=1e-5)
        assert np.allclose(np.sqrt(table[f"ETC({k + 1},{k + 1})"]), etas["eta_se"].values[:, k], rtol=1e-5)
    assert np.isclose(table["OBJ"].sum(), fit().ofv, atol=1e-6)


def test_covariance_and_correlation(written):
    own = fit()["covariance"]
    order = ["ka", "cl", "v", "cp.add"]
    covariance, correlation = (written(ending).set_index("NAME") for ending in ("cov", "cor"))
    theta = [f"THETA{k}" for k in range(1, 5)]
    natural = own["natural"].sel(parameter=order, parameter_=order).values
    assert np.allclose(covariance.loc[theta, theta], natural, rtol=1e-5)
    found = correlation.loc[theta, theta].to_numpy()
    assert np.allclose(np.diagonal(found), np.sqrt(np.diagonal(natural)), rtol=1e-5)
    off = natural / np.sqrt(np.outer(np.diagonal(natural), np.diagonal(natural)))
    assert np.allclose(found[~np.eye(4, dtype=bool)], off[~np.eye(4, dtype=bool)], rtol=1e-5)


def test_the_table_is_the_sdtab(written):
    table, records = written("tab"), fit().records
    for name in ("TIME", "DV", "PRED", "IPRED", "CWRES", "IWRES"):
        assert np.allclose(table[name], records[name].values, rtol=1e-4, atol=1e-9)
    assert table["ID"].astype(int).astype(str).tolist() == records["ID"].values.tolist()


def test_effects_of_occasions_and_texts_have_their_names(tmp_path):
    model = pkpd.Model(
        """
        [parameters]
        level = { typical = 10, unit = "1", transform = "none", iiv = 4, iov = 1 }
        slope = { typical = 1, unit = "1/h", transform = "none", iiv = 0.1 }
        [dynamics]
        equations = '''
        y = level + slope * t
        '''
        [outputs]
        y = { unit = "1", add = 1 }
        """
    )  # fmt: skip
    rng = np.random.default_rng(1)
    rows = {"ID": [], "TIME": [], "DV": [], "OCC": [], "ARM": []}
    for person in "abcdef":
        for occasion in (1, 2):
            for time in (0.0, 1.0, 2.0):
                cells = (person, 10 * (occasion - 1) + time, 10 + rng.normal() * 2 + time, occasion, "drug")
                for name, cell in zip(rows, cells):
                    rows[name].append(cell)
    other = pkpd.fit(model, pkpd.read_data(rows), pkpd.FOCE(max_iterations=0, covariance=None))
    write_nonmem(other, tmp_path / "two")
    table = pd.read_csv(tmp_path / "two.ext", sep=r"\s+", skiprows=1).set_index("ITERATION")
    names = pd.read_csv(tmp_path / "two.names.csv", index_col="NONMEM")["pkpd"].to_dict()
    etas = [text for name, text in names.items() if name.startswith("ETA")]
    assert etas == other["omega"]["effect"].values.tolist()
    for k, effect in enumerate(etas, start=1):
        kind = "iov" if "@" in effect else "iiv"
        own = float(other.estimates["value"].sel(parameter=f"{kind}.{effect.split('@')[0]}"))
        assert np.isclose(table.loc[-1000000000, f"OMEGA({k},{k})"], own)
        assert names[f"OMEGA({k},{k})"] == f"{kind}.{effect.split('@')[0]}"
    assert names["ID 1"] == "a" and names["ARM 1"] == "drug"
    assert (table.loc[-1000000001, ["THETA1", "OMEGA(1,1)"]] == 1e10).all()


def test_what_cannot_be_written_is_refused(tmp_path):
    alone = pkpd.fit(fit().model, fit().data, pkpd.Pooled())
    with pytest.raises(pkpd.CannotFit, match="Pooled"):
        write_nonmem(alone, tmp_path / "run1")
    with pytest.raises(pkpd.UsageError, match=r"`run1.ext` has an ending"):
        write_nonmem(fit(), tmp_path / "run1.ext")
    with pytest.raises(pkpd.FitFileError, match="cannot be written"):
        write_nonmem(fit(), tmp_path / "nowhere" / "run1")
