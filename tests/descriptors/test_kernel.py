"""The kernel is built once and kept; where it cannot be built, plain PyTorch computes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shapewise.descriptors import kernel as room

needs_compiler = pytest.mark.skipif(room.kernel() is None, reason="no C++ compiler here")


@needs_compiler
def test_it_is_built_once_and_kept(tmp_path: Path) -> None:
    compiler = shutil.which("c++")
    assert compiler is not None
    room._loaded(compiler, tmp_path)
    (library,) = tmp_path.iterdir()
    built = library.stat().st_mtime_ns
    room._loaded(compiler, tmp_path)
    assert library.stat().st_mtime_ns == built
    assert list(tmp_path.iterdir()) == [library]


@needs_compiler
def test_a_damaged_one_is_built_anew(tmp_path: Path) -> None:
    compiler = shutil.which("c++")
    assert compiler is not None
    (tmp_path / room._name(compiler)).touch()
    assert room._loaded(compiler, tmp_path).forward_float is not None


@needs_compiler
def test_where_nothing_can_be_kept_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = shutil.which("c++")
    assert compiler is not None
    (tmp_path / "file").touch()
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(room.tempfile, "tempdir", str(tmp_path / "scratch"))
    assert room._loaded(compiler, tmp_path / "file").forward_float is not None
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does for a user it does not know
    assert room._kept() == Path("~/.cache/shapewise")


BROKEN = """
import logging, torch
logging.basicConfig(level=logging.INFO)
from shapewise.descriptors import describe_together
from shapewise.descriptors.kernel import kernel
assert kernel() is None
assert describe_together(torch.ones(1, 1, 4, 4), ["volume"])["volume"].item() == 16
"""


def test_a_compiler_that_fails_says_so(tmp_path: Path) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho out of order >&2\nexit 1\n")
    compiler.chmod(0o755)
    alone = {"PYTHONPATH": ":".join(sys.path), "PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", BROKEN], env=alone, capture_output=True, encoding="utf-8", timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert f"descriptors in plain PyTorch: {compiler}: " in done.stderr
