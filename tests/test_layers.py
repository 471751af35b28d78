"""The import contract, the names of files, and what `import pkpd` may cost."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "pkpd"
HEAVY = ("h5netcdf", "jinja2", "lmfit", "matplotlib", "numba", "pandas", "pint", "rich", "scipy", "sympy", "xarray")


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own and return what it printed."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY)


def test_rooms_import_downwards_only():
    done = python("import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


def test_the_contract_names_every_room():
    contract = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    assert contract["contracts"][0]["exhaustive"] is True
    layers = {name.strip() for layer in contract["contracts"][0]["layers"] for name in layer.split("|")}
    rooms = {path.stem for path in PACKAGE.glob("[!_]*.py")}
    rooms |= {path.parent.name for path in PACKAGE.glob("[!_]*/__init__.py")}
    assert layers == rooms


@pytest.mark.parametrize("place", ["pkpd", "tests", "docs"])
def test_no_file_is_a_drawer_for_odds_and_ends(place):
    drawers = {"util", "utils", "misc", "common", "helper", "helpers"}
    found = [path for path in (REPOSITORY / place).rglob("*") if path.stem in drawers and "_build" not in path.parts]
    assert not found


def test_every_folder_of_the_package_is_a_package():
    bare = {path.parent for path in PACKAGE.rglob("*.py")} - {path.parent for path in PACKAGE.rglob("__init__.py")}
    assert not bare


def test_import_pkpd_brings_in_nothing_heavy():
    done = python(f"import sys, pkpd; print(*sorted(set({HEAVY!r}) & set(sys.modules)))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_import_pkpd_is_fast():
    # The limit is 0.3 s for a user; the best of three keeps a busy machine out of the measurement.
    code = "import time; start = time.perf_counter(); import pkpd; print(time.perf_counter() - start)"
    seconds = min(float(python(code).stdout) for _ in range(3))
    assert seconds < 0.3


def test_import_pkpd_prints_nothing():
    done = python("import pkpd")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_public_name_can_be_had():
    done = python("import pkpd\nfor name in pkpd.__all__: getattr(pkpd, name)")
    assert done.returncode == 0, done.stderr
