"""``pkpd run | check | report | new``: folders of fits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def run(folder: Path, /) -> int:
    return 0


def check(folder: Path, /) -> int:
    return 0


def report(folder: Path, /) -> int:
    return 0


def new(folder: Path, /) -> int:
    return 0
