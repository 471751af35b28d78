"""Tables fit the page: first as they are, then smaller, then on a page that lies."""

from __future__ import annotations

import pytest

from pkpd.reporting import Column, Table
from pkpd.reporting.layout import ACROSS, ALONG, SIZE, fitted


def numbers(columns: int, rows: int = 20) -> Table:
    return Table(
        name="t",
        caption="",
        columns=tuple(Column(name=f"c{k}", decimals=3) for k in range(columns)),
        rows=tuple(tuple(12345.678 for _ in range(columns)) for _ in range(rows)),
    )


def test_a_small_table_is_as_wide_as_it_needs():
    layout = fitted(numbers(3))
    assert layout.size == SIZE and not layout.turned and sum(layout.widths) < ACROSS / 2


@pytest.mark.parametrize("columns", range(1, 40))
def test_it_never_leaves_the_page(columns):
    layout = fitted(numbers(columns))
    if layout.size > SIZE / 2:
        assert sum(layout.widths) <= (ALONG if layout.turned else ACROSS) + 1e-6
    boxed = fitted(numbers(min(columns, 12)), room=300.0, turn=False)
    assert (not boxed.turned and sum(boxed.widths) <= 300.0) or boxed.size <= SIZE * 0.55


def test_type_shrinks_before_the_page_turns():
    sizes = [(fitted(numbers(n)).turned, -fitted(numbers(n)).size) for n in range(1, 22)]
    upright = [size for turned, size in sizes if not turned]
    assert upright == sorted(upright) and min(upright) == -SIZE and -max(upright) >= 0.8 * SIZE
    assert [turned for turned, _ in sizes] == sorted(turned for turned, _ in sizes) and sizes[-1][0]


def test_sentences_share_what_numbers_leave():
    table = Table(
        name="t",
        caption="",
        columns=(Column(name="n"), Column(name="short", kind="text"), Column(name="long", kind="text")),
        rows=((1.5, "two words", "a sentence that goes on and on " * 20),),
    )
    layout = fitted(table)
    assert sum(layout.widths) == pytest.approx(ACROSS) and layout.size == SIZE
    assert layout.widths[2] > layout.widths[1] > layout.widths[0]


def test_a_column_of_nothing_takes_no_room():
    table = Table(name="t", caption="", columns=(Column(name="n"), Column(name="", kind="name")), rows=((1.5, ""),))
    assert fitted(table).widths[1] == 0
