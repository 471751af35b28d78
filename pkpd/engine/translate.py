"""The solver's Python source becomes LLVM code, once on a machine; numba is needed for nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numba as nb
from numba.core.codegen import CPUCodeLibrary, JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu import CPUContext

from pkpd.engine.calls import ENTRY, OPTIONS
from pkpd.engine.kernel import solve

_kept: list[Any] = []


@contextmanager
def _text_only() -> Iterator[None]:
    """Let numba write code without optimising it or making it executable, function by function.

    That is done once, for all functions together, when the machine code is made; here it would take most of the time.
    Should numba's inner parts have other names one day, it only takes longer.
    """
    make = import_module("numba._dynfunc").make_function  # an extension module, unknown to type checkers
    # numba knows a function by its address: each needs one of its own, that nobody will call.
    addresses = itertools.count(4096, 16)

    def placeholder(_context: Any, library: Any, fndesc: Any, env: Any) -> Any:
        name = fndesc.qualname.split(".")[-1]
        return make(fndesc.lookup_module(), name, "", next(addresses), env, (library,))

    changes: list[tuple[Any, str, Any]] = [
        (CPUContext, "get_executable", placeholder),
        (CPUCodeLibrary, "_optimize_functions", lambda *_: None),
        (CPUCodeLibrary, "_optimize_final_module", lambda *_: None),
        (JITCodeLibrary, "_finalize_specific", lambda *_: None),
    ]
    with ExitStack() as stack:
        if all(hasattr(owner, name) for owner, name, _ in changes):
            for owner, name, change in changes:
                stack.enter_context(patch.object(owner, name, change))
        yield


def solver_code() -> tuple[str, str]:
    """The symbol of the solver's entry, and its LLVM code."""
    with _text_only():
        solver = nb.njit(nb.types.void(*ENTRY), **OPTIONS)(solve.py_func)
        result = solver.overloads[tuple(ENTRY)]
        with global_compiler_lock:
            result.library._ensure_finalized()
        # numba remembers the function by a weak reference, and stumbles at its next compilation if it is gone.
        _kept.append(solver)
        return result.fndesc.llvm_func_name, result.library.get_llvm_str()
