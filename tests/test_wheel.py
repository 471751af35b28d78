"""A built wheel holds the library and works without the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel with the hatchling of this environment: no isolation, no network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel) -> set[str]:
    """Names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_holds_every_model(names):
    models = {f"pkpd/_library/models/{path.name}" for path in (REPOSITORY / "models").glob("*.toml")}
    assert models
    assert models <= names


def test_holds_every_fit_without_its_results(names):
    folders = [path.parent for path in (REPOSITORY / "fits").glob("*/data.csv")]
    assert folders
    for folder in folders:
        inputs = {path.name for path in folder.iterdir() if path.suffix in (".toml", ".csv", ".md")}
        assert {"README.md", "data.csv"} <= inputs
        place = f"pkpd/_library/fits/{folder.name}/"
        assert {name.removeprefix(place) for name in names if name.startswith(place)} == inputs
    suffixes = {Path(name).suffix for name in names if name.startswith("pkpd/_library/")}
    assert suffixes <= {".toml", ".csv", ".md"}


def test_holds_the_package_alone(names):
    tops = {name.split("/", 1)[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pkpd"}
    assert "pkpd/py.typed" in names
    sources = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "pkpd").rglob("*.py")}
    assert sources <= names
    assert not [name for name in names if name.endswith(".pyc")]


def test_is_pure_python_with_licence_and_command(wheel, names):
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        entry = next(name for name in names if name.endswith(".dist-info/entry_points.txt"))
        assert "pkpd = pkpd.cli:main" in archive.read(entry).decode()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_works_away_from_the_repository(wheel, tmp_path):
    unpacked = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    code = (
        "import sys; from pathlib import Path; import pkpd\n"
        "assert Path(pkpd.__file__).is_relative_to(sys.argv[1]), pkpd.__file__\n"
        "names = sorted(path.stem for path in Path(sys.argv[1], 'pkpd', '_library', 'models').glob('*.toml'))\n"
        "for name in names: pkpd.load(name)\n"
        "print(len(names))\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(unpacked)],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(list((REPOSITORY / "models").glob("*.toml")))
