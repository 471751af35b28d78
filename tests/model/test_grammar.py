"""Text from a stranger: it is never run, and never makes the reader hang."""

from __future__ import annotations

import time

import pytest

from pkpd.errors import ModelError, ModelSyntaxError
from pkpd.model import Model
from pkpd.model.equation import parse_equations, parse_expression

HOSTILE = [
    '__import__("os").system("touch /tmp/x")',
    "__import__",
    "a.__class__.__mro__",
    "().__class__",
    "cp.__init__(3)",
    "_x",
    "lambda: 3",
    "(lambda x: x)(3)",
    "[x for x in y]",
    "(x for x in y)",
    "{x: 1 for x in y}",
    "{1, 2}",
    "a[0]",
    "(a := 3)",
    "yield",
    "await a",
    "f'{a}'",
    "'text'",
    "b'text'",
    "1j",
    "None",
    "...",
    "*a",
    "a, b",
    "print(a)",
    "eval(a)",
    "a.b.c(3)",
    "exp.a",
    "exp(a)(b)",
    "exp(x=3)",
    "exp(*a)",
    "a in b",
    "a is b",
    "a; b",
    "a\\b",
    "a\x00b",
    "a\u2028b",
    "ﬁ + 1",
    "import os",
    "10 ** 10 ** 10",
    "9 ** 9 ** 9 ** 9 ** 9",
    "2 ** 99999",
    "1 / 0",
    "log(0)",
    "0x10",
    "1_000",
    "9" * 5000,
    "1" + "0" * 400,
    "(" * 5000 + "a" + ")" * 5000,
    "-" * 9000 + "a",
    "not " * 2000 + "a",
    "a ** " * 1500 + "a",
    "a + " * 2000 + "a",
    "1 if a else " * 500 + "1",
    "exp(" * 60 + "a" + ")" * 60,
    "a" * 9000 + "(",
    "x" * 1_000_000,
    "a+" * 500_000 + "a",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:30] for text in HOSTILE])
def test_hostile_expressions_end_in_a_clean_error(text):
    started = time.perf_counter()
    with pytest.raises(ModelSyntaxError) as caught:
        parse_expression(text)
    message = str(caught.value)
    assert "line " in message and len(message) < 1000
    with pytest.raises(ModelSyntaxError):
        parse_equations(f"x = {text}")
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("text", ["a + b", "-" * 100 + "a", "(" * 40 + "a" + ")" * 40, " + ".join(["a"] * 150)])
def test_the_limits_leave_room_for_real_models(text):
    parse_expression(text)


FILES = {
    "line of 1 MB": "x = " + "9" * 1_000_000,
    "long lines": "x = '" + "a" * 250_000 + "'",
    "2 MB": "x = 1\n" * 400_000,
    "dots": "\n".join(f"[p{i}]\n" + "a." * 4900 + "b = 1" for i in range(25)),
    "nested lists": "\n".join(["x = "] + ["[" * 5000] * 20),
    "nested tables": "x = " + "{a=" * 3000 + "1" + "}" * 3000,
    "many keys": "\n".join(f"x{i} = 1" for i in range(20_000)),
    "whole number": "x = " + "9" * 5000,
    "quotes": ('"' * 9900 + "\n") * 25,
    "control characters": "\x00\x01 = 3\n",
    "many wrong lines": "[dynamics]\nequations = '''\n" + "a ^ b\n" * 20_000 + "'''",
    "include of itself": "[include]\na = 'self'\n",
    "absolute path": "[include]\na = '/etc/passwd.toml'\n",
}


@pytest.mark.parametrize("name", FILES)
def test_hostile_files_end_in_a_clean_error(name):
    started = time.perf_counter()
    with pytest.raises(ModelError) as caught:
        Model(FILES[name] + "\n", resolve=lambda _: FILES["include of itself"])
    assert len(str(caught.value)) < 20_000
    assert time.perf_counter() - started < 10


def test_include_cannot_leave_its_folder(tmp_path):
    (tmp_path / "secret.toml").write_text("[parameters]\nx = { typical = 1 }\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "m.toml").write_text("[include]\na = '../secret.toml'\n")
    with pytest.raises(ModelError, match="leads out of the folder"):
        Model(inner / "m.toml")
