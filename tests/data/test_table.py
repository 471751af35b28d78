from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pkpd.data.table import read_table
from pkpd.errors import DataError

MISSING = (".", "NA", "")


def write(tmp_path, text: str | bytes):
    path = tmp_path / "theo.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("mark", [",", ";", "\t", " ", "  "])
def test_separators(tmp_path, mark: str):
    text = "\n".join(mark.join(line) for line in (["ID", "TIME", "DV"], ["1", "0", "."], ["1", "2.5", "3"]))
    table = read_table(write(tmp_path, text), MISSING)
    assert table.names == ("ID", "TIME", "DV")
    assert [list(cells) for cells in table.cells] == [["1", "1"], ["0", "2.5"], [None, "3"]]
    assert table.rows == (2, 3)


def test_comments_quotes_blank_lines_and_row_numbers(tmp_path):
    text = '# it\'s a "comment\n"ID","TIME","SITE"\n\n1,0,"Bern, CH"\n  # another\n1,2,"a ""b"""\n'
    table = read_table(write(tmp_path, text), MISSING)
    assert list(table.cells[2]) == ["Bern, CH", 'a "b"']
    assert table.rows == (4, 6), "rows are lines of the file"


def test_byte_order_mark_crlf_and_trailing_commas(tmp_path):
    table = read_table(write(tmp_path, b"\xef\xbb\xbfID,TIME,\r\n1,0,\r\n1,1,\r\n"), MISSING)
    assert table.names == ("ID", "TIME")
    assert list(table.cells[1]) == ["0", "1"]


def test_hash_is_that_of_the_bytes(tmp_path):
    text = "ID,TIME\n1,0\n"
    assert read_table(write(tmp_path, text), MISSING).sha256 == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("\n# only a comment\n", "the file is empty"),
        ("1,0,5\n1,1,6\n", "the first line holds values (1, 0, 5)"),
        ("ID,,DV\n1,2,3\n", "column 2 has no name"),
        ("ID,TIME,DV\n1,0\n1,1,2\n", "theo.csv, row 2: 2 cells, but the header names 3 columns"),
        ("ID,TIME\n1,0,9\n", "row 2: 3 cells"),
        (b"ID,TIME\n1,0\n\xff,1\n", "theo.csv, row 3: byte 0xff is not UTF-8"),
        (b"ID,TIME\n1,\x00\n", "binary data"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, says: str):
    with pytest.raises(DataError) as error:
        read_table(write(tmp_path, text), MISSING)
    assert says in str(error.value)
    assert error.value.remedy or error.value.findings


def test_a_missing_file_names_its_neighbours(tmp_path):
    write(tmp_path, "ID,TIME\n1,0\n")
    with pytest.raises(DataError, match=r"Did you mean `theo\.csv`") as error:
        read_table(tmp_path / "teo.csv", MISSING)
    assert "does not exist" in str(error.value)
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path, MISSING)
    with pytest.raises(DataError, match="does not exist"):
        read_table(tmp_path / "nowhere" / "x.csv", MISSING)


def test_tables_in_memory():
    pandas = pytest.importorskip("pandas")
    xarray = pytest.importorskip("xarray")
    columns = {"ID": [1, 1], "TIME": [0.0, 1.0], "DV": [None, 3.0], "SEX": ["F", "."]}
    frame = pandas.DataFrame(columns)
    for source in (columns, frame, xarray.Dataset({k: ("row", np.array(v, object)) for k, v in columns.items()})):
        table = read_table(source, MISSING)
        cells = {name: list(column) for name, column in zip(table.names, table.cells)}
        assert cells["DV"] == [None, 3.0]
        assert cells["SEX"] == ["F", None]
        assert table.rows == (0, 1)


def test_a_single_value_stands_for_all_rows():
    table = read_table({"ID": "A", "TIME": np.arange(3), "WT": 70}, MISSING)
    assert list(table.cells[0]) == ["A"] * 3
    assert list(table.cells[2]) == [70.0] * 3


@pytest.mark.parametrize(
    ("source", "says"), [(3, "int is not a table"), ({"TIME": [1, 2], "DV": [1]}, "unequal lengths: TIME 2, DV 1")]
)
def test_other_things_are_refused(source, says: str):
    with pytest.raises(DataError) as error:
        read_table(source, MISSING)
    assert says in str(error.value)
