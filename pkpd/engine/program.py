"""A model made ready to run: its generated functions, and the solver they are run by."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from functools import lru_cache
from numbers import Integral
from typing import TYPE_CHECKING, Any

from pkpd.engine import machine
from pkpd.engine.occasions import kappas, varying
from pkpd.engine.workspace import ENTRY_ARGUMENTS, FUNCTIONS, Sizes
from pkpd.errors import ModelError, UsageError, did_you_mean

if TYPE_CHECKING:
    from pkpd.model.model import Model


#: The modules that a model's functions depend on.
_WRITERS = (
    "graph",
    "special",
    "llvm",
    "lanes",
    "algebra",
    "lower",
    "factors",
    "linear",
    "modes",
    "occasions",
    "switches",
)
#: A larger model would keep the compiler busy for minutes.
MOST_STATES = 400
#: Threads that ask for the same code at once must not all compile it.
_ONE_AT_A_TIME = threading.RLock()


class Program:
    """A model, what is observed of it, and the machine code for both.

    Attributes
    ----------
    model : Model
    parameters : tuple of str
        Columns of the values that `predict` takes: the model's parameters, then the kappas of each occasion.
    occasions : int
        How many occasions have kappas of their own, see `pkpd.engine.occasions`.
    observables : tuple of str
        What can be predicted: the model's outputs, or the names asked for.
    linear : tuple of str
        States whose equations are linear with coefficients that are constant between events.
    switching_covariates : tuple of int
        Covariates, by index, on which a model event time depends.
    switching_occasions : bool
        Whether a model event time depends on the occasion.
    """

    def __init__(self, model: Model, observables: tuple[str, ...], occasions: int = 0) -> None:
        self.model, self.occasions = model, occasions
        self.parameters = (*model.parameters, *kappas(model, occasions))
        self.observables = observables
        self._functions: dict[tuple, Functions] = {}
        first, states = self.functions(()), tuple(model.states)
        self.linear = tuple(states[i] for i in first.table["linear"])
        switching, count = first.table["switching_covariates"], len(model.covariates)
        self.switching_covariates = tuple(i for i in switching if i < count)
        self.switching_occasions = count in switching

    def position(self, moving_covariates: bool) -> dict[str, int]:
        """Where the solver keeps each state; that depends on what is linear, hence on how covariates are carried."""
        states = tuple(self.model.states)
        order = self.functions((), moving_covariates=moving_covariates).table["order"]
        return {states[i]: at for at, i in enumerate(order)}

    def functions(self, wrt: tuple[str, ...], *, exact: bool = True, moving_covariates: bool = False) -> Functions:
        """The generated functions, with sensitivities to the parameters in `wrt`; see `pkpd.engine.lower.Lowered`."""
        key = (wrt, exact, moving_covariates, self.occasions)
        with _ONE_AT_A_TIME:
            if key not in self._functions:
                self._functions[key] = Functions(self.model, self.observables, *key)
            return self._functions[key]

    def __repr__(self) -> str:
        return f"Program({self.model.name!r}, observables={self.observables})"


class Functions:
    """The generated functions of one model for one set of sensitivities.

    Attributes
    ----------
    wrt : tuple of str
    exact : bool
        Whether what is linear may be advanced exactly.
    table : dict
        What `pkpd.engine.lower.Lowered.table` says of them.
    sizes : Sizes
    addresses : list of int
    """

    def __init__(
        self,
        model: Model,
        observables: tuple[str, ...],
        wrt: tuple[str, ...],
        exact: bool,
        moving_covariates: bool,
        occasions: int = 0,
    ) -> None:
        self.wrt, self.exact = wrt, exact

        def make() -> tuple[dict[str, Any], str, tuple[str, ...]]:
            from pkpd.engine.lanes import Lanes
            from pkpd.engine.lower import Lowered

            options = {"exact": exact, "moving_covariates": moving_covariates, "occasions": occasions}
            lowered = Lowered(model, observables, wrt, **options)
            lanes = Lanes(model.name)
            lowered.write(lanes)
            return lowered.table(), str(lanes), FUNCTIONS

        key = [repr(part) for part in (model.hash, observables, wrt, exact, moving_covariates, occasions)]
        self._code = machine.obtain(key, _WRITERS, make)
        self.addresses = [self._code.address(name) for name in FUNCTIONS]
        self.table = self._code.table
        self.sizes = Sizes(**self.table["sizes"])

    @property
    def method(self) -> str:
        """How they solve: ``"exact"``, ``"exact + collocation"``; else its beginning, ``"exact + "`` or ``""``."""
        if self.sizes.closure == 0:
            return ""
        if self.sizes.solved == 0:
            return "exact"
        return "exact + collocation" if self.sizes.pair else "exact + "


@lru_cache(maxsize=64)
def _compile(model: Model, observables: tuple[str, ...], occasions: int) -> Program:
    errors = [finding for finding in model.check() if finding.severity == "error"]
    if errors:
        raise ModelError(findings=errors)
    return Program(model, observables, occasions)


def compile_model(model: Model, observe: Iterable[str] | None = None, occasions: int = 0) -> Program:
    """Make a model ready to run.

    Parameters
    ----------
    model
        Any model without errors.
    observe
        Names of outputs, equations or states to predict; None: the model's outputs.
    occasions
        With M > 0, each parameter with an `iov` differs between occasions 1 to M: the program has the further
        parameters ``cl@1``, ... (kappas: 0 for no difference, on the parameter's transformed scale), and the events
        say which occasion is in force (`pkpd.data.with_occasions`). A model without any `iov` knows no occasions.

    Returns
    -------
    Program
        For `bind` and `predict`. Kept in memory and, as machine code, in the user's cache directory.

    Raises
    ------
    ModelError
        If the model has errors (all of them), or a name is not known.
    UsageError
        If `occasions` is not a whole number, 0 or more.
    """
    if isinstance(occasions, bool) or not isinstance(occasions, Integral) or occasions < 0:
        raise UsageError(
            f"occasions is {occasions!r}.",
            where=f"compile_model(occasions=...), model {model.name}",
            expected="How many occasions there are: a whole number, 0 for none.",
            remedy="Give the most that any subject has.",
        )
    if model.needs:
        raise ModelError(
            f"it still needs {', '.join(model.needs)}.",
            where=f"model {model.name}",
            expected="A model whose [needs] are all met by its other parts.",
            remedy="Join it with a part that defines them, or define them as equations.",
        )
    observables = tuple(model.outputs) if observe is None else tuple(dict.fromkeys(observe))
    known = [*(name for name, _ in model.assignments), *model.states, *model.parameters, *model.covariates]
    for name in observables:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ModelError(
                f"`{name}` cannot be observed: the model has no such name.",
                where=f"model {model.name}",
                expected="Known: " + ", ".join(known) + ".",
                remedy=f"Did you mean `{hint}`?" if hint else None,
            )
    if len(model.states) > MOST_STATES:
        raise ModelError(
            f"it has {len(model.states)} states.",
            where=f"model {model.name}",
            expected=f"At most {MOST_STATES} are compiled.",
            remedy="Lump states that move together.",
        )
    if not observables:
        raise ModelError(
            "there is nothing to predict.",
            where=f"model {model.name}",
            expected="At least one output.",
            remedy="Add a row to [outputs], or name what to observe.",
        )
    return _compile(model, observables, int(occasions) if varying(model) else 0)


#: The modules that the solver is compiled from.
_SOLVER = (
    "translate",
    "layout",
    "kernel",
    "calls",
    "happenings",
    "fixed_point",
    "steady",
    "moments",
    "exact",
    "collocation",
    "steps",
)


class Solver:
    """The compiled solver: one function, called by address."""

    def __init__(self) -> None:
        import ctypes

        def make() -> tuple[dict[str, Any], str, tuple[str, ...]]:
            print("pkpd: compiling the solvers for this machine (once, about 10 s) ...", file=sys.stderr, flush=True)
            from pkpd.engine.translate import solver_code

            symbol, text = solver_code()
            return {"symbol": symbol}, text, (symbol,)

        self._code = machine.obtain(["solver"], _SOLVER, make)
        # numba's convention: a place for the result and one for an exception (neither is used), then the arguments.
        words = [ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * ENTRY_ARGUMENTS
        prototype = ctypes.CFUNCTYPE(ctypes.c_int32, *words)
        self._call = prototype(self._code.address(self._code.table["symbol"]))

    def __call__(self, *arguments: int) -> None:
        """Solve; whole numbers and addresses, as `pkpd.engine.calls.ENTRY` lists them. Releases the GIL."""
        import ctypes

        place = (ctypes.c_int64 * 2)()
        self._call(ctypes.addressof(place), ctypes.addressof(place) + 8, *arguments)


def solver() -> Solver:
    """The solver of this machine; compiled on first use, which is announced."""
    with _ONE_AT_A_TIME:
        return _solver()


@lru_cache(maxsize=1)
def _solver() -> Solver:
    return Solver()
