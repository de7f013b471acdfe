"""The compiled kernel: built by the machine's own compiler the first time it is wanted, then kept.

It needs a C++ compiler with OpenMP, on Linux. Without one, with ``SHAPEWISE_KERNEL=0`` in the environment,
or within `without_kernel`, everything is computed in plain PyTorch: the same numbers in more time. `kernel`
tells which it is.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from shapewise.descriptors.constant import constant

SOURCE = Path(__file__).with_name("cpp")
COMPILE = ("-O3", "-march=native", "-std=c++17", "-ffp-contract=fast", "-fPIC", "-fopenmp", "-c")
SWITCH = "SHAPEWISE_KERNEL"

_log = logging.getLogger(__name__)
_wanted = ContextVar("wanted", default=True)


# What torch.compile has compiled keeps to what it found.
@constant
def kernel() -> ctypes.CDLL | None:
    """The compiled kernel, or None where plain PyTorch is used; the first call may take some seconds.

    >>> kernel() is kernel()
    True
    """
    return None if switched_off() else _load()


@constant
def switched_off() -> bool:
    """Whether kernels are unwanted: by ``SHAPEWISE_KERNEL=0`` or within `without_kernel`.

    >>> with without_kernel():
    ...     print(switched_off())
    True
    """
    return os.environ.get(SWITCH) == "0" or not _wanted.get()


@contextmanager
def without_kernel() -> Iterator[None]:
    """Compute in plain PyTorch, to compare.

    >>> with without_kernel():
    ...     print(kernel())
    None
    """
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


@cache
def _load() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    names = dict.fromkeys((os.environ.get("CXX", "c++"), "c++", "g++"))
    failures = []
    for compiler in filter(None, map(shutil.which, names)):
        try:
            return _loaded(compiler, _kept())
        except (OSError, subprocess.SubprocessError) as error:
            failures.append(f"{compiler}: {_reason(error)}")
    said = "; ".join(failures) or "no C++ compiler"
    _log.log(logging.WARNING if failures else logging.INFO, "descriptors in plain PyTorch: %s", said)
    return None


def _loaded(compiler: str, kept: Path) -> ctypes.CDLL:
    """The library of this compiler: the one that is kept, or a new one where that is missing or damaged."""
    library = kept / _name(compiler)
    if library.exists():
        try:
            return ctypes.CDLL(str(library))
        except OSError as error:
            _log.info("built anew: %s", error)
    with _room_for(library) as wanted:
        _build(compiler, wanted)
        return ctypes.CDLL(str(wanted))


def _name(compiler: str) -> str:
    """A name for what this source, compiler and processor make."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=60).stdout
    sources = [path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.is_file()]
    parts = (*sources, version, " ".join(COMPILE).encode(), _processor().encode())
    return f"kernel-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:16]}.so"


def _build(compiler: str, library: Path) -> None:
    """Build the library; it appears whole or not at all."""
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        objects, shared = Path(scratch, "kernel.o"), Path(scratch, "kernel.so")
        _run(compiler, *COMPILE, str(SOURCE / "kernel.cpp"), "-o", str(objects))
        # Linked without OpenMP: PyTorch has brought its own, and a second one would fight with it.
        _run(compiler, "-shared", str(objects), "-o", str(shared))
        shared.replace(library)


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=True, timeout=300)


def _reason(error: Exception) -> str:
    """What went wrong, in a line: a compiler's own first words where it spoke."""
    spoken = getattr(error, "stderr", None) or b""
    return next(iter(spoken.decode(errors="replace").splitlines()), str(error))


def _kept() -> Path:
    """Where libraries are kept for the next process."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "shapewise"


@contextmanager
def _room_for(library: Path) -> Iterator[Path]:
    """Where to build the library: where it is kept, or else in a folder that is gone once it is loaded."""
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(library.parent, os.W_OK)
    except OSError:
        writable = False
    if writable:
        yield library
        return
    with tempfile.TemporaryDirectory(prefix="shapewise-") as folder:
        yield Path(folder) / library.name


def _processor() -> str:
    """What the compiler's ``native`` stands for: homes are shared between machines."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = ("model name", "flags", "Features", "CPU part")
    return "\n".join([platform.machine(), *dict.fromkeys(line for line in lines if line.startswith(names))])
