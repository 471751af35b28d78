"""Machine code: made from LLVM text, kept in the user's cache directory, loaded without recompiling.

A cached file holds a checksum, a small table and the object code. Its name is the hash of everything the code depends
on: the text or model it was made from, this package's generators, the LLVM version and the processor. A file that is
truncated, foreign or unreadable is ignored and made anew; a directory that cannot be written costs a compilation,
never an error. Files are put in place in one step, so that processes can share the directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

_MAGIC = b"pkpd-code-1\n"


class Code:
    """Functions in memory, ready to be called by address."""

    def __init__(self, table: dict[str, Any], objects: bytes) -> None:
        self.table = table
        module = llvm.parse_assembly("")
        self._engine = llvm.create_mcjit_compiler(module, _target())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(objects))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """The address of a function."""
        return self._engine.get_function_address(name)


def obtain(
    key: Iterable[str], sources: tuple[str, ...], make: Callable[[], tuple[dict[str, Any], str, tuple[str, ...]]]
) -> Code:
    """Give the code for `key`, from the cache or by making it.

    Parameters
    ----------
    key
        What the code is made from.
    sources
        Modules of this package that take part in making it.
    make
        Called if there is nothing in the cache: returns a table to keep with the code, LLVM text, and the names of
        the functions that will be called.
    """
    path = _path(key, sources)
    found = _read(path)
    if found is None:
        table, text, names = make()
        found = table, _emit(text, names)
        _write(path, *found)
    return Code(*found)


def _target() -> llvm.TargetMachine:
    """Make the target anew each time: an engine takes possession of the one it is given."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, reloc="default", codemodel="jitdefault"
    )


def _emit(text: str, names: tuple[str, ...]) -> bytes:
    """Optimise LLVM text and turn it into object code in which only `names` can be seen."""
    target = _target()
    module = llvm.parse_assembly(text)
    module.verify()
    for item in [*module.functions, *module.global_variables]:
        if not item.is_declaration and item.name not in names:
            item.linkage = "internal"
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(target, options)
    manager = builder.getModulePassManager()
    manager.run(module, builder)
    return target.emit_object(module)


def directory() -> Path:
    """Where the code is kept: ``PKPD_CACHE_DIR``, else the user's cache directory."""
    chosen = os.environ.get("PKPD_CACHE_DIR")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("pkpd", appauthor=False))


@cache
def _fingerprint(sources: tuple[str, ...]) -> str:
    """What code depends on besides its key: how it is made, and for which machine."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for name in (*sources, "workspace", "machine"):
        digest.update((here / f"{name}.py").read_bytes())
    digest.update(repr((llvm.llvm_version_info, llvm.get_host_cpu_name(), sys.byteorder)).encode())
    digest.update(llvm.get_host_cpu_features().flatten().encode())
    return digest.hexdigest()


def _path(key: Iterable[str], sources: tuple[str, ...]) -> Path:
    digest = hashlib.sha256("\0".join([_fingerprint(sources), *key]).encode()).hexdigest()
    return directory() / f"{digest[:40]}.code"


def _read(path: Path) -> tuple[dict[str, Any], bytes] | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + 32
    body = content[start:]
    if content[: len(_MAGIC)] != _MAGIC or content[len(_MAGIC) : start] != hashlib.sha256(body).digest():
        return None
    length = int.from_bytes(body[:8], "little")
    return json.loads(body[8 : 8 + length]), body[8 + length :]


def _write(path: Path, table: dict[str, Any], objects: bytes) -> None:
    head = json.dumps(table).encode()
    body = len(head).to_bytes(8, "little") + head + objects
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(body).digest() + body)
            os.replace(name, path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
