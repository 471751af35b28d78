"""Expression graphs written as Python source, one subject at a time: what `pkpd.engine.lanes` is on a GPU.

A GPU runs the same program in thousands of threads; a thread is a lane. The arrays of all threads lie in one array
``w``, interleaved: value k of an array at offset o is ``w[o + k * threads + thread]``, so that neighbouring threads
read neighbouring addresses. A generated function takes ``w`` and the offsets of its arrays, in the order in which the
vector code takes their addresses.

The source is in the words of the solver's own (`pkpd.engine.kernel` and what it stands on), with which it goes through
`pkpd.engine.retarget`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pkpd.engine import workspace as ws
from pkpd.engine.graph import COMPARISONS, Node, needed

#: Generated functions have this before their names, so that they meet no function of the solver.
PREFIX = "model_"
#: Functions that are the same for every model; they stand at the end of this file.
COMMON = ("combine", "accept")
#: Rows of sums that are kept in registers together.
_AT_ONCE = 12
_LOG10 = 0.4342944819032518


#: Weights of an interpolant at `place`, times `factor`; `dense` is a place in the tableau.
WEIGHTS = """
def weights(w, _rows, terms, dense, place, factor, out):
    for lane in range(ws.WIDTH):
        x = w[place + lane]
        for j in range(terms):
            total = 0.0
            for i in range({powers}):
                total = x * (total + tableau[dense + {powers} * (j + 1) - 1 - i])
            w[out + j * ws.WIDTH + lane] = w[factor + lane] * total
"""
#: The largest scaled error, and two powers of it that the control of steps needs.
NORM = """
def norm(w, rows, tolerance, error, y, ynew, out):
    for lane in range(ws.WIDTH):
        worst = 0.0
        for i in range(rows):
            at = i * ws.WIDTH + lane
            scale = larger(larger(1e-5 * w[tolerance + 2 + at], abs(w[y + at])), abs(w[ynew + at]))
            worst = larger(worst, abs(w[error + at] / (w[tolerance] * scale + w[tolerance + 1])))
        w[out + lane] = worst
        w[out + ws.WIDTH + lane] = power(worst if worst > 1e-10 else 1e-10, {fall})
        w[out + 2 * ws.WIDTH + lane] = power(worst if worst > 1e-4 else 1e-4, {rise})
"""


class Scalar:
    """The functions of one model as Python source; written to as `pkpd.engine.lanes.Lanes` is."""

    def __init__(self) -> None:
        self.functions: dict[str, str] = {}

    def __str__(self) -> str:
        return "\n\n".join(self.functions.values())

    def __contains__(self, name: str) -> bool:
        return name in self.functions or name in COMMON

    def write_algebra(self, rows: int, powers: int, fall: float, rise: float) -> None:
        """Write what depends on the method of `pkpd.engine.algebra`; places in the tableau are numbers."""
        self._write_weigh(rows)
        for name, text in (("weights", WEIGHTS.format(powers=powers)), ("norm", NORM.format(fall=fall, rise=rise))):
            self.functions[name] = text.replace("def ", f"def {PREFIX}").strip()

    def _write_weigh(self, rows: int) -> None:
        lines = [f"def {PREFIX}weigh(w, terms, weights, factor, y, k, out):"]
        lines += ["    thread = cuda.grid(1)", "    threads = cuda.gridsize(1)", "    times = w[factor + thread]"]
        for first in range(0, rows, _AT_ONCE):
            group = range(first, min(first + _AT_ONCE, rows))
            lines += [f"    t{i} = 0.0" for i in group]
            lines += ["    for j in range(terms):", "        weight = tableau[weights + j]"]
            lines += [f"        b = k + j * {rows} * threads + thread"]
            lines += [f"        t{i} += weight * w[b + {i} * threads]" for i in group]
            lines += [
                f"    w[out + {i} * threads + thread] = w[y + {i} * threads + thread] + times * t{i}" for i in group
            ]
        self.functions["weigh"] = "\n".join(lines)

    def function(self, name: str, inputs: Sequence[dict[Node, int]], outputs: Sequence[Node | None]) -> None:
        """Write a function that stores `outputs` (None: leave as it is) to its last used array.

        Parameters
        ----------
        name
            Its name, without the prefix.
        inputs
            For each array in turn, the leaves (or hoisted nodes) found there and their index.
        outputs
            Stored, in this order, to the array after the inputs.
        """
        slots = {node: (array, index) for array, table in enumerate(inputs) for node, index in table.items()}
        wanted = [(index, node) for index, node in enumerate(outputs) if node is not None]
        arrays = ", ".join(f"a{i}" for i in range(ws.POINTERS))
        lines = [f"def {PREFIX}{name}(w, {arrays}):"]
        if wanted:
            lines += ["    thread = cuda.grid(1)", "    threads = cuda.gridsize(1)"]
            lines += [f"    b{i} = a{i} + thread" for i in range(len(inputs) + 1)]
        values: dict[Node, str] = {}
        for node in needed([node for _, node in wanted], slots):
            if node.op == "const" and node not in slots:
                values[node] = _number(node.value)
                continue
            source = _place(*slots[node]) if node in slots else _operation(node, values)
            values[node] = f"v{len(values)}"
            lines.append(f"    {values[node]} = {source}")
        for index, node in wanted:
            lines.append(f"    {_place(len(inputs), index)} = {_as_double(node, values[node])}")
        self.functions[name] = "\n".join(lines if wanted else [*lines, "    return"])


def _place(array: int, index: int) -> str:
    return f"w[b{array} + {index} * threads]" if index else f"w[b{array}]"


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "np.nan", "inf": "np.inf", "-inf": "(-np.inf)"}[repr(value)]
    return f"({value!r})" if value < 0.0 else repr(value)


def _operation(node: Node, values: dict[Node, str]) -> str:
    """One operation, as `pkpd.engine.lanes.Lanes` writes it."""
    op, names = node.op, [values[a] for a in node.args]
    if op in ("and", "or", "not", "if"):
        first = _as_truth(node.args[0], names[0])
        if op == "not":
            return f"not {first}"
        if op == "if":
            yes, no = (_as_double(a, n) for a, n in zip(node.args[1:], names[1:], strict=True))
            return f"{yes} if {first} else {no}"
        return f"{first} {op} {_as_truth(node.args[1], names[1])}"
    names = [_as_double(a, n) for a, n in zip(node.args, names, strict=True)]
    if op in (*COMPARISONS, "+", "-", "*", "/"):
        return f"{names[0]} {op} {names[1]}"
    if op == "neg":
        return f"-{names[0]}"
    if op == "**":
        return f"power({names[0]}, {names[1]})"
    if op == "log10":
        return f"np.log({names[0]}) * {_LOG10!r}"
    if op == "abs":
        return f"abs({names[0]})"
    return f"np.{op}({names[0]})"


def _is_truth(node: Node) -> bool:
    return node.op in (*COMPARISONS, "and", "or", "not")


def _as_double(node: Node, name: str) -> str:
    return f"(1.0 if {name} else 0.0)" if _is_truth(node) else name


def _as_truth(node: Node, name: str) -> str:
    return name if _is_truth(node) else f"({name} != 0.0)"


#: The coefficients of a method; those of the method that is compiled take its place.
tableau: np.ndarray = np.zeros(0)


# What `Lanes` writes for every model beside its own functions; here the numbers of rows and terms are arguments.
def power(x, g):
    """X ** g = exp(g log x) for x > 0; for x <= 0 it is 0, 1 or infinite for g > 0, g = 0, g < 0."""
    if x <= 0.0:
        if g > 0.0:
            return 0.0
        return 1.0 if g == 0.0 else (np.inf if g < 0.0 else g)
    return np.exp(g * np.log(x))


def larger(a, b):
    """The larger of two; NaN stays NaN."""
    return a if a > b or a != a else b


def model_combine(w, rows, terms, coefficients, y, k, out):
    """Compute out = y + sum of coefficients * k, over `terms` stages."""
    for lane in range(ws.WIDTH):
        for i in range(rows):
            at = i * ws.WIDTH + lane
            total = w[y + at]
            for j in range(terms):
                total += w[coefficients + j * ws.WIDTH + lane] * w[k + j * rows * ws.WIDTH + at]
            w[out + at] = total


def model_accept(w, rows, mask, new, old, largest):
    """Take `new` for `old` where the step is accepted; `largest` follows."""
    for lane in range(ws.WIDTH):
        for i in range(rows):
            at = i * ws.WIDTH + lane
            if w[mask + lane] > 0.5:
                w[old + at] = w[new + at]
            size = abs(w[old + at])
            if size > w[largest + at]:
                w[largest + at] = size
