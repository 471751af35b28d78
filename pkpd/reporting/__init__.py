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
from pkpd.reporting.report import describe, report
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
    "describe",
    "render",
    "report",
    "write_all",
]
