"""How much room a simulation takes, and how much there is."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from pkpd.errors import DataError, UsageError
from pkpd.simulation.setting import Setting

_SHARE = 0.5  # of the memory that a result may take: what is asked of it later needs room as well
_STREAM = (
    'Have it written to a file while it is computed: to="sim.zarr" or "sim.nc" (`--to` on the command line). Or take '
    "fewer subjects, draws or times."
)
_CONTROL_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def result_bytes(setting: Setting) -> int:
    """Give the size of the result: the values, and the individual parameters."""
    sizes = [shape for _, shape, _ in setting.variables().values()]
    total = 0
    for shape in sizes:
        numbers = 1
        for length in shape:
            numbers *= length
        total += 8 * numbers
    return total


def machine_memory() -> int | None:
    """Give the memory that this process may use, in bytes; None where nobody knows.

    That of the machine, or of the container (control group) that holds the process, if this is less.
    """
    found = [_physical_memory()]
    for place in _CONTROL_GROUPS:
        try:
            text = Path(place).read_text(encoding="ascii").strip()
        except OSError:
            continue
        found.append(int(text) if text.isdigit() else None)
    return min((size for size in found if size), default=None)


def _physical_memory() -> int | None:
    if sys.platform == "win32":
        return _windows_memory()
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _windows_memory() -> int | None:
    import ctypes

    size = ctypes.c_ulonglong(0)
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - there is no such name on other systems
    return size.value * 1024 if kernel.GetPhysicallyInstalledSystemMemory(ctypes.byref(size)) else None


def check_memory(setting: Setting, where: str = "simulate()", remedy: str = _STREAM) -> None:
    """Refuse a result that would take more than half of the memory.

    Parameters
    ----------
    setting : Setting
    where, remedy : str
        What wants it in memory, and what to do instead.

    Raises
    ------
    UsageError
        The message says how large it would be, and how to have it all the same.
    """
    needed, there = result_bytes(setting), machine_memory()
    if there is None or needed <= _SHARE * there:
        return
    raise UsageError(
        f"This simulation would take {readable(needed)} of memory: {_factors(setting)}.",
        where=where,
        expected=f"At most {readable(_SHARE * there)}, half of the memory that there is.",
        remedy=remedy,
    )


def check_disk(setting: Setting, path: Path) -> None:
    """Refuse a file that the disk has no room for.

    Raises
    ------
    DataError
        The folder is not there, or its disk is too full.
    """
    needed = result_bytes(setting)
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise DataError(
            f"There is no folder {path.parent}.",
            where=str(path),
            expected="A folder that exists.",
            remedy="Make it, or choose another.",
        ) from error
    if needed > free:
        raise DataError(
            f"This simulation would take {readable(needed)}: {_factors(setting)}.",
            where=str(path),
            expected=f"At most what the disk has left, {readable(free)}.",
            remedy="Choose a folder on a larger disk, or take fewer subjects, draws or times.",
        )


def readable(size: float) -> str:
    """Give a number of bytes in words: ``1.2 GB``."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:,.3g} {unit}" if size < 1e15 else f"{size / factor:,.0f} {unit}"
    return f"{size / 1e3:.3g} kB"


def _factors(setting: Setting) -> str:
    arms, draws, subjects, times = setting.shape
    parts = (
        (subjects, "subjects"),
        (draws, "draws"),
        (times, "times"),
        (arms, "arms"),
        (len(setting.names), "outputs"),
    )
    return " x ".join(f"{count:,} {what if count != 1 else what[:-1]}" for count, what in parts)
