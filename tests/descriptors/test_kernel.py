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
    library = room._built(compiler, tmp_path)
    built = library.stat().st_mtime_ns
    assert room._built(compiler, tmp_path) == library
    assert library.stat().st_mtime_ns == built
    assert list(tmp_path.iterdir()) == [library]


def test_a_folder_of_its_own_where_the_usual_one_is_not_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert room._folder() == tmp_path / "shapewise"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    other = room._folder()
    assert other.is_dir()
    assert tmp_path not in other.parents
    other.rmdir()


BROKEN = """
import logging, torch
logging.basicConfig(level=logging.INFO)
from shapewise.descriptors import describe_together
from shapewise.descriptors.kernel import kernel
assert kernel() is None
assert describe_together(torch.ones(1, 1, 4, 4), ["volume"])["volume"].item() == 16
"""


def test_a_compiler_that_fails_says_so_in_the_log(tmp_path: Path) -> None:
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    inherited = {"PYTHONPATH": ":".join(sys.path), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [sys.executable, "-c", BROKEN]
    done = subprocess.run(
        command, env=inherited | {"CXX": str(compiler)}, capture_output=True, encoding="utf-8", timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "computed in plain PyTorch" in done.stderr
