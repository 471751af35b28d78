"""The solver's own source, rewritten for a GPU: one thread takes the place of a lane.

There is one solver. What it does at an event, how it tries a step, how it finds a steady state is written once, in
`SOLVER`, for lanes side by side. A thread of a GPU is a lane whose neighbours are other threads, so only the words
change in which the source speaks of lanes, of the work space and of a model's functions:

=============================================== =======================================================================
in the source                                   on a GPU
=============================================== =======================================================================
``ws.WIDTH``                                    the number of threads in flight
``for lane in range(ws.WIDTH)``, and any other  the thread's own share of the same loop: it begins at the thread and
loop over ``... * ws.WIDTH``                    goes in steps of the number of threads
``call(fns[ws.RHS], at(base, a), ..., base)``   ``model_rhs(w, a, ..., 0)``: compiled in, not called by address
``lo.n``, ``lo.y``                              a number: sizes, and places counted in rows
``lo.event_key``                                read from a table, as what comes after a subject's events lies at no
                                                fixed place
``s.item_time[i]``, ``s.moving``                a place in one of the long arrays of the batch; a number
``w[lo.shape]``                                 a variable: lanes share these numbers, threads do not
``w[lo.tableau + i]``                           ``tableau[i]``, a constant
``np.sqrt``                                     ``math_sqrt``
=============================================== =======================================================================

Branches that the numbers decide are left out, and with them whole methods, and the search for a steady state where no
record asks for one. Anything that this page does not know is an
error here, before a GPU sees it.
"""

from __future__ import annotations

import ast
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkpd.engine import workspace as ws
from pkpd.engine.scalar import COMMON, PREFIX
from pkpd.engine.transfer import LONG

#: The modules that hold the solver, and what it is compiled with here.
SOLVER = ("calls", "happenings", "fixed_point", "steady", "moments", "exact", "collocation", "steps", "kernel")
_ALGEBRA = ("power", "larger", *(PREFIX + name for name in COMMON))
#: Arguments that are others here: addresses of functions, the address of the work space, the batch.
_TABLES = ("fns", "base", "s")
#: Names that the source may use beside its own, and ``math_...``.
_GIVEN = ("cuda", "device", "tableau", "range", "abs", "min", "max", "int", "len")
#: Variables in place of what stands in the work space at ``lo.shape``.
_WITH_TERMS = (ws.WEIGHTS, ws.COMBINE)
_SHAPE = {"w[lo.shape]": "shape_rows", "w[lo.shape + 1]": "shape_terms"}


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is known of the work space and of the batch when the source is compiled.

    Attributes
    ----------
    constants : mapping
        Fields of the layout that are numbers.
    rows : mapping
        Fields of the layout that are places: the row at which an array begins.
    tables : sequence of str
        Fields of the layout that are read from the table ``lo``, in its order; places, in rows.
    arrays : mapping
        In which of the long arrays (`pkpd.engine.transfer.LONG`) each array of the batch lies.
    switches : mapping
        Fields of the batch that are numbers.
    method : int
    steady : bool
        Whether any record asks for a steady state.
    """

    constants: Mapping[str, int]
    rows: Mapping[str, int]
    tables: tuple[str, ...]
    arrays: Mapping[str, str]
    switches: Mapping[str, int]
    method: int
    steady: bool = True


def retarget(numbers: Numbers, model: str) -> str:
    """Python source of the solver for one thread of a GPU, with a model's functions.

    Parameters
    ----------
    numbers
        What is known beforehand.
    model
        The source of the model's functions, as `pkpd.engine.scalar.Scalar` writes it.

    Returns
    -------
    str
        Functions of the arguments of the solver's, but ``lo, w, q, s, ...`` in place of the tables: the table of
        places, both work spaces, where each array of the batch begins, and the long arrays. They are decorated with
        ``device``, and use ``cuda``, ``tableau`` and the functions ``math_...``.

    Raises
    ------
    NotImplementedError
        The solver uses a word that has no meaning here.
    """
    here = Path(__file__).parent
    functions: list[ast.FunctionDef] = []
    named: dict[str, Any] = {}
    for name in SOLVER:
        tree = ast.parse((here / f"{name}.py").read_text(encoding="utf-8"))
        functions += [f for f in tree.body if isinstance(f, ast.FunctionDef) and _is_solver(f)]
        named |= _constants(tree)
    algebra = ast.parse((here / "scalar.py").read_text(encoding="utf-8")).body
    functions += [f for f in algebra if isinstance(f, ast.FunctionDef) and f.name in _ALGEBRA]
    functions += [f for f in ast.parse(model).body if isinstance(f, ast.FunctionDef)]
    names = {f.name for f in functions}
    rewritten = [_Rewriter(numbers, names, named).function(f) for f in functions]
    for f in rewritten:
        _check_names(f, names)
    return "\n\n\n".join(map(ast.unparse, rewritten))


def _check_names(f: ast.FunctionDef, functions: Container[str]) -> None:
    """Refuse a name that nothing here defines."""
    found = [node for node in ast.walk(f) if isinstance(node, ast.Name)]
    own = {a.arg for a in f.args.args} | {node.id for node in found if isinstance(node.ctx, ast.Store)}
    for node in found:
        known = node.id in own or node.id in functions or node.id in _GIVEN or node.id.startswith("math_")
        if not known:
            raise NotImplementedError(f"`{node.id}` in `{f.name}` has no meaning on a GPU")


def _constants(module: ast.Module) -> dict[str, Any]:
    """The numbers that a module gives a name."""
    found = {}
    for line in module.body:
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant):
            found |= {_plain(target): line.value.value for target in line.targets}
    return found


def _is_solver(f: ast.FunctionDef) -> bool:
    """Whether a function is compiled with the solver; the address of a place is needed by vector code only."""
    return f.name != "at" and any(isinstance(d, ast.Name) and d.id == "compiled" for d in f.decorator_list)


class _Rewriter(ast.NodeTransformer):
    """Rewrites one function."""

    def __init__(self, numbers: Numbers, names: Container[str], bound: Mapping[str, Any]) -> None:
        self.numbers, self.names = numbers, names
        self.choices: dict[str, list[int]] = {}
        self.bound = dict(bound)

    def function(self, f: ast.FunctionDef) -> ast.FunctionDef:
        """The function for one thread."""
        arguments = [a.arg for a in f.args.args]
        if f.name == "solve":
            self.bound["method"] = self.numbers.method
            arguments.remove("method")
        f.args.args = [ast.arg(new) for name in arguments for new in _threaded(arguments, name)]
        f.decorator_list = [_name("device")]
        if isinstance(f.body[0], ast.Expr) and isinstance(f.body[0].value, ast.Constant):
            del f.body[0]
        body = [new for old in f.body for new in _listed(self.visit(old))]
        here: list[ast.stmt] = ast.parse("_thread = cuda.grid(1)\n_threads = cuda.gridsize(1)").body
        used = {node.id for new in body for node in ast.walk(new) if isinstance(node, ast.Name)}
        f.body = [*(h for h in here if isinstance(h, ast.Assign) and _plain(h.targets[0]) in used), *body]
        return ast.fix_missing_locations(f)

    # -- names that are numbers -------------------------------------------------------------------------------------
    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A variable, unless its value is known."""
        if node.id in self.bound and isinstance(node.ctx, ast.Load):
            return ast.Constant(self.bound[node.id])
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """``ws.X``, ``lo.x``, ``s.x`` and ``np.x``."""
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        n = self.numbers
        if owner == "ws":
            return _name("_threads") if node.attr == "WIDTH" else ast.Constant(getattr(ws, node.attr))
        if owner == "np":
            return _name("int" if node.attr == "int64" else f"math_{node.attr}")
        if owner == "lo" and node.attr == "tableau":
            return ast.Constant(0)
        if owner == "lo" and node.attr in n.constants:
            return ast.Constant(n.constants[node.attr])
        if owner == "lo" and node.attr in n.rows:
            return _parse(f"({n.rows[node.attr]} * _threads)")
        if owner == "lo" and node.attr in n.tables:
            return _parse(f"(lo[{n.tables.index(node.attr)}] * _threads)")
        if owner == "s" and node.attr in n.switches:
            return ast.Constant(n.switches[node.attr])
        if owner == "cuda":
            return node
        raise NotImplementedError(f"`{ast.unparse(node)}` has no meaning on a GPU")

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """``s.x[i]``, ``w[lo.shape]``, and ordinary places."""
        text = ast.unparse(node)
        if text in _SHAPE:
            return ast.Name(_SHAPE[text], node.ctx)
        if text.startswith("w[lo.tableau"):
            return ast.Subscript(_name("tableau"), self.visit(node.slice), node.ctx)
        if text == "q[lo.steady + lane]" and not self.numbers.steady and isinstance(node.ctx, ast.Load):
            return ast.Constant(0)
        if isinstance(node.value, ast.Attribute) and isinstance(node.value.value, ast.Name):
            if node.value.value.id == "s" and node.value.attr in ws.Batch._fields:
                array = self.numbers.arrays[node.value.attr]
                place = ws.Batch._fields.index(node.value.attr)
                index = ast.BinOp(_parse(f"s[{place}]"), ast.Add(), self.visit(node.slice))
                return ast.Subscript(_name(array), index, node.ctx)
        self.generic_visit(node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """A comparison; no event is one of those that do not occur."""
        if ast.unparse(node) == "kind == ws.STEADY" and not self.numbers.steady:
            return ast.Constant(False)
        self.generic_visit(node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Arithmetic; powers are those of the models, which need no large function of CUDA's."""
        self.generic_visit(node)
        whole = isinstance(node.right, ast.Constant) and isinstance(node.right.value, int)
        if isinstance(node.op, ast.Pow) and not whole:
            return ast.Call(_name("power"), [node.left, node.right], [])
        return node

    # -- calls ------------------------------------------------------------------------------------------------------
    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Loops over lanes, functions of the solver, functions of the model."""
        if not isinstance(node.func, ast.Name):
            self.generic_visit(node)
            return node
        if node.func.id == "at":
            return self.visit(node.args[1])
        if node.func.id == "call":
            assert isinstance(node.args[0], ast.Subscript)
            which = self.visit(node.args[0].slice)
            assert isinstance(which, ast.Constant) and isinstance(which.value, int), ast.unparse(node)
            return self._of_model(which.value, node.args[1:])
        over_lanes = node.func.id == "range" and any(_mentions_width(a) for a in node.args)
        if node.func.id in self.names and not node.func.id.startswith(PREFIX):
            node.args = self._arguments(node.args)
            return node
        self.generic_visit(node)
        if over_lanes:
            start: ast.expr = node.args[0] if len(node.args) == 2 else ast.Constant(0)
            start = ast.BinOp(start, ast.Add(), _name("_thread"))
            node.args = [start, node.args[-1], _name("_threads")]
        return node

    def _arguments(self, args: list[ast.expr]) -> list[ast.expr]:
        """Arguments of a function of the solver."""
        names = [_plain(argument) for argument in args]
        found: list[ast.expr] = []
        for name, argument in zip(names, args, strict=True):
            found += [_name(new) for new in _threaded(names, name)] if name in _TABLES else [self.visit(argument)]
        return found

    def _of_model(self, which: int, args: list[ast.expr]) -> ast.Call:
        """The call of a model's function: offsets in place of addresses."""
        given: list[ast.expr] = []
        sized = which in (ws.WEIGH, ws.WEIGHTS, ws.COMBINE, ws.NORM, ws.ACCEPT)
        for argument in args:
            if _plain(argument) == "base":
                # An array that the function does not have.
                given += [] if sized else [ast.Constant(0)]
            elif _at_shape(argument):
                given += [_name(name) for name in list(_SHAPE.values())[: 2 if which in _WITH_TERMS else 1]]
            else:
                given.append(self.visit(argument))
        return ast.Call(_name(PREFIX + ws.FUNCTIONS[which]), [_name("w"), *given], [])

    # -- statements -------------------------------------------------------------------------------------------------
    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt]:
        """Remember between which functions of the model a variable chooses."""
        named = [n for n in ast.walk(node.value) if isinstance(n, ast.Attribute) and n.attr in _CODES]
        if isinstance(node.targets[0], ast.Name) and named:
            self.choices[node.targets[0].id] = [getattr(ws, n.attr) for n in named]
        self.generic_visit(node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """A call of whichever function of the model a variable says becomes a choice."""
        value = node.value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "call":
            assert isinstance(value.args[0], ast.Subscript)
            variable = _plain(value.args[0].slice)
            if variable in self.choices:
                chosen: list[ast.stmt] = []
                for which in reversed(self.choices[variable]):
                    test = ast.Compare(_name(variable), [ast.Eq()], [ast.Constant(which)])
                    call = ast.Expr(self._of_model(which, value.args[1:]))
                    chosen = [ast.If(test, [call], chosen)]
                return chosen[0]
        self.generic_visit(node)
        return node

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        """Keep the branch that the numbers decide; both if they do not."""
        self.generic_visit(node)
        truth = _truth(node.test)
        if truth is None:
            return node
        return (node.body if truth else node.orelse) or [ast.Pass()]

    def visit_For(self, node: ast.For) -> ast.stmt:
        """A loop, unless it has no turns: one over no sensitivities."""
        self.generic_visit(node)
        return ast.Pass() if ast.unparse(node.iter) == "range(0)" else node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        """The same within an expression."""
        self.generic_visit(node)
        truth = _truth(node.test)
        return node if truth is None else node.body if truth else node.orelse


#: Names of the codes of the model's functions.
_CODES = tuple(name.upper() for name in ws.FUNCTIONS)


def _threaded(names: list[str], name: str) -> list[str]:
    """What takes the place of an argument, one of `names`, of a function of the solver."""
    if name == "s":
        return ["s", *LONG]
    if name == "base":
        return [] if "w" in names else ["w"]
    return [] if name == "fns" else [name]


def _at_shape(node: ast.expr) -> bool:
    return ast.unparse(node) == "at(base, lo.shape)"


def _mentions_width(node: ast.expr) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr == "WIDTH" for n in ast.walk(node))


def _truth(test: ast.expr) -> bool | None:
    """The answer of a condition, if numbers alone decide it."""
    if isinstance(test, ast.BoolOp):
        parts = [_truth(part) for part in test.values]
        decisive = isinstance(test.op, ast.Or)
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive
    known = (ast.Constant, ast.Compare, ast.UnaryOp, ast.BinOp, ast.operator, ast.cmpop, ast.unaryop)
    if not all(isinstance(node, known) for node in ast.walk(test)):
        return None
    expression = ast.fix_missing_locations(ast.Expression(test))
    return bool(eval(compile(expression, "<condition>", "eval"), {"__builtins__": {}}))  # numbers and signs only


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _plain(node: ast.AST) -> str:
    """The name that an expression is, or nothing."""
    return node.id if isinstance(node, ast.Name) else ""


def _parse(text: str) -> Any:
    return ast.parse(text, mode="eval").body


def _listed(found: Any) -> list[ast.stmt]:
    return found if isinstance(found, list) else [found]
