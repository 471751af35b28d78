"""The linear part is recognised by its form, and advanced as a matrix exponential should be: each number in itself."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.linalg import expm, expm_frechet

from pkpd.engine import Prediction, Program, bind, compile_model, predict
from pkpd.engine.graph import Graph, Node
from pkpd.engine.linear import MOST_PRODUCTS, Affine, affine, linear_states
from pkpd.errors import SolveError
from pkpd.model.equation import parse_expression
from pkpd.model.model import Model
from tests.engine.draws import events_of, network

# -- what is linear ----------------------------------------------------------------------------------------------------

STATES = ("x", "y", "z")
STATIC = ("k", "q", "w")


def graph() -> tuple[Graph, dict[str, Node]]:
    g = Graph()
    names = {name: g.leaf("state", i) for i, name in enumerate(STATES)}
    names |= {name: g.leaf("parameter", i) for i, name in enumerate(STATIC)}
    return g, names | {"t": g.leaf("time"), "wt": g.leaf("covariate", 0), "s": g.leaf("switch", 0)}


def form(text: str) -> Affine | None:
    g, names = graph()
    (found,) = affine(g, [g.lower(parse_expression(text), names)], [names[s] for s in STATES])
    return found


LINEAR = {
    "-k * x": "x",
    "k * x - q * (y - z / w)": "xyz",
    "-(k + q) * x + w": "x",
    "x / k - wt * y": "xy",
    "(2 * x + 3) * (k - q)": "x",
    "x - x + y": "y",
    "k * (x + y) - k * y": "x",
    "x + (k + q) * y - k * y - q * y": "xy",  # the coefficient of y is zero by its value only
    "x * exp(-k) + floor(wt / 10)": "x",
    "(k if wt > 70 else q) * x": "x",
    "k * x if wt > 70 and q <= w else q * y": "xy",
    "k * x if s else 0 * x": "x",
    "min(k, q) * x": "x",
    "-(-x)": "x",
    "x ** 1": "x",
    "k * q": "",
    "0 * x": "",
    "3": "",
}
NOT_LINEAR = [
    "x * y",
    "x ** 2",
    "sqrt(x)",
    "k / x",
    "x / (q + x)",
    "exp(-x)",
    "floor(x)",
    "0 * floor(x) + floor(y)",
    "abs(x)",
    "max(x, 0)",
    "(k if x > 1 else q)",
    "(1 if x > 1 else 1) * y + (1 if x > 1 else 2) * z",
    "k * x if x > y else q * x",
    "x > 1",
    "k * x * t",
    "k * x if t < q else q * x",
    "t",
    "k + cos(t)",
    "x ** k",
]


@pytest.mark.parametrize("text", LINEAR)
def test_a_linear_form_is_recognised(text: str):
    found = form(text)
    assert found is not None
    assert {STATES[v.leaf[1]] for v in found.coefficients} == set(LINEAR[text])
    assert all(node.static for node in [*found.coefficients.values(), found.rest])


@pytest.mark.parametrize("text", NOT_LINEAR)
def test_another_form_is_not(text: str):
    assert form(text) is None


@pytest.mark.parametrize("text", [t for t in LINEAR if "s" not in t.replace("else", "")])
def test_the_form_has_the_value_of_the_expression(text: str):
    """Coefficients by differences of the plain evaluation."""
    from pkpd.model.expression import evaluate

    known = {"x": 0.0, "y": 0.0, "z": 0.0, "k": 0.3, "q": 0.7, "w": 2.0, "wt": 80.0}
    expr = parse_expression(text)
    rest = float(evaluate(expr, known))
    slopes = [float(evaluate(expr, known | {name: 1.0})) - rest for name in STATES]
    for point in ([1.0, 2.0, 5.0], [-3.0, 0.1, 7.0]):
        value = float(evaluate(expr, known | dict(zip(STATES, point, strict=True))))
        assert value == pytest.approx(rest + np.dot(slopes, point), rel=1e-13, abs=1e-13)


def found_linear(*right: str) -> set[str]:
    g, names = graph()
    nodes = [g.lower(parse_expression(text), names) for text in right]
    return {STATES[i] for i in linear_states(g, [names[s] for s in STATES], nodes)}


def test_the_largest_linear_part():
    assert found_linear("-k * x", "k * x - q * y", "q * y") == {"x", "y", "z"}
    assert found_linear("-k * x", "k * x - q * y / (w + y)", "x") == {"x", "z"}
    assert found_linear("-k * x", "k * x - q * y / (w + y)", "y") == {"x"}, "what depends on y is out as well"
    assert found_linear("y - x", "z - y", "-z * z") == set(), "and what depends on that"
    assert found_linear("-k * x * z", "-y", "0") == {"y", "z"}


# -- the exponential ---------------------------------------------------------------------------------------------------


@lru_cache
def system(size: int, pattern: tuple[tuple[int, int], ...]) -> Program:
    """x' = A x + b with the entries of A in `pattern` as parameters, also those of b and x(0); all states observed."""
    parameters = {f"a{i}{j}": "1/h" for i, j in pattern}
    parameters |= {f"b{i}": "mg/h" for i in range(size)} | {f"s{i}": "mg" for i in range(size)}
    lines = []
    for i in range(size):
        flows = "".join(f" + a{i}{j} * x{j}" for k, j in pattern if k == i)
        lines += [f"d/dt(x{i}) = b{i}{flows}", f"x{i}(0) = s{i}"]
    text = 'title = "linear"\n[units]\ntime = "h"\namount = "mg"\n[parameters]\n'
    text += "".join(f'{n} = {{ typical = 1, unit = "{u}", transform = "none" }}\n' for n, u in parameters.items())
    text += "[routes]\nin = { into = \"x0\" }\n[dynamics]\nequations = '''\n" + "\n".join(lines) + "\n'''\n[outputs]\n"
    text += "".join(f'x{i} = {{ unit = "mg" }}\n' for i in range(size))
    return compile_model(Model(text))


def solve(a: np.ndarray, start, times, b=None, *, full: bool = False, dose=None, **options: Any) -> Prediction:
    """All states at `times`; (times, states)."""
    size = len(a)
    everywhere = tuple((i, j) for i in range(size) for j in range(size))
    pattern = everywhere if full else tuple((i, j) for i, j in everywhere if a[i, j] != 0)
    program = system(size, pattern)
    values = [*(a[at] for at in pattern), *(np.zeros(size) if b is None else b), *start]
    rows = [{"TIME": 0.0, "EVID": 2}, *([dose] if dose else []), *({"TIME": float(t), "EVID": 0} for t in times)]
    schedule = bind(program, every_output(rows))
    got = predict(program, schedule, values, **({"method": "exact", **options}))
    got.raise_failures()
    return got


def every_output(rows):
    """Observations of all outputs."""
    events = events_of(rows)
    return replace(events, outputs=(), output=np.full(len(events), -1))


def truth(a: np.ndarray, start, times, b=None) -> np.ndarray:
    """By Taylor's series in 120 digits."""
    size = len(a)
    with mpmath.workdps(120):
        whole = mpmath.zeros(size + 1)
        for i in range(size):
            for j in range(size):
                whole[i, j] = mpmath.mpf(float(a[i, j]))
            whole[i, size] = mpmath.mpf(float(0 if b is None else b[i]))
        x = mpmath.matrix([*map(float, start), 1.0])
        found = [mpmath.expm(whole * mpmath.mpf(float(t)), method="taylor") * x for t in times]
        return np.array([[float(column[i]) for i in range(size)] for column in found])


def compartments(seed: int, size: int = 4, low: float = 1e-2, high: float = 10.0) -> np.ndarray:
    """Random exchange between all compartments, and loss from each."""
    rng = np.random.default_rng(seed)
    a = np.exp(rng.uniform(np.log(low), np.log(high), (size, size))) * (rng.random((size, size)) < 0.7)
    np.fill_diagonal(a, 0.0)
    np.fill_diagonal(a, -a.sum(axis=0) - np.exp(rng.uniform(np.log(low), np.log(high), size)))
    return a


def chain(*rates: float) -> np.ndarray:
    """Each state flows into the next; the last one out."""
    a = np.diag(-np.array(rates))
    for i in range(1, len(rates)):
        a[i, i - 1] = rates[i - 1]
    return a


def cycle(size: int, rate: float, loss: float = 0.1) -> np.ndarray:
    """Around in a circle: complex eigenvalues."""
    a = np.roll(np.eye(size), 1, axis=0) * rate
    return a - np.eye(size) * (rate + loss)


#: Matrices without negative entries beside the diagonal: every number must be right in itself, also the tiny ones.
COMPARTMENTAL = {
    **{f"exchange {seed}": compartments(seed) for seed in range(6)},
    "wide exchange": compartments(7, low=1e-5, high=100.0),
    "a cycle": cycle(4, 3.0),
    "ka = ke": chain(0.7, 0.7),
    "ka nearly ke": chain(0.7, 0.7 * (1 + 1e-9)),
    "equal transit": chain(2.0, 2.0, 2.0, 2.0, 2.0, 0.3),
    "stiff": chain(1e4, 0.3, 1.0),
    "stiff exchange": np.array([[-1e3, 1e3, 0], [1e3, -1e3 - 0.1, 0], [0, 0.1, -0.02]]),
    "growth": np.array([[0.8, 0.0], [0.3, -0.2]]),
    "growth that feeds itself": np.array([[-0.1, 0.5], [0.7, -0.2]]),
    "area under the curve": np.array([[-0.4, 0.0, 0.0], [0.4, -0.1, 0.0], [0.0, 1.0, 0.0]]),
    "only areas": np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "units": np.array([[-0.3, 0.0, 0.0], [1e6, -0.7, 2e-6], [1e-7, 0.5, -2e-6]]),
    "one state": np.array([[-0.25]]),
    "one that grows": np.array([[0.25]]),
    "one that stays": np.array([[0.0]]),
    "slow": np.array([[-1e-9, 0.0], [1e-9, -1e-12]]),
}


@pytest.mark.parametrize("name", COMPARTMENTAL)
def test_every_number_is_right_in_itself(name: str):
    a = COMPARTMENTAL[name]
    start = [100.0, *[0.0] * (len(a) - 1)]
    times = [1e-9, 1e-4, 0.02, 0.5, 3.0, 24.0]
    got = solve(a, start, times).f.reshape(len(times), -1)
    np.testing.assert_allclose(got, truth(a, start, times), rtol=lost(a, times[-1]), atol=0)


@pytest.mark.parametrize("name", COMPARTMENTAL)
def test_with_a_constant_feed(name: str):
    a = COMPARTMENTAL[name]
    feed = [3.0, *[0.0] * (len(a) - 2), 0.5][: len(a)]
    start, times = np.linspace(0, 1, len(a)), [1e-9, 0.02, 0.5, 24.0]
    got = solve(a, start, times, feed).f.reshape(len(times), -1)
    np.testing.assert_allclose(got, truth(a, start, times, feed), rtol=lost(a, times[-1]), atol=0)


def lost(a: np.ndarray, span: float) -> float:
    """Each squaring doubles what is lost: in all some eps times the fastest rate times the span."""
    return 2e-13 + 5e-15 * np.abs(a.diagonal()).max() * span


ANY = {
    "a rotation": np.array([[0.0, -2.0], [2.0, 0.0]]),
    "a spiral": np.array([[-0.1, 3.0, 0.0], [-3.0, -0.1, 0.0], [1.0, 0.0, -0.5]]),
    "a defect with negative entries": np.array([[-1.0, 0.0], [-2.0, -1.0]]),
    "feedback": np.array([[-0.5, 0.0, -0.8], [0.5, -0.4, 0.0], [0.0, 0.4, -0.3]]),
    **{f"random {s}": np.random.default_rng(s).normal(0, 1, (4, 4)) - np.eye(4) for s in range(6)},
}


@pytest.mark.parametrize("name", ANY)
def test_matrices_of_any_sign(name: str):
    """What cancels is lost; what is large is right."""
    a = ANY[name]
    start, times = np.arange(1.0, len(a) + 1), [1e-9, 0.3, 2.0, 9.0]
    got, wanted = solve(a, start, times).f.reshape(len(times), -1), truth(a, start, times)
    np.testing.assert_allclose(got / np.abs(wanted).max(axis=1)[:, None], wanted / np.abs(wanted).max(axis=1)[:, None],
                               atol=2e-13)  # fmt: skip


def test_absent_flows_that_could_be_there():
    """Entries that are zero by their value, not by the form of the equations."""
    for name in ("equal transit", "zero"):
        a = COMPARTMENTAL.get(name, np.zeros((4, 4)))[:4, :4]
        start, times = [1.0, 0.0, 2.0, 0.0], [0.5, 24.0]
        got = solve(a, start, times, full=True).f.reshape(2, -1)
        np.testing.assert_allclose(got, truth(a, start, times), rtol=1e-13, atol=0)


def test_an_infusion_is_a_feed_for_its_time():
    a = COMPARTMENTAL["exchange 1"]
    times = [0.3, 2.0, 2.5, 30.0]
    got = solve(a, np.zeros(4), times, dose={"TIME": 0.0, "EVID": 1, "AMT": 60.0, "DUR": 2.0}).f.reshape(4, -1)
    feed = [30.0, 0.0, 0.0, 0.0]
    there = truth(a, np.zeros(4), times[:2], feed)
    after = truth(a, there[-1], [0.5, 28.0])
    np.testing.assert_allclose(got, [*there, *after], rtol=lost(a, 30.0), atol=0)


# Each squaring doubles the rounding error of the slow part, so that a fast flow beside it costs digits.
@pytest.mark.parametrize("fast", [1e3, 1e6, 1e9, 1e12, 1e16])
def test_a_fast_absorption_costs_the_slow_part_no_digits(fast: float):
    a, times = chain(fast, 0.1), np.array([1.0, 24.0, 240.0])
    got = solve(a, [100.0, 0.0], times, method="auto", rtol=1e-11).f.reshape(3, -1)[:, 1]
    wanted = 100 * fast / (fast - 0.1) * (np.exp(-0.1 * times) - np.exp(-fast * times))
    np.testing.assert_allclose(got, wanted, rtol=1e-8)


def test_a_rate_beyond_what_squaring_can_do():
    """It is left to the stiff method, and is right."""
    program = system(2, ((0, 0), (1, 0), (1, 1)))
    rows = [{"TIME": 0.0, "EVID": 2}, {"TIME": 1.0, "EVID": 0}]
    got = predict(program, bind(program, every_output(rows)), [-1e100, 1e100, -0.1, 0, 0, 1, 0])
    got.raise_failures()
    assert list(got.method) == ["rosenbrock"]
    np.testing.assert_allclose(got.f[0], [0.0, np.exp(-0.1)], rtol=1e-7, atol=1e-12)


# -- its derivatives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["exchange 2", "a cycle", "ka = ke", "equal transit", "area under the curve", "growth"]
)
def test_derivatives_with_respect_to_every_entry(name: str):
    """Frechet's derivative, by another algorithm (Al-Mohy and Higham, in SciPy)."""
    a = COMPARTMENTAL[name]
    size = len(a)
    start, times, feed = np.linspace(1, 2, size), [0.02, 3.0, 8.0], np.linspace(0.5, 1, size)
    got = solve(a, start, times, feed, sensitivities=True)
    assert got.df is not None
    df = got.df.reshape(len(times), size, -1)
    whole = np.block([[a, feed[:, None]], [np.zeros((1, size + 1))]])
    x = np.append(start, 1.0)
    for j, parameter in enumerate(got.wrt):
        kind, where = parameter[0], tuple(map(int, parameter[1:]))
        for i, t in enumerate(times):
            if kind == "s":
                wanted = expm(whole * t)[:size, where[0]]
            else:
                direction = np.zeros((size + 1, size + 1))
                direction[where if kind == "a" else (where[0], size)] = t
                wanted = (expm_frechet(whole * t, direction, compute_expm=False) @ x)[:size]
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(df[i, :, j] / scale, wanted / scale, atol=2e-13, err_msg=f"{parameter}, t = {t}")


def test_derivatives_do_not_change_the_numbers():
    a = COMPARTMENTAL["exchange 3"]
    plain = solve(a, [1.0, 2, 3, 4], [0.1, 5.0])
    both = solve(a, [1.0, 2, 3, 4], [0.1, 5.0], sensitivities=["s0", "a00", "b2"])
    np.testing.assert_array_equal(both.f, plain.f)


# -- where it does not pay ---------------------------------------------------------------------------------------------


def test_a_large_matrix_is_integrated_and_it_is_said_so():
    rows = [{"TIME": 0.0, "EVID": 1, "AMT": 100.0}, {"TIME": 0.5, "EVID": 0}, {"TIME": 9.0, "EVID": 0}]
    for states, exact in ((9, True), (20, False)):
        model = transit(states)
        program = compile_model(model)
        schedule = bind(program, events_of(rows))
        assert program.linear == tuple(f"x{i}" for i in range(states))
        got = predict(program, schedule, [2.0], rtol=1e-10)
        assert (got.method[0] == "exact") == exact and "exact +" not in got.method[0]
        wanted = truth(chain(*[2.0] * states), [100.0] + [0.0] * (states - 1), [0.5, 9.0])
        np.testing.assert_allclose(got.f, wanted[:, -1], rtol=1e-8, atol=1e-8)
    with pytest.raises(SolveError, match="too large"):
        predict(program, schedule, [2.0], method="exact")
    assert MOST_PRODUCTS < 20**3 / 6


def transit(states: int) -> Model:
    lines = ["d/dt(x0) = -k * x0", *(f"d/dt(x{i}) = k * x{i - 1} - k * x{i}" for i in range(1, states))]
    equations = "\n".join(lines)
    return Model(
        'title = "transit"\n[units]\ntime = "h"\namount = "mg"\n[parameters]\nk = { typical = 2, unit = "1/h" }\n'
        f"[routes]\nin = {{ into = \"x0\" }}\n[dynamics]\nequations = '''\n{equations}\n'''\n"
        f'[outputs]\nx{states - 1} = {{ unit = "mg" }}\n'
    )


def test_the_exact_method_is_refused_where_not_all_is_linear():
    from tests.engine.draws import nonlinear

    program = compile_model(nonlinear("turnover"))
    schedule = bind(program, events_of([{"TIME": 0.0, "EVID": 0, "WT": 70.0}]))
    with pytest.raises(SolveError, match="equations of r are not linear"):
        predict(program, schedule, [p.typical for p in program.model.parameters.values()], method="exact")
    assert program.linear == ("depot", "central", "ce")
    assert compile_model(network(3)).linear == ("a1", "a2", "a3")
