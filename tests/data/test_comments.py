"""What NONMEM's IGNORE leaves out."""

from __future__ import annotations

import pytest

from pkpd.data import read_data


def read(tmp_path, text: str, **more):
    path = tmp_path / "theo.csv"
    path.write_text(text)
    return read_data(path, **more)


@pytest.mark.parametrize("mark", ["C", "C1", "C 1", "c1"])
def test_lines_that_begin_with_c(tmp_path, mark: str):
    data = read(tmp_path, f"ID,TIME,DV\n1,0,5\n{mark},1,6,and more\n2,0,7\n")
    assert data.columns["DV"].tolist() == [5, 7]
    assert data.columns["ROW"].tolist() == [2, 4]
    assert data.notes == ("Left out (the line begins with C): row 3.",)


def test_people_whose_names_begin_with_c(tmp_path):
    assert read(tmp_path, "ID,TIME,DV\nC1,0,5\nC2,1,6\n").ids == ("C1", "C2")
    assert read(tmp_path, "ID,TIME,DV\nA,0,5\nB,0,5\nC,1,6\n").ids == ("A", "B", "C")


def test_a_title_and_an_at_sign(tmp_path):
    data = read(tmp_path, "TABLE NO.  1\n ID TIME DV\n 1.0000E+00 0.0000E+00 5.0\n@ 1 2\n 1.0000E+00 1.5D+00 6\n")
    assert data.columns["TIME"].tolist() == [0, 1.5]
    assert data.ids == ("1",)


@pytest.mark.parametrize(
    ("name", "cells", "left"),
    [
        ("IGN", [0, 1, "."], [5, 7]),
        ("ignore", ["C", "0", "."], [6, 7]),
        ("C", [".", "C", "."], [5, 7]),
        ("C", ["C", "C", "C"], []),
        ("C", [1, 2, 3], [5, 6, 7]),
    ],
)
def test_columns_that_mark_rows(name: str, cells: list, left: list):
    table = {name: cells, "ID": [1, 2, 3], "TIME": 0, "DV": [5, 6, 7]}
    if not left:
        with pytest.raises(Exception, match="there are no rows"):
            read_data(table)
        return
    data = read_data(table)
    assert data.columns["DV"].tolist() == left
    assert (len(data.notes) == 1) == (len(left) < 3)
    assert len(read_data(table, columns={name: None})) == 3
