"""The cache of machine code: never wrong, never in the way."""

from __future__ import annotations

import ast
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pkpd.engine import compile_model, machine, program
from pkpd.engine.program import solver
from pkpd.model.model import Model

TEXT = """
define void @f(ptr %0) {{
  store double {number}, ptr %0
  ret void
}}
"""


def obtain(number, made, key=("k",)):
    def make():
        made.append(number)
        return {"number": number}, TEXT.format(number=number), ("f",)

    return machine.obtain(key, ("lanes",), make)


@pytest.fixture(scope="module")
def compiled_solver():
    """The cache of this test session, once it holds the solver."""
    solver()
    return machine.directory()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PKPD_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_made_once_then_read(folder):
    made: list[float] = []
    assert obtain(1.0, made).table == {"number": 1.0}
    assert obtain(2.0, made).table == {"number": 1.0}
    assert obtain(3.0, made, key=("other",)).table == {"number": 3.0}
    assert made == [1.0, 3.0]


@pytest.mark.parametrize("harm", ["truncated", "empty", "foreign", "flipped"])
def test_a_damaged_file_is_made_anew(folder, harm):
    made: list[float] = []
    obtain(1.0, made)
    (path,) = folder.iterdir()
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[-5] ^= 1
    path.write_bytes({"truncated": content[:-7], "empty": b"", "foreign": b"x" * 500, "flipped": bytes(flipped)}[harm])
    assert obtain(2.0, made).table == {"number": 2.0}
    assert obtain(3.0, made).table == {"number": 2.0}


def test_without_a_place_to_write_it_still_works(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("PKPD_CACHE_DIR", str(blocked / "cache"))
    made: list[float] = []
    obtain(1.0, made)
    assert obtain(2.0, made).table == {"number": 2.0}
    assert blocked.read_text() == "in the way"


def test_another_processor_or_generator_has_its_own_files(folder, monkeypatch):
    made: list[float] = []
    obtain(1.0, made)
    monkeypatch.setattr(machine, "_fingerprint", lambda sources: "another machine")
    assert obtain(2.0, made).table == {"number": 2.0}
    assert len(list(folder.iterdir())) == 2


def test_two_processes_at_once(compiled_solver, folder):
    script = textwrap.dedent(
        """
        from pkpd.engine import bind, compile_model, predict
        from pkpd.data.events import Events
        from pkpd.data.regimen import Dose
        from pkpd.model.model import Model
        model = Model('''
        title = "two at once"
        [units]
        time = "h"
        amount = "mg"
        [parameters]
        k = { typical = 0.1, unit = "1/h" }
        [routes]
        iv = { into = "a" }
        [dynamics]
        equations = "d/dt(a) = -k * a"
        [outputs]
        a = { unit = "mg" }
        ''')
        program = compile_model(model)
        events = Events.from_regimens([("1", Dose(100, route="iv"), [10.0], {})], outputs=["a"])
        print(f"{predict(program, bind(program, events), [0.1]).f[0]:.6f}")
        """
    )
    folder.mkdir()
    for path in compiled_solver.glob("*.code"):
        shutil.copy(path, folder)  # the solver among them; the model is new to the cache
    runs = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
        assert out.strip() == "36.787944"


# -- places that cannot be used ----------------------------------------------------------------------------------------


def test_a_missing_directory_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("PKPD_CACHE_DIR", str(tmp_path / "some" / "where" / "deep"))
    made: list[float] = []
    obtain(1.0, made)
    assert obtain(2.0, made).table == {"number": 1.0}
    assert len(list((tmp_path / "some" / "where" / "deep").iterdir())) == 1


def test_a_file_in_the_place_of_the_directory(tmp_path, monkeypatch):
    blocked = tmp_path / "cache"
    blocked.write_text("in the way")
    monkeypatch.setenv("PKPD_CACHE_DIR", str(blocked))
    made: list[float] = []
    obtain(1.0, made)
    assert obtain(2.0, made).table == {"number": 2.0}
    assert blocked.read_text() == "in the way"


def test_a_directory_in_the_place_of_the_file(folder):
    made: list[float] = []
    obtain(1.0, made)
    (path,) = folder.iterdir()
    path.unlink()
    path.mkdir()
    assert obtain(2.0, made).table == {"number": 2.0}
    assert list(folder.iterdir()) == [path], "what was begun beside it is cleared away"


def test_a_directory_that_can_be_read_only(folder, monkeypatch):
    """What is there is used; what is new is made each time, and no message comes of it."""
    made: list[float] = []
    obtain(1.0, made)

    def refused(*_args, **_more):
        raise OSError(errno.EROFS, "read-only file system")

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    assert obtain(2.0, made).table == {"number": 1.0}
    assert obtain(3.0, made, key=("new",)).table == {"number": 3.0}
    assert obtain(4.0, made, key=("new",)).table == {"number": 4.0}
    assert len(list(folder.iterdir())) == 1


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="nothing is forbidden to root")
def test_a_directory_without_permission(folder):
    folder.mkdir()
    folder.chmod(0o500)
    made: list[float] = []
    try:
        obtain(1.0, made)
        assert obtain(2.0, made).table == {"number": 2.0}
    finally:
        folder.chmod(0o700)


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "replace", full)
    made: list[float] = []
    assert obtain(1.0, made).table == {"number": 1.0}
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("home", [None, "", "/dev/null", "relative"])
def test_a_strange_home(home, tmp_path):
    """No HOME, or one that is no directory: it works, and says nothing."""
    script = textwrap.dedent(
        """
        from pkpd.engine import machine
        text = "define void @f(ptr %0) {\\n  store double 1.0, ptr %0\\n  ret void\\n}\\n"
        for number in (1.0, 2.0):
            code = machine.obtain(["k"], ("lanes",), lambda n=number: ({"number": n}, text, ("f",)))
            assert code.address("f") and code.table["number"] in (1.0, 2.0)
        """
    )
    kept = {k: v for k, v in os.environ.items() if k not in ("HOME", "PKPD_CACHE_DIR", "XDG_CACHE_HOME", "USERPROFILE")}
    if home is None:
        kept["XDG_CACHE_HOME"] = str(tmp_path / "kept")  # else the real home would be written to
    paths = [str(Path(machine.__file__).parents[2]), *filter(None, [kept.get("PYTHONPATH")])]
    kept |= ({} if home is None else {"HOME": home}) | {"PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], env=kept, cwd=tmp_path, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    assert not run.stdout and not run.stderr


# -- code that belongs to something else -------------------------------------------------------------------------------


@pytest.fixture
def fresh_fingerprint():
    machine._fingerprint.cache_clear()
    yield
    machine._fingerprint.cache_clear()


@pytest.mark.parametrize("name", ["get_host_cpu_name", "get_host_cpu_features", "llvm_version_info"])
def test_another_processor_or_compiler_makes_its_own(folder, monkeypatch, fresh_fingerprint, name):
    made: list[float] = []
    obtain(1.0, made)
    features = machine.llvm.get_host_cpu_features()
    others = {
        "get_host_cpu_name": lambda: "generic",
        "get_host_cpu_features": lambda: type(features)({}),
        "llvm_version_info": (99, 0, 0),
    }
    with monkeypatch.context() as patch:
        patch.setattr(machine.llvm, name, others[name])
        machine._fingerprint.cache_clear()
        assert obtain(2.0, made).table == {"number": 2.0}
    machine._fingerprint.cache_clear()
    assert obtain(3.0, made).table == {"number": 1.0}


@pytest.mark.parametrize("changed", ["lanes", "workspace", "machine"])
def test_another_version_of_the_generators_makes_its_own(folder, monkeypatch, fresh_fingerprint, changed):
    made: list[float] = []
    obtain(1.0, made)
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda p: read(p) + (b"# new" if p.name == f"{changed}.py" else b""))
    machine._fingerprint.cache_clear()
    assert obtain(2.0, made).table == {"number": 2.0}


def imported_by(*modules: str) -> set[str]:
    """The engine's modules that these import, and what those import; imports for type checkers apart."""
    here, found, left = Path(machine.__file__).parent, set(), list(modules)
    while left:
        name = left.pop()
        if name in found or not (here / f"{name}.py").exists():
            continue
        found.add(name)
        for node in ast.parse((here / f"{name}.py").read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pkpd.engine"):
                rest = node.module.removeprefix("pkpd.engine").lstrip(".")
                left += [rest] if rest else [alias.name for alias in node.names]
    return found


def test_the_name_of_a_file_depends_on_all_that_made_it():
    """Every module of the engine that takes part in generating code is among those that are hashed."""
    keys: dict[str, tuple[str, ...]] = {}
    tree = ast.parse(Path(program.__file__).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "obtain":
            sources = node.args[1]
            assert isinstance(sources, ast.Name)
            keys[sources.id] = getattr(program, sources.id)
    always = {"workspace", "machine"}
    assert imported_by("lower", "lanes") <= {*keys["_WRITERS"]} | always
    assert imported_by("translate", "kernel") <= {*keys["_SOLVER"]} | always


def test_names_do_not_run_into_each_other(folder):
    """A parameter may be called like a word of the key."""
    model = Model("""
    title = "a name"
    [units]
    time = "h"
    amount = "mg"
    [parameters]
    wrt = { typical = 0.1, unit = "1/h" }
    k = { typical = 0.1, unit = "1/h" }
    [routes]
    iv = { into = "a" }
    [dynamics]
    equations = "d/dt(a) = -(wrt + k) * a"
    [outputs]
    a = { unit = "mg" }
    """)
    one, two = compile_model(model, ["a"]).functions(("wrt", "k")), compile_model(model, ["a", "wrt"]).functions(("k",))
    assert (one.sizes.observables, one.sizes.sensitivities) == (1, 2)
    assert (two.sizes.observables, two.sizes.sensitivities) == (2, 1)


# -- said once ---------------------------------------------------------------------------------------------------------


def test_compiling_the_solver_is_announced_once(folder, monkeypatch, capfd):
    """Many threads ask at once: one compiles, and says so; a later process finds it and is silent."""
    made: list[float] = []

    def code() -> tuple[str, str]:
        made.append(1.0)
        return "f", TEXT.format(number=1.0)

    from pkpd.engine import translate

    monkeypatch.setattr(translate, "solver_code", code)
    program._solver.cache_clear()
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: program.solver(), range(8)))
        assert len(set(map(id, found))) == 1 and made == [1.0]
        assert capfd.readouterr().err.count("compiling the solvers") == 1
        program._solver.cache_clear()  # as another process would begin
        program.solver()
        assert made == [1.0] and capfd.readouterr().err == ""
        (path,) = folder.glob("*.code")
        path.write_bytes(path.read_bytes()[:-1])
        program._solver.cache_clear()
        program.solver()
        assert made == [1.0, 1.0] and capfd.readouterr().err.count("compiling the solvers") == 1
    finally:
        program._solver.cache_clear()
