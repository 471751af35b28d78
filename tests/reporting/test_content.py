"""What a report is made of refuses what could not be written."""

from __future__ import annotations

import pytest

from pkpd.errors import PkpdError
from pkpd.reporting import Box, Column, Content, Figure, Section, Table


def table(name: str = "one", rows=((1,),)) -> Table:
    return Table(name=name, caption="c", columns=(Column(name="x"),), rows=rows)


def test_a_row_has_one_value_a_column():
    with pytest.raises(PkpdError, match="row 1 of the table `one` has 2 values"):
        table(rows=((1, 2),))


@pytest.mark.parametrize("name", ["../up", "Two Words", "", "1st"])
def test_a_name_becomes_a_file_and_must_be_one(name):
    with pytest.raises(PkpdError, match="cannot be the name"):
        table(name=name)
    with pytest.raises(PkpdError, match="cannot be the name"):
        Figure(name=name, draw=lambda: None, caption="")


def test_blocks_in_boxes_are_found_and_names_are_unique():
    boxed = Content(title="t", sections=(Section(title="s", blocks=(Box(title="b", blocks=(table(),)),)),))
    assert [t.name for t in boxed.tables] == ["one"]
    with pytest.raises(PkpdError, match="more than one table of the report is called `one`"):
        Content(title="t", sections=(Section(title="s", blocks=(table(), table())),))
