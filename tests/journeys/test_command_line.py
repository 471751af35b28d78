"""The command line in processes of its own, as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "import sys; from pkpd.cli import main; sys.exit(main())")
KETAMINE = ("simulate", "ketamine_kamp2020", "--dose", "0.5 mg/kg iv over 40 min", "--wt", "70", "--until", "24")
REPOSITORY = Path(__file__).resolve().parent.parent.parent


def pkpd(*words: str, cwd: Path = REPOSITORY, command: tuple[str, ...] = COMMAND) -> subprocess.CompletedProcess[str]:
    """Run the command and return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False, cwd=cwd, env=environment)


def test_a_first_look(tmp_path: Path) -> None:
    done = pkpd(*KETAMINE, "--plot", "ket.png", "--csv", "ket.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0.2531" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["ket.csv", "ket.png"]


def test_a_csv_needs_nothing_heavy() -> None:
    # What keeps a model seen before under a second, the start of Python included.
    heavy = ("h5netcdf", "jinja2", "lmfit", "matplotlib", "numba", "pandas", "pint", "scipy", "sympy", "xarray")
    code = f"import sys; from pkpd.cli import main; main(); print(*sorted(set({heavy!r}) & set(sys.modules)))"
    pkpd(*KETAMINE)
    done = pkpd(*KETAMINE, command=(sys.executable, "-c", code))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize(
    "words, code",
    [
        (("simlate",), 2),
        ((*KETAMINE, "--plto", "x.png"), 2),
        (("simulate", "ketamine_kamp2002", "--dose", "35 mg iv", "--until", "24"), 1),
        ((*KETAMINE, "--csv", "nowhere/ket.csv"), 1),
    ],
)
def test_exit_codes(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    done = pkpd(*words, cwd=tmp_path)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr and "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        done = pkpd(*KETAMINE, "--csv", "ket.csv", cwd=tmp_path)
    finally:
        tmp_path.chmod(0o755)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="pipes of a POSIX shell")
def test_a_reader_that_stops_early(tmp_path: Path) -> None:
    first = "from pkpd.cli import main; import sys; sys.exit(main(['models']))"
    line = f'"{sys.executable}" -c "{first}" | head -n 1'
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.stdout.startswith("name")
    assert done.stderr == ""


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        "[parameters]\n"
        'k = { typical = 0.5, unit = "1/h" }\n'
        "[routes]\n"
        'iv = { into = "body" }\n'
        "[dynamics]\n"
        "equations = '''\nd/dt(body) = -k * body\n'''\n"
        "[outputs]\n"
        'body = { unit = "mg" }\n',
        encoding="utf-8",
    )
    done = pkpd("simulate", "mine.toml", "--dose", "100 mg iv", "--times", "0,2", "--csv", "mine.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.csv").read_text().splitlines()[2].startswith("100 mg iv,1,2,36.7879441")


def test_a_model_that_is_wrong_is_told_with_line_and_caret(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(
        "[parameters]\n"
        'k = { typical = 0.5, unit = "1/h" }\n'
        "[routes]\n"
        'iv = { into = "body" }\n'
        "[dynamics]\n"
        "equations = '''\nd/dt(body) = -kk * body\n'''\n"
        "[outputs]\n"
        'body = { unit = "mg" }\n',
        encoding="utf-8",
    )
    done = pkpd("simulate", "wrong.toml", "--dose", "100 mg iv", "--until", "2", cwd=tmp_path)
    assert done.returncode == 1
    assert "wrong.toml:7:" in done.stderr and "^" in done.stderr and "`kk`" in done.stderr
