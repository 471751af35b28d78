"""A bench made ready: the same subjects for the package and for the peer, timed and compared with a tight reference."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pkpd import Model, engine
from pkpd.data import Dose, Events, Regimen
from pkpd.errors import PkpdError
from tests.benchmarks.models import Bench
from tests.benchmarks.peer import Peer, compile_peer
from tests.benchmarks.source import write_equations

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Setting:
    """A method and its tolerances; `atol` None: the method's own rule."""

    method: str
    rtol: float
    atol: float | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.rtol:.0e}" + (f"/{self.atol:.0e}" if self.atol is not None else "")

    @property
    def is_peer(self) -> bool:
        """Whether LSODA is meant, with all or only with the non-zero sensitivity equations."""
        return self.method.startswith("lsoda")


@dataclass(frozen=True, slots=True)
class Row:
    """One point of a work-precision diagram.

    Attributes
    ----------
    cpu : float
        CPU seconds of the process, for all subjects.
    error : float
        See `true_error`; infinite if a subject failed.
    chosen : str
        What the method made of itself.
    """

    setting: Setting
    cpu: float
    error: float
    failures: int
    chosen: str

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "method": self.setting.method,
            "rtol": self.setting.rtol,
            "atol": self.setting.atol,
            "cpu": round(self.cpu, 5),
            "error": float(f"{self.error:.3g}") if np.isfinite(self.error) else None,
            "failures": self.failures,
            "chosen": self.chosen,
        }


def true_error(found: Floats, reference: Floats) -> float:
    """The largest error of any subject, time and output, relative to ``|reference| + 0.1 %`` of the subject's largest.

    Parameters
    ----------
    found, reference : (subjects, times, outputs) arrays
    """
    if not np.all(np.isfinite(found)):
        return float("inf")
    scale = np.abs(reference)
    scale = scale + 1e-3 * scale.max(axis=1, keepdims=True)
    gap = np.abs(found - reference)
    # An output that is zero at all times, as a derivative may be, must be found to be exactly that.
    return float(np.max(np.divide(gap, scale, out=np.where(gap > 0, np.inf, 0.0), where=scale > 0)))


class Stage:
    """A bench with its subjects.

    Parameters
    ----------
    bench
    subjects
        How many.
    peer
        A peer that is compiled already, of a bench with the same equations.
    """

    def __init__(self, bench: Bench, subjects: int, peer: Peer | None = None) -> None:
        self.bench, self.subjects = bench, subjects
        model = Model(bench.text)
        self.program = engine.compile_model(model)
        self.names = self.program.parameters
        typical = np.array([parameter.typical for parameter in model.parameters.values()])
        self.values = bench.values(self.names, typical, subjects)
        doses = (Dose(amount, time=at, over=over or None, route=bench.route) for at, amount, over in bench.doses)
        one = Events.from_regimens([("1", Regimen(tuple(doses)), bench.times, {})], time_unit="h")
        self.schedule = engine.bind(self.program, one.take(np.zeros(subjects, int)))
        self._peers = {"lsoda": peer} if peer else {}

    def peer(self, method: str = "lsoda") -> Peer:
        """LSODA for this bench; compiled at its first use."""
        if method not in self._peers:
            lean = method == "lsoda-lean"
            equations = write_equations(self.bench.system, self.names, self.bench.wrt, skip_zeros=lean)
            self._peers[method] = compile_peer(equations)
            self._peers[method].solve(self.bench.plan, self.values[:1], rtol=1e-3, atol=1e-3)
        return self._peers[method]

    def ours(
        self, setting: Setting, threads: int = 1, max_steps: int = 100_000
    ) -> tuple[Floats, float, engine.Prediction]:
        """The package's answer (subjects, times, outputs and their derivatives), CPU seconds, and all it says."""
        begin = time.process_time()
        answer = engine.predict(
            self.program,
            self.schedule,
            self.values,
            sensitivities=self.bench.wrt or False,
            rtol=setting.rtol,
            atol=setting.atol,
            threads=threads,
            method=setting.method,
            max_steps=max_steps,
        )
        cpu = time.process_time() - begin
        shape = (self.subjects, len(self.bench.times), -1)
        f = answer.f.reshape(shape)
        found = f if answer.df is None else np.concatenate([f, answer.df.reshape(shape)], axis=2)
        return found, cpu, answer

    def run(self, setting: Setting) -> tuple[Floats, float, int, str]:
        """Answer, CPU seconds of the solver alone, failures, and what the method made of itself."""
        if setting.is_peer:
            peer = self.peer(setting.method)
            begin = time.process_time()
            found, counts = peer.solve(self.bench.plan, self.values, rtol=setting.rtol, atol=setting.atol or 0.0)
            cpu = time.process_time() - begin
            return found, cpu, int(counts[:, 3].sum()), f"{counts[:, 0].mean():.0f} steps"
        found, cpu, answer = self.ours(setting)
        return found, cpu, len(answer.failures), ", ".join(sorted(set(answer.method.tolist())))

    @cached_property
    def reference(self) -> Floats:
        """A tight answer: the package's own general path at 1e-12, with which the peer's at 1e-12 is compared."""
        method = "rosenbrock" if self.bench.name == "stiff" else "explicit"
        found, _, answer = self.ours(Setting(method, 1e-12), max_steps=10_000_000)
        answer.raise_failures()
        return found

    @cached_property
    def agreement(self) -> float:
        """How far the peer at 1e-12 is from the reference: errors below it mean nothing."""
        found, _, _, _ = self.run(Setting("lsoda", 1e-12, 1e-14))
        return true_error(found, self.reference)

    def measure(self, setting: Setting) -> Row:
        """One run, timed and compared."""
        found, cpu, failures, chosen = self.run(setting)
        return Row(setting, cpu, true_error(found, self.reference), failures, chosen)

    def knows(self, method: str) -> bool:
        """Whether the engine offers a method for this model."""
        try:
            engine.predict(self.program, self.schedule, self.values, rtol=1e-2, threads=1, method=method)
        except PkpdError:
            return False
        return True
