"""Reports: what they are made of, and how they become one HTML file, tables and figures."""

from __future__ import annotations

from pkpd.reporting.content import (
    Block,
    Box,
    Column,
    Content,
    Equations,
    Figure,
    Listing,
    Paragraph,
    Section,
    Table,
)
from pkpd.reporting.write import render, write_all

__all__ = [
    "Block",
    "Box",
    "Column",
    "Content",
    "Equations",
    "Figure",
    "Listing",
    "Paragraph",
    "Section",
    "Table",
    "render",
    "report",
    "write_all",
]


def __getattr__(name: str) -> object:
    # The verb needs the estimation room; what a report is made of does not.
    if name == "report":
        from pkpd.reporting.report import report

        return report
    raise AttributeError(f"module 'pkpd.reporting' has no attribute {name!r}")
