from __future__ import annotations

from pkpd.data.layout import html_table, short, text_table


def test_numbers_are_short_and_missing_is_a_point():
    assert [short(x) for x in (84.0, 2 / 3, 0.045, None, float("nan"), "", "iv", 1e-9)] == [
        "84", "0.666667", "0.045", ".", ".", ".", "iv", "1e-09",
    ]  # fmt: skip


def test_text_table_aligns():
    table = text_table({"A": ["1", "10"], "NAME": ["x", "long name"]}, left=["NAME"])
    assert table.splitlines() == [" A  NAME", " 1  x", "10  long name"]


def test_html_is_escaped():
    assert "<script>" not in html_table({"<script>": ["<b>"]}, caption="<i>")
