"""The cache of machine code: never wrong, never in the way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap

import pytest

from pkpd.engine import machine
from pkpd.engine.program import solver

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
