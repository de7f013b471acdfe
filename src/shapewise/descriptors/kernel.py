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

SOURCE = Path(__file__).with_name("cpp")
COMPILE = ("-O3", "-march=native", "-std=c++17", "-ffp-contract=fast", "-fPIC", "-fopenmp", "-c")
SWITCH = "SHAPEWISE_KERNEL"

_log = logging.getLogger(__name__)
_wanted = ContextVar("wanted", default=True)


def kernel() -> ctypes.CDLL | None:
    """The compiled kernel, or None where plain PyTorch is used; the first call may take some seconds.

    >>> kernel() is kernel()
    True
    """
    return _load() if _wanted.get() else None


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
    if os.environ.get(SWITCH) == "0" or not sys.platform.startswith("linux"):
        return None
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), None)
    if compiler is None:
        _log.info("no C++ compiler: descriptors are computed in plain PyTorch")
        return None
    try:
        return ctypes.CDLL(str(_built(compiler, _folder())))
    except (OSError, subprocess.SubprocessError) as error:
        _log.info("no compiled kernel, descriptors are computed in plain PyTorch: %s", error)
        return None


def _built(compiler: str, folder: Path) -> Path:
    """The library for this source, compiler and processor, built unless it is there already."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=60).stdout
    sources = [path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.is_file()]
    parts = (*sources, version, " ".join(COMPILE).encode(), _processor().encode())
    library = folder / f"kernel-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:16]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            objects, shared = Path(scratch, "kernel.o"), Path(scratch, "kernel.so")
            _run(compiler, *COMPILE, str(SOURCE / "kernel.cpp"), "-o", str(objects))
            # Linked without OpenMP: PyTorch has brought its own, and a second one would fight with it.
            _run(compiler, "-shared", str(objects), "-o", str(shared))
            shared.replace(library)
    return library


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=True, timeout=300)


def _folder() -> Path:
    """Where libraries are kept for the next process; a folder of this process alone if that is not to be."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shapewise"
    try:
        kept.mkdir(parents=True, exist_ok=True)
        if os.access(kept, os.W_OK):
            return kept
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="shapewise-"))


def _processor() -> str:
    """What the compiler's ``native`` stands for: homes are shared between machines."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = ("model name", "flags", "Features", "CPU part")
    return "\n".join([platform.machine(), *dict.fromkeys(line for line in lines if line.startswith(names))])
