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

from pkpd.engine.graph import COMPARISONS, Node, needed
from pkpd.engine.workspace import POINTERS, WIDTH

#: llvmlite's IRBuilder, whose decorators hide the `flags` argument from type checkers.
Builder = Any

_double = ir.DoubleType()
_vector = ir.VectorType(_double, WIDTH)
_int64 = ir.IntType(64)
_ints = ir.VectorType(_int64, WIDTH)
_bools = ir.VectorType(ir.IntType(1), WIDTH)
_signature = ir.FunctionType(ir.VoidType(), [ir.PointerType()] * POINTERS)
#: Multiplications and additions may be fused; nothing else may change a result.
_FLAGS = ("contract",)
#: Rows of sums that are kept in registers together.
_AT_ONCE = 12


def constant(value: float) -> ir.Constant:
    """`value` in every lane."""
    return ir.Constant(_vector, [float(value)] * WIDTH)


def _integers(value: int) -> ir.Constant:
    return ir.Constant(_ints, [value] * WIDTH)


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
        builder = self._open(name)
        slots = {node: (pointer, index) for pointer, table in enumerate(inputs) for node, index in table.items()}
        values: dict[Node, Any] = {}
        for node in needed([o for o in outputs if o is not None], slots):
            if node in slots:
                pointer, index = slots[node]
                values[node] = _load(builder, builder.function.args[pointer], index)
            else:
                values[node] = self._operation(builder, node, [values[a] for a in node.args])
        target = builder.function.args[len(inputs)]
        for index, node in enumerate(outputs):
            if node is not None:
                _store(builder, _as_double(builder, values[node]), target, index)
        builder.ret_void()

    def _open(self, name: str) -> Builder:
        function = ir.Function(self.module, _signature, name)
        for argument in function.args:
            argument.add_attribute("noalias")
        return ir.IRBuilder(function.append_basic_block())

    def _operation(self, b: Builder, node: Node, args: list[Any]) -> Any:
        op = node.op
        if op == "const":
            return constant(node.value)
        if op in ("and", "or"):
            return getattr(b, op + "_")(_as_bool(b, args[0]), _as_bool(b, args[1]))
        if op == "not":
            return b.not_(_as_bool(b, args[0]))
        if op == "if":
            return b.select(_as_bool(b, args[0]), _as_double(b, args[1]), _as_double(b, args[2]))
        args = [_as_double(b, a) for a in args]
        if op in COMPARISONS:
            # "!=" is true for NaN, as in IEEE 754; the others are false.
            compare = b.fcmp_unordered if op == "!=" else b.fcmp_ordered
            return compare(op, args[0], args[1])
        arithmetic: dict[str, Callable[..., Any]] = {"+": b.fadd, "-": b.fsub, "*": b.fmul, "/": b.fdiv}
        if op in arithmetic:
            return arithmetic[op](args[0], args[1], flags=_FLAGS)
        if op == "neg":
            return b.fneg(args[0])
        if op in ("exp", "log", "**"):
            return b.call(self._library_function(op), args)
        if op == "log10":
            scaled = b.call(self._library_function("log"), args)
            return b.fmul(scaled, constant(0.4342944819032518), flags=_FLAGS)
        name = {"abs": "fabs"}.get(op, op)
        return b.call(self._intrinsic(name, 1), args)

    def _intrinsic(self, name: str, arguments: int) -> ir.Function:
        if name not in self._intrinsics:
            kind = ir.FunctionType(_vector, [_vector] * arguments)
            self._intrinsics[name] = ir.Function(self.module, kind, f"llvm.{name}.v{WIDTH}f64")
        return self._intrinsics[name]

    # -- exp, log and power on lanes ----------------------------------------------------------------------------
    def _library_function(self, op: str) -> ir.Function:
        if op not in self._library:
            writer = {"exp": self._write_exp, "log": self._write_log, "**": self._write_power}[op]
            arguments = 2 if op == "**" else 1
            name = {"**": "power"}.get(op, op)
            function = ir.Function(self.module, ir.FunctionType(_vector, [_vector] * arguments), f"lane_{name}")
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
        k = b.call(self._intrinsic("rint", 1), [b.fmul(safe, constant(1.4426950408889634))])
        high = b.fsub(safe, b.fmul(k, constant(6.93147180369123816490e-01), flags=_FLAGS), flags=_FLAGS)
        r = b.fsub(high, b.fmul(k, constant(1.90821492927058770002e-10), flags=_FLAGS), flags=_FLAGS)
        # 1 + r + r^2 (1/2! + r/3! + ... + r^11/13!), even and odd powers apart, which shortens the chain.
        square = b.fmul(r, r)
        even = _polynomial(b, square, [1.0 / math.factorial(n) for n in range(2, 14, 2)])
        odd = _polynomial(b, square, [1.0 / math.factorial(n) for n in range(3, 14, 2)])
        p = b.fadd(even, b.fmul(r, odd, flags=_FLAGS), flags=_FLAGS)
        y = b.fadd(constant(1.0), b.fadd(r, b.fmul(square, p, flags=_FLAGS), flags=_FLAGS))
        # 2**k in two steps, since k may exceed the exponent of a double at either end.
        whole = b.fptosi(k, _ints)
        half = b.ashr(whole, _integers(1))
        y = b.fmul(b.fmul(y, _power_of_two(b, half)), _power_of_two(b, b.sub(whole, half)))
        b.ret(b.select(nan, x, y))

    def _write_log(self, b: Builder, x: Any) -> None:
        """Natural logarithm, after fdlibm's e_log.c (error below 1 ulp)."""
        tiny = b.fcmp_ordered("<", x, constant(2.2250738585072014e-308))
        scaled = b.select(tiny, b.fmul(x, constant(2.0**54)), x)
        bits = b.bitcast(scaled, _ints)
        exponent = b.sub(b.ashr(bits, _integers(52)), _integers(1023))
        one_bits = _integers(0x3FF0000000000000)
        m = b.bitcast(b.or_(b.and_(bits, _integers(0xFFFFFFFFFFFFF)), one_bits), _vector)
        big = b.fcmp_ordered(">", m, constant(2.0**0.5))
        m = b.select(big, b.fmul(m, constant(0.5)), m)
        k = b.fadd(b.sitofp(exponent, _vector), b.select(big, constant(1.0), constant(0.0)))
        k = b.fsub(k, b.select(tiny, constant(54.0), constant(0.0)))
        f = b.fsub(m, constant(1.0))
        s = b.fdiv(f, b.fadd(f, constant(2.0)))
        z = b.fmul(s, s)
        w = b.fmul(z, z)
        odd = _polynomial(
            b, w, (0.6666666666666735130, 0.2857142874366239149, 0.1818357216161805012, 0.1479819860511658591)
        )
        even = _polynomial(b, w, (0.3999999999940941908, 0.2222219843214978396, 0.1531383769920937332))
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
        y = b.call(self._library_function("exp"), [b.fmul(g, b.call(self._library_function("log"), [x]))])
        positive = b.fcmp_ordered(">", g, constant(0.0))
        edge = b.select(positive, constant(0.0), constant(float("inf")))
        edge = b.select(b.fcmp_ordered("==", g, constant(0.0)), constant(1.0), edge)
        edge = b.select(b.fcmp_unordered("uno", g, g), g, edge)
        b.ret(b.select(b.fcmp_ordered("<=", x, constant(0.0)), edge, y))

    # -- algebra on whole arrays, used by the solvers --------------------------------------------------------------
    def write_combine(self) -> None:
        """``combine(size, coefficients, y, k, out)``: out = y + sum over j of coefficients[j] * k[j], lane by lane.

        ``size`` points to two whole numbers stored as doubles: the number of rows n, and of terms s.
        ``coefficients`` is ``[s][WIDTH]``, ``y`` and ``out`` are ``[n][WIDTH]``, ``k`` is ``[s][n][WIDTH]``.
        """
        b = self._open("combine")
        size, coefficients, y, k, out, _ = b.function.args
        n, s = self._shape(b, size)

        def row(b: Builder, i: Any) -> None:
            def term(b: Builder, j: Any, total: list[Any]) -> list[Any]:
                at = b.add(b.mul(j, n), i)
                product = b.fmul(_load_at(b, coefficients, j), _load_at(b, k, at), flags=_FLAGS)
                return [b.fadd(total[0], product, flags=_FLAGS)]

            _store_at(b, _fold(b, s, [_load_at(b, y, i)], term)[0], out, i)

        _loop(b, n, row)
        b.ret_void()

    def write_weigh(self, rows: int) -> None:
        """``weigh(terms, weights, factor, y, k, out)``: out = y + factor * (sum over j of weights[j] * k[j]).

        ``terms`` points to the number s of terms, a whole number stored as a double; ``weights`` is ``[s]``, the same
        in all lanes, ``factor`` one row; ``y`` and ``out`` are ``[rows][WIDTH]``, ``k`` is ``[s][rows][WIDTH]``. Up to
        `_AT_ONCE` rows are summed side by side, so that none waits for its own last sum.
        """
        b = self._open("weigh")
        terms, weights, factor, y, k, out = b.function.args
        s = b.fptosi(b.load(terms, typ=_double), _int64)
        times = _load(b, factor, 0)

        def group(b: Builder, first: Any, size: int) -> None:
            def term(b: Builder, j: Any, totals: list[Any]) -> list[Any]:
                weight = _broadcast(b, b.load(b.gep(weights, [j], source_etype=_double), typ=_double))
                start = b.add(b.mul(j, _index(rows)), first)
                values = [_load_at(b, k, b.add(start, _index(i))) for i in range(size)]
                return [
                    b.fadd(t, b.fmul(weight, v, flags=_FLAGS), flags=_FLAGS)
                    for t, v in zip(totals, values, strict=True)
                ]

            for i, total in enumerate(_fold(b, s, [constant(0.0)] * size, term)):
                at = b.add(first, _index(i))
                product = b.fmul(times, total, flags=_FLAGS)
                _store_at(b, b.fadd(_load_at(b, y, at), product, flags=_FLAGS), out, at)

        whole, rest = divmod(rows, _AT_ONCE)
        if whole:
            _loop(b, _index(whole), lambda b, i: group(b, b.mul(i, _index(_AT_ONCE)), _AT_ONCE))
        if rest:
            group(b, _index(whole * _AT_ONCE), rest)
        b.ret_void()

    def write_weights(self) -> None:
        """``weights(size, dense, place, factor, out)``: of an interpolant, ``factor * (d0 x + ... + d3 x^4)`` a stage.

        ``dense`` is ``[s][4]``, the same in all lanes; ``place`` is x, between 0 and 1.
        """
        b = self._open("weights")
        size, dense, place, factor, out, _ = b.function.args
        _, s = self._shape(b, size)
        x, times = _load(b, place, 0), _load(b, factor, 0)

        def stage(b: Builder, j: Any) -> None:
            total = constant(0.0)
            for power in (3, 2, 1, 0):
                at = b.add(b.mul(j, _index(4)), _index(power))
                d = _broadcast(b, b.load(b.gep(dense, [at], source_etype=_double), typ=_double))
                total = b.fmul(x, b.fadd(total, d, flags=_FLAGS), flags=_FLAGS)
            _store_at(b, b.fmul(times, total), out, j)

        _loop(b, s, stage)
        b.ret_void()

    def _shape(self, b: Builder, size: Any) -> tuple[Any, Any]:
        """The two whole numbers that ``size`` points to: rows and terms."""
        second = b.gep(size, [_index(1)], source_etype=_double)
        return b.fptosi(b.load(size, typ=_double), _int64), b.fptosi(b.load(second, typ=_double), _int64)

    def write_norm(self) -> None:
        """``norm(size, tolerance, error, y, ynew, out)``: the largest scaled error e of each lane; NaN stays NaN.

        Beside it what the control of steps makes of it: ``e**-0.14`` (e >= 1e-10) and ``e**0.04`` (e >= 1e-4).

        ``tolerance`` points to rtol, atol; then ``largest``: ``[n][WIDTH]``, the largest ``|y|`` so far, which keeps
        the control from chasing relative accuracy in a value that has all but vanished (1e-5 of its maximum).
        """
        b = self._open("norm")
        size, tolerance, error, y, ynew, out = b.function.args
        n = b.fptosi(b.load(size, typ=_double), _int64)
        rtol = _broadcast(b, b.load(tolerance, typ=_double))
        atol = _broadcast(b, b.load(b.gep(tolerance, [_index(1)], source_etype=_double), typ=_double))
        largest = b.gep(tolerance, [_index(2)], source_etype=_double)
        maximum, absolute = self._intrinsic("maximum", 2), self._intrinsic("fabs", 1)

        def row(b: Builder, i: Any, worst: list[Any]) -> list[Any]:
            scale = b.fmul(constant(1e-5), _load_at(b, largest, i))
            for values in (y, ynew):
                scale = b.call(maximum, [scale, b.call(absolute, [_load_at(b, values, i)])])
            scale = b.fadd(b.fmul(rtol, scale), atol)
            return [b.call(maximum, [worst[0], b.call(absolute, [b.fdiv(_load_at(b, error, i), scale)])])]

        worst = _fold(b, n, [constant(0.0)], row)[0]
        _store(b, worst, out, 0)
        logarithm = b.call(self._library_function("log"), [worst])
        for place, (least, exponent) in enumerate(((1e-10, -0.14), (1e-4, 0.04)), start=1):
            floor = constant(math.log(least))
            limited = b.select(b.fcmp_ordered(">", logarithm, floor), logarithm, floor)
            power = b.call(self._library_function("exp"), [b.fmul(limited, constant(exponent))])
            _store(b, power, out, place)
        b.ret_void()

    def write_accept(self) -> None:
        """``accept(size, mask, new, old, largest)``: old = new in lanes whose mask is 1; largest follows |old|."""
        b = self._open("accept")
        size, mask, new, old, largest, _ = b.function.args
        n = b.fptosi(b.load(size, typ=_double), _int64)
        taken = b.fcmp_ordered(">", _load(b, mask, 0), constant(0.5))
        maximum, absolute = self._intrinsic("maxnum", 2), self._intrinsic("fabs", 1)

        def row(b: Builder, i: Any) -> None:
            value = b.select(taken, _load_at(b, new, i), _load_at(b, old, i))
            _store_at(b, value, old, i)
            _store_at(b, b.call(maximum, [_load_at(b, largest, i), b.call(absolute, [value])]), largest, i)

        _loop(b, n, row)
        b.ret_void()


# -- small pieces of LLVM -----------------------------------------------------------------------------------------
def _index(i: int) -> ir.Constant:
    return ir.Constant(_int64, i)


def _load_at(b: Builder, pointer: Any, index: Any) -> Any:
    return b.load(b.gep(pointer, [index], source_etype=_vector), typ=_vector, align=8)


def _store_at(b: Builder, value: Any, pointer: Any, index: Any) -> None:
    b.store(value, b.gep(pointer, [index], source_etype=_vector), align=8)


def _broadcast(b: Builder, value: Any) -> Any:
    single = b.insert_element(ir.Constant(_vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return b.shuffle_vector(single, ir.Constant(_vector, ir.Undefined), lanes)


def _load(b: Builder, pointer: Any, index: int) -> Any:
    return _load_at(b, pointer, _index(index))


def _store(b: Builder, value: Any, pointer: Any, index: int) -> None:
    _store_at(b, value, pointer, _index(index))


def _loop(b: Builder, count: Any, body: Callable[[Builder, Any], None]) -> None:
    def step(b: Builder, i: Any, _: list[Any]) -> list[Any]:
        body(b, i)
        return []

    _fold(b, count, [], step)


def _fold(b: Builder, count: Any, start: list[Any], step: Callable[[Builder, Any, list[Any]], list[Any]]) -> list[Any]:
    """A counted loop that carries values; leaves the builder after the loop and returns the values there."""
    before = b.block
    head, body, after = (b.append_basic_block() for _ in range(3))
    b.branch(head)
    b.position_at_end(head)
    i = b.phi(_int64)
    i.add_incoming(_index(0), before)
    carried = [b.phi(value.type) for value in start]
    for phi, value in zip(carried, start, strict=True):
        phi.add_incoming(value, before)
    b.cbranch(b.icmp_signed("<", i, count), body, after)
    b.position_at_end(body)
    results = step(b, i, carried)
    i.add_incoming(b.add(i, _index(1)), b.block)
    for phi, result in zip(carried, results, strict=True):
        phi.add_incoming(result, b.block)
    b.branch(head)
    b.position_at_end(after)
    return carried


def _polynomial(b: Builder, x: Any, coefficients: Sequence[float]) -> Any:
    """By Horner's rule, lowest coefficient first."""
    y = constant(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        y = b.fadd(b.fmul(y, x, flags=_FLAGS), constant(c), flags=_FLAGS)
    return y


def _power_of_two(b: Builder, k: Any) -> Any:
    return b.bitcast(b.shl(b.add(k, _integers(1023)), _integers(52)), _vector)


def _as_double(b: Builder, value: Any) -> Any:
    return b.uitofp(value, _vector) if value.type == _bools else value


def _as_bool(b: Builder, value: Any) -> Any:
    return value if value.type == _bools else b.fcmp_unordered("!=", value, constant(0.0))
