"""Machine code for several subjects side by side: expression graphs written as vector LLVM code.

A *lane* is one subject; `WIDTH` lanes share a register and go through the same instructions, each with its own
numbers, so that a subject's results never depend on its neighbours. An array of n values is laid out ``[n][WIDTH]``.
Every generated function has the one signature ``void f(double *a0, ..., double *a5)``; which array is which is
stated where the function is made (`pkpd.engine.lower`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from pkpd.engine import algebra
from pkpd.engine.graph import COMPARISONS, Node, needed
from pkpd.engine.llvm import (
    FLAGS,
    INTS,
    SIGNATURE,
    VECTOR,
    Builder,
    as_bool,
    as_double,
    constant,
    integers,
    load,
    polynomial,
    power_of_two,
    store,
)
from pkpd.engine.workspace import WIDTH


class Lanes:
    """One LLVM module of lane functions."""

    def __init__(self, name: str) -> None:
        self.module = ir.Module(name)
        self._intrinsics: dict[str, ir.Function] = {}
        self._library: dict[str, ir.Function] = {}

    def __str__(self) -> str:
        return str(self.module)

    def __contains__(self, name: str) -> bool:
        return name in self.module.globals

    # -- functions from graphs -----------------------------------------------------------------------------------
    def function(self, name: str, inputs: Sequence[dict[Node, int]], outputs: Sequence[Node | None]) -> None:
        """Write a function that stores `outputs` (None: leave as it is) to its last used pointer.

        Parameters
        ----------
        name
            Symbol name.
        inputs
            For each pointer argument in turn, the leaves (or hoisted nodes) found there and their index.
        outputs
            Stored, in this order, to the pointer after the inputs.
        """
        builder = self.open(name)
        slots = {node: (pointer, index) for pointer, table in enumerate(inputs) for node, index in table.items()}
        values: dict[Node, Any] = {}
        for node in needed([o for o in outputs if o is not None], slots):
            if node in slots:
                pointer, index = slots[node]
                values[node] = load(builder, builder.function.args[pointer], index)
            else:
                values[node] = self._operation(builder, node, [values[a] for a in node.args])
        target = builder.function.args[len(inputs)]
        for index, node in enumerate(outputs):
            if node is not None:
                store(builder, as_double(builder, values[node]), target, index)
        builder.ret_void()

    def write_algebra(self, rows: int, powers: int, fall: float, rise: float) -> None:
        """Write the functions of `pkpd.engine.algebra`."""
        algebra.write(self, rows, powers, fall, rise)

    def open(self, name: str) -> Builder:
        """Begin a function; its arrays do not overlap."""
        function = ir.Function(self.module, SIGNATURE, name)
        for argument in function.args:
            argument.add_attribute("noalias")
        return ir.IRBuilder(function.append_basic_block())

    def _operation(self, b: Builder, node: Node, args: list[Any]) -> Any:
        op = node.op
        if op == "const":
            return constant(node.value)
        if op in ("and", "or"):
            return getattr(b, op + "_")(as_bool(b, args[0]), as_bool(b, args[1]))
        if op == "not":
            return b.not_(as_bool(b, args[0]))
        if op == "if":
            return b.select(as_bool(b, args[0]), as_double(b, args[1]), as_double(b, args[2]))
        args = [as_double(b, a) for a in args]
        if op in COMPARISONS:
            # "!=" is true for NaN, as in IEEE 754; the others are false.
            compare = b.fcmp_unordered if op == "!=" else b.fcmp_ordered
            return compare(op, args[0], args[1])
        arithmetic: dict[str, Callable[..., Any]] = {"+": b.fadd, "-": b.fsub, "*": b.fmul, "/": b.fdiv}
        if op in arithmetic:
            return arithmetic[op](args[0], args[1], flags=FLAGS)
        if op == "neg":
            return b.fneg(args[0])
        if op in ("exp", "log", "**"):
            return b.call(self.library_function(op), args)
        if op == "log10":
            scaled = b.call(self.library_function("log"), args)
            return b.fmul(scaled, constant(0.4342944819032518), flags=FLAGS)
        name = {"abs": "fabs"}.get(op, op)
        return b.call(self.intrinsic(name, 1), args)

    def intrinsic(self, name: str, arguments: int) -> ir.Function:
        """One of LLVM's own functions, for all lanes."""
        if name not in self._intrinsics:
            kind = ir.FunctionType(VECTOR, [VECTOR] * arguments)
            self._intrinsics[name] = ir.Function(self.module, kind, f"llvm.{name}.v{WIDTH}f64")
        return self._intrinsics[name]

    # -- exp, log and power on lanes ----------------------------------------------------------------------------
    def library_function(self, op: str) -> ir.Function:
        """`exp`, `log` or the power, written once a module."""
        if op not in self._library:
            writer = {"exp": self._write_exp, "log": self._write_log, "**": self._write_power}[op]
            arguments = 2 if op == "**" else 1
            name = {"**": "power"}.get(op, op)
            function = ir.Function(self.module, ir.FunctionType(VECTOR, [VECTOR] * arguments), f"lane_{name}")
            function.linkage = "internal"
            self._library[op] = function
            writer(ir.IRBuilder(function.append_basic_block()), *function.args)
        return self._library[op]

    def _write_exp(self, b: Builder, x: Any) -> None:
        """Exp by Cody-Waite reduction and Taylor's polynomial of degree 13 on |r| <= log(2) / 2 (error below 1 ulp)."""
        nan = b.fcmp_unordered("uno", x, x)
        safe = b.select(nan, constant(0.0), x)
        safe = b.select(b.fcmp_ordered(">", safe, constant(710.0)), constant(710.0), safe)
        safe = b.select(b.fcmp_ordered("<", safe, constant(-746.0)), constant(-746.0), safe)
        k = b.call(self.intrinsic("rint", 1), [b.fmul(safe, constant(1.4426950408889634))])
        high = b.fsub(safe, b.fmul(k, constant(6.93147180369123816490e-01), flags=FLAGS), flags=FLAGS)
        r = b.fsub(high, b.fmul(k, constant(1.90821492927058770002e-10), flags=FLAGS), flags=FLAGS)
        # 1 + r + r^2 (1/2! + r/3! + ... + r^11/13!), even and odd powers apart, which shortens the chain.
        square = b.fmul(r, r)
        even = polynomial(b, square, [1.0 / math.factorial(n) for n in range(2, 14, 2)])
        odd = polynomial(b, square, [1.0 / math.factorial(n) for n in range(3, 14, 2)])
        p = b.fadd(even, b.fmul(r, odd, flags=FLAGS), flags=FLAGS)
        y = b.fadd(constant(1.0), b.fadd(r, b.fmul(square, p, flags=FLAGS), flags=FLAGS))
        # 2**k in two steps, since k may exceed the exponent of a double at either end.
        whole = b.fptosi(k, INTS)
        half = b.ashr(whole, integers(1))
        y = b.fmul(b.fmul(y, power_of_two(b, half)), power_of_two(b, b.sub(whole, half)))
        b.ret(b.select(nan, x, y))

    def _write_log(self, b: Builder, x: Any) -> None:
        """Natural logarithm, after fdlibm's e_log.c (error below 1 ulp)."""
        tiny = b.fcmp_ordered("<", x, constant(2.2250738585072014e-308))
        scaled = b.select(tiny, b.fmul(x, constant(2.0**54)), x)
        bits = b.bitcast(scaled, INTS)
        exponent = b.sub(b.ashr(bits, integers(52)), integers(1023))
        one_bits = integers(0x3FF0000000000000)
        m = b.bitcast(b.or_(b.and_(bits, integers(0xFFFFFFFFFFFFF)), one_bits), VECTOR)
        big = b.fcmp_ordered(">", m, constant(2.0**0.5))
        m = b.select(big, b.fmul(m, constant(0.5)), m)
        k = b.fadd(b.sitofp(exponent, VECTOR), b.select(big, constant(1.0), constant(0.0)))
        k = b.fsub(k, b.select(tiny, constant(54.0), constant(0.0)))
        f = b.fsub(m, constant(1.0))
        s = b.fdiv(f, b.fadd(f, constant(2.0)))
        z = b.fmul(s, s)
        w = b.fmul(z, z)
        odd = polynomial(
            b, w, (0.6666666666666735130, 0.2857142874366239149, 0.1818357216161805012, 0.1479819860511658591)
        )
        even = polynomial(b, w, (0.3999999999940941908, 0.2222219843214978396, 0.1531383769920937332))
        remainder = b.fadd(b.fmul(z, odd), b.fmul(w, even))
        half = b.fmul(constant(0.5), b.fmul(f, f))
        inner = b.fadd(b.fmul(s, b.fadd(half, remainder)), b.fmul(k, constant(1.90821492927058770002e-10)))
        y = b.fsub(b.fmul(k, constant(6.93147180369123816490e-01)), b.fsub(b.fsub(half, inner), f))
        infinity = constant(float("inf"))
        y = b.select(b.fcmp_ordered("==", x, infinity), infinity, y)
        y = b.select(b.fcmp_ordered("==", x, constant(0.0)), constant(float("-inf")), y)
        y = b.select(b.fcmp_unordered("<", x, constant(0.0)), constant(float("nan")), y)
        b.ret(y)

    def _write_power(self, b: Builder, x: Any, g: Any) -> None:
        """X ** g = exp(g log x) for x > 0; for x <= 0 it is 0, 1 or infinite for g > 0, g = 0, g < 0."""
        y = b.call(self.library_function("exp"), [b.fmul(g, b.call(self.library_function("log"), [x]))])
        positive = b.fcmp_ordered(">", g, constant(0.0))
        edge = b.select(positive, constant(0.0), constant(float("inf")))
        edge = b.select(b.fcmp_ordered("==", g, constant(0.0)), constant(1.0), edge)
        edge = b.select(b.fcmp_unordered("uno", g, g), g, edge)
        b.ret(b.select(b.fcmp_ordered("<=", x, constant(0.0)), edge, y))
