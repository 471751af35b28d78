"""The solver on a GPU: a thread a subject, the same source as on the processor.

`pkpd.engine.retarget` gives the source, numba-cuda compiles it for each model and method. The number of threads in
flight is bounded, whatever the number of subjects; each takes one after the other. The work space, the same as on the
processor, is allocated for these threads once. The subjects' data go to the GPU in pieces that fit its memory.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pkpd.engine.layout import Layout, make_layout
from pkpd.engine.retarget import Numbers, retarget
from pkpd.engine.scalar import Scalar
from pkpd.engine.transfer import Transfer, long_of, pieces
from pkpd.engine.workspace import WIDTH
from pkpd.errors import SolveError, UsageError, did_you_mean

if TYPE_CHECKING:
    from pkpd.engine.program import Functions, Program
    from pkpd.engine.schedule import Schedule

DEVICES = ("cpu", "cuda")
#: Threads of a block, and blocks a processor of the GPU is given: enough to hide how long memory takes to answer.
_BLOCK, _BLOCKS_EACH = 64, 16
#: Shares of the free memory: of the work space, and of the subjects' data.
_SHARE_WORK, _SHARE_DATA = 0.25, 0.5
_MATH = ("exp", "log", "sqrt", "sin", "cos", "tanh", "isnan", "isfinite", "floor", "ceil")
#: The kernels: one clears the work space, one solves.
_KERNELS = """
@cuda.jit
def clear(w, q, tolerance, theta, rtol, atol, threshold):
    thread = cuda.grid(1)
    threads = cuda.gridsize(1)
    for i in range(thread, w.size, threads):
        w[i] = 0.0
    for i in range(thread, q.size, threads):
        q[i] = 0
    if thread == 0:
        w[tolerance * threads] = rtol
        w[theta * threads] = threshold
    if thread == 1:
        w[tolerance * threads + 1] = atol


@cuda.jit
def run(patience, limit, count, lo, w, q, s, numbers, whole, plan_numbers, plan_whole, results):
    thread = cuda.grid(1)
    threads = cuda.gridsize(1)
    share = count // threads
    more = count % threads
    first = thread * share + min(thread, more)
    last = first + share + (1 if thread < more else 0)
    solve(patience, limit, first, last, lo, w, q, s, numbers, whole, plan_numbers, plan_whole, results)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What one method is to solve, as `pkpd.engine.predict` has it.

    Attributes
    ----------
    program, functions, schedule
    stored : int
        See `make_layout`.
    method, tableau, patience, limit
        What the solver is told.
    tolerances
        rtol and atol.
    arrays, switches
        Fields of `Batch`: arrays, results among them, in place; and numbers. The order of the subjects is rising.
    """

    program: Program
    functions: Functions
    schedule: Schedule
    stored: int
    method: int
    tableau: npt.NDArray[np.float64]
    tolerances: tuple[float, float]
    patience: int
    limit: int
    arrays: Mapping[str, npt.NDArray[Any]]
    switches: Mapping[str, int]

    def layout(self, more: int = 0) -> Layout:
        """Where things are in the work space of eight lanes, with room for so many more events and doses."""
        s = self.schedule
        return make_layout(
            self.functions.sizes, self.method, self.stored, s.most_events + more, s.most_doses + more, s.steady
        )


def check_device(device: str, where: str = "predict(device=...)") -> None:
    """Refuse a device that is not there.

    Raises
    ------
    UsageError
        The name is not known, numba-cuda is not installed, or there is no GPU that it can use.
    """
    if device not in DEVICES:
        hint = did_you_mean(device, DEVICES) if isinstance(device, str) else None
        raise UsageError(
            f"`{device}` is not a device.",
            where=where,
            expected=f"One of {', '.join(DEVICES)}.",
            remedy=f"Did you mean `{hint}`?" if hint else "Write cuda for an NVIDIA GPU, or leave it out.",
        )
    if device == "cpu" or _simulated():
        return
    if importlib.util.find_spec("numba_cuda") is None:
        raise UsageError(
            "numba-cuda is not installed.",
            where=where,
            expected="The extra `gpu`, with CUDA 12 or 13, whichever the driver is for.",
            remedy='Run `pip install "pkpd-timecourse[gpu]" "numba-cuda[cu12]"`, or leave out the device.',
        )
    cuda = _cuda()
    if not cuda.is_available():
        cause = " ".join(str(cuda.cuda_error() or "").split()).rstrip(" .:")
        raise UsageError(
            f"no GPU can be used{': ' + cause if cause else ''}.",
            where=where,
            expected="An NVIDIA GPU with its driver.",
            remedy="Look at what `nvidia-smi` says, or leave out the device.",
        )


def _cuda() -> Any:
    """Numba's CUDA, whose parts have few types; imported when a GPU is asked for."""
    from numba import cuda

    return cuda


def _simulated() -> bool:
    """Whether numba was told to run GPU code as Python, which is how it is tested."""
    from numba import config

    return bool(getattr(config, "ENABLE_CUDASIM", False))


def solve(problem: Problem) -> None:
    """Solve the subjects of a problem on the GPU; results go to its arrays."""
    from numba.core.errors import NumbaPerformanceWarning

    cuda = _cuda()
    kernels = _kernels(_known(problem), problem)
    blocks, block = _grid(problem)
    threads = blocks * block
    layout = problem.layout()
    w = cuda.device_array(layout.doubles // WIDTH * threads, np.float64)
    q = cuda.device_array(layout.integers // WIDTH * threads, np.int64)
    tables = np.array([getattr(layout, name) // WIDTH for name in kernels.numbers.tables] or [0], np.int64)
    lo = cuda.to_device(tables)
    theta = problem.functions.table["theta"]
    shared = (layout.tolerance // WIDTH, layout.theta // WIDTH, *problem.tolerances, theta)
    for piece in pieces(problem.schedule, problem.arrays, _SHARE_DATA * _free()):
        transfer = Transfer(cuda, problem.schedule, problem.arrays, piece, threads)
        told = (problem.patience, problem.limit, len(piece), lo, w, q, cuda.to_device(transfer.places))
        with warnings.catch_warnings():
            # numba warns of a grid that leaves a part of the GPU idle, as few subjects must.
            warnings.simplefilter("ignore", NumbaPerformanceWarning)
            kernels.clear[blocks, block](w, q, *shared)
            kernels.run[blocks, block](*told, *transfer.sent)
        transfer.take()
        # Room for the next.
        del transfer, told


# -- source and kernels ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Kernels:
    numbers: Numbers
    clear: Any
    run: Any


def _known(problem: Problem) -> tuple:
    """What the source depends on: not the parameters, nor how many doses and observations there are."""
    p = problem
    moving, steady = p.schedule.moving_covariates, p.schedule.steady
    return (p.functions.wrt, p.functions.exact, moving, p.method, p.stored, steady, tuple(p.switches.items()))


def _kernels(known: tuple, problem: Problem) -> _Kernels:
    kept = _kept(problem.program)
    if known not in kept:
        kept[known] = _compile(*source(problem), problem.tableau)
    return kept[known]


@lru_cache(maxsize=16)
def _kept(program: Program) -> dict[tuple, _Kernels]:
    """The kernels of a program so far."""
    return {}


def source(problem: Problem) -> tuple[Numbers, str]:
    """The source for the GPU, and what was known when it was written."""
    from pkpd.engine.lower import Lowered

    program, wrt = problem.program, problem.functions.wrt
    lowered = Lowered(
        program.model,
        program.observables,
        wrt,
        exact=problem.functions.exact,
        moving_covariates=problem.schedule.moving_covariates,
        occasions=program.occasions,
    )
    scalar: Any = Scalar()  # in place of vector code
    lowered.write(scalar)
    numbers = _numbers(problem)
    return numbers, retarget(numbers, str(scalar)) + "\n\n" + _KERNELS


def _numbers(problem: Problem) -> Numbers:
    """Split the layout: what stays the same for other events is a number, what does not is read from a table."""
    p, layout, other = problem, problem.layout(), problem.layout(more=1)._asdict()
    places = (*Layout._fields[Layout._fields.index("shape") :], "tail", "pair")
    same = {name: value for name, value in layout._asdict().items() if value == other[name]}
    return Numbers(
        constants={name: value for name, value in same.items() if name not in places},
        rows={name: value // WIDTH for name, value in same.items() if name in places},
        tables=tuple(name for name in places if name not in same),
        arrays=long_of(p.schedule, p.arrays),
        switches=dict(p.switches),
        method=p.method,
        steady=p.schedule.steady,
    )


def _compile(numbers: Numbers, text: str, tableau: npt.NDArray[np.float64]) -> _Kernels:
    """The kernels of a source; compiled when they are first launched."""
    cuda = _cuda()
    namespace: dict[str, Any] = {"cuda": cuda, "tableau": tableau, "math_nan": math.nan, "math_inf": math.inf}
    if _simulated():
        # NumPy's functions do not raise on what a GPU answers with NaN or infinity.
        namespace |= {f"math_{name}": getattr(np, name) for name in _MATH}
        namespace["device"] = lambda function: function
    else:
        from numba.cuda import libdevice

        namespace |= {f"math_{name}": getattr(math, name) for name in _MATH}
        # Those of `math` are whole numbers, which end at 2**63.
        namespace |= {"math_floor": libdevice.floor, "math_ceil": libdevice.ceil}
        namespace["device"] = cuda.jit(device=True)
    exec(compile(text, "<solver on a GPU>", "exec"), namespace)
    return _Kernels(numbers, namespace["clear"], namespace["run"])


# -- threads -----------------------------------------------------------------------------------------------------------
def _free() -> float:
    return float(_cuda().current_context().get_memory_info()[0])


def _grid(problem: Problem) -> tuple[int, int]:
    """Blocks, and threads of a block."""
    if _simulated():
        return 1, 2
    layout = problem.layout()
    words = (layout.doubles + layout.integers) // WIDTH
    most = min(
        _cuda().get_current_device().MULTIPROCESSOR_COUNT * _BLOCKS_EACH,
        int(_SHARE_WORK * _free() / (8.0 * words * _BLOCK)),
    )
    if most < 1:
        raise SolveError(
            f"the GPU has no room for the work space of {_BLOCK} subjects.",
            where='predict(device="cuda")',
            expected=f"At least {8.0 * words * _BLOCK / _SHARE_WORK / 1e9:.3g} GB of its memory to be free.",
            remedy="Leave out device, or give it fewer doses and observations for one subject.",
        )
    return min(most, -(-len(problem.arrays["order"]) // _BLOCK)), _BLOCK
