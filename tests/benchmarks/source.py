"""Straight-line source for the peer, with or without the sensitivity equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.benchmarks.models import System
from tests.benchmarks.peer import Equations

if TYPE_CHECKING:
    import sympy


def write_equations(
    system: System, names: tuple[str, ...], wrt: tuple[str, ...] = (), *, skip_zeros: bool = False
) -> Equations:
    """The model as functions that numba can compile.

    Parameters
    ----------
    system
    names
        The parameters, in the order of a row of values.
    wrt
        Parameters whose sensitivity equations are appended to the states. They are those of the logarithms, which keeps
        all components of like size; the outputs are the derivatives with respect to the parameters themselves.
    skip_zeros
        Leave out the sensitivity equations whose solution is zero at all times, as a careful person would.

    Returns
    -------
    Equations
        Outputs in the order: the model's outputs, then for each output its derivatives.
    """
    return _Writer(system, names, wrt, skip_zeros).equations()


class _Writer:
    """Builds the four functions."""

    def __init__(self, system: System, names: tuple[str, ...], wrt: tuple[str, ...], skip_zeros: bool) -> None:
        import sympy

        self.names, self.wrt, self.system = names, wrt, system
        self.states = tuple(system.rates)
        symbols = [*names, *system.coefficients, *self.states, *system.guarded, "rate"]
        self.known = {name: sympy.Symbol(name) for name in symbols}
        self.rates = [self._read(text) for text in system.rates.values()]
        self.outputs = [self._read(text) for text in system.outputs.values()]
        self.start = {name: self._read(text) for name, text in system.start.items()}
        self.pairs = [(i, j) for j in range(len(wrt)) for i in range(len(self.states))]
        self.slot = {pair: sympy.Symbol(f"s_{self.states[pair[0]]}_{wrt[pair[1]]}") for pair in self.pairs}
        if skip_zeros:
            self._drop_zeros()

    def _read(self, text: str) -> Any:
        import sympy

        return sympy.parse_expr(text, local_dict=self.known)

    def _by_state(self, expression: Any, state: str) -> Any:
        total = expression.diff(self.known[state])
        for (name, by), slope in self.system.slopes.items():
            if by == state:
                total += expression.diff(self.known[name]) * self.known[slope]
        return total

    def _by_parameter(self, expression: Any, name: str) -> Any:
        """The derivative with respect to the logarithm of a parameter, states held."""
        total = 0
        for coefficient, text in self.system.coefficients.items():
            formula = self._read(text)
            power = (formula.diff(self.known[name]) * self.known[name] / formula).simplify()
            total += expression.diff(self.known[coefficient]) * self.known[coefficient] * power
        return total

    def _along(self, expression: Any, j: int) -> Any:
        """The whole derivative with respect to the logarithm of parameter j."""
        total = self._by_parameter(expression, self.wrt[j])
        for i, state in enumerate(self.states):
            total += self._by_state(expression, state) * self.slot.get((i, j), 0)
        return total

    def _drop_zeros(self) -> None:
        kept: set[tuple[int, int]] = set()
        for j, name in enumerate(self.wrt):
            touched = {i for i, rate in enumerate(self.rates) if self._by_parameter(rate, name) != 0}
            touched |= {self.states.index(s) for s, e in self.start.items() if self._by_parameter(e, name) != 0}
            while True:
                more = {
                    i
                    for i, rate in enumerate(self.rates)
                    if any(self._by_state(rate, self.states[k]) != 0 for k in touched)
                }
                if more <= touched:
                    break
                touched |= more
            kept |= {(i, j) for i in touched}
        self.pairs = [pair for pair in self.pairs if pair in kept]
        self.slot = {pair: self.slot[pair] for pair in self.pairs}

    def equations(self) -> Equations:
        """Write the source and run it."""
        names, coefficients = self.names, tuple(self.system.coefficients)
        from_values = [f"{name}_ = values[{i}]" for i, name in enumerate(names)]
        # A coefficient may bear a parameter's name, so that parameters are spelt with an underscore here.
        spelt = {self.known[name]: type(self.known[name])(f"{name}_") for name in names}
        prepare = [
            f"p[{i + 1}] = {_text(self._read(text).xreplace(spelt))}"
            for i, text in enumerate(self.system.coefficients.values())
        ]
        held = [f"{name} = p[{i + 1}]" for i, name in enumerate(coefficients)]
        everything = [*(self.known[s] for s in self.states), *self.slot.values()]
        unpack = [f"{symbol} = y[{i}]" for i, symbol in enumerate(everything)]
        guarded = [f"{name} = {text}" for name, text in self.system.guarded.items()]
        if not self.wrt:
            guarded = guarded[:1]
        values = [*self.rates, *(self._along(self.rates[i], j) for i, j in self.pairs)]
        rhs = _shared(values, [f"dy[{i}]" for i in range(len(everything))])
        start = [self.start.get(state, 0) for state in self.states]
        start += [self._along(start[i], j) if start[i] != 0 else 0 for i, j in self.pairs]
        seen = list(self.outputs)
        for output in self.outputs:
            # d/dp = (d/dlog p) / p
            seen += [self._along(output, j) * type(self.known[n])(f"inverse_{n}") for j, n in enumerate(self.wrt)]
        inverse = [f"p[{len(coefficients) + 1 + j}] = 1.0 / {n}_" for j, n in enumerate(self.wrt)]
        held_inverse = [f"inverse_{n} = p[{len(coefficients) + 1 + j}]" for j, n in enumerate(self.wrt)]
        return Equations(
            states=len(everything),
            coefficients=1 + len(coefficients) + len(self.wrt),
            outputs=len(seen),
            prepare=_function("prepare(values, p)", from_values + prepare + inverse),
            start=_function("start(p, y)", held + [f"y[{i}] = {_text(e)}" for i, e in enumerate(start)]),
            rhs=_function("rhs(t, y, dy, p)", ["rate = p[0]", *held, *unpack, *guarded, *rhs]),
            observe=_function(
                "observe(p, y, row)",
                held + held_inverse + unpack + _shared(seen, [f"row[{i}]" for i in range(len(seen))]),
            ),
        )


def _text(expression: Any) -> str:
    import sympy

    return str(sympy.pycode(expression)) if isinstance(expression, sympy.Basic) else repr(float(expression))


def _shared(expressions: list[sympy.Expr], targets: list[str]) -> list[str]:
    """Assignments, with common subexpressions computed once."""
    import sympy

    common, left = sympy.cse(expressions, symbols=sympy.numbered_symbols("x_"))
    lines = [f"{symbol} = {_text(value)}" for symbol, value in common]
    return lines + [f"{target} = {_text(value)}" for target, value in zip(targets, left, strict=True)]


def _function(head: str, lines: list[str]) -> Callable[..., None]:
    space: dict[str, Any] = {}
    body = "".join(f"    {line}\n" for line in lines)
    exec(compile(f"def {head}:\n{body}", f"<{head}>", "exec"), space)
    return space[head.split("(")[0]]
