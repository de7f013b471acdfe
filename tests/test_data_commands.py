"""The commands that make data and numbers: `phantom` and `describe`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def patient(phantom: Path, tmp_path: Path) -> Path:
    """A study of one patient, to be changed at will."""
    shutil.copytree(phantom / "training" / "patient001", tmp_path / "study" / "training" / "patient001")
    return tmp_path / "study"


def contents(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_phantom_may_be_asked_for_again(command: Command, tmp_path: Path) -> None:
    first = command("phantom", tmp_path / "data", "--patients", 1)
    before = contents(tmp_path)
    assert first == command("phantom", tmp_path / "data", "--patients", 1)
    assert first[0] == 0
    assert contents(tmp_path) == before
    status, _, errors = command("phantom", tmp_path / "data", "--patients", 1, "--seed", 1)
    assert status == 2
    assert errors.endswith("which holds a phantom of patients 1, scanner A, seed 0\n")
    assert contents(tmp_path) == before


def test_phantom_help_says_that_nothing_is_replaced(command: Command) -> None:
    assert "nothing is replaced" in " ".join(command("phantom", "--help")[1].split())


PLUGIN = """
from shapewise.descriptors import register, volume

@register({name!r}, unit_power=lambda ndim: ndim)
def described(probs, *, spacing=None):
    return {value}
"""


def plugin(path: Path, name: str, value: str = "2 * volume(probs, spacing=spacing)") -> Path:
    path.write_text(PLUGIN.format(name=name, value=value))
    return path


def test_describe_with_plugins(command: Command, patient: Path, tmp_path: Path) -> None:
    two, three = (plugin(tmp_path / f"{name}.py", name) for name in ("doubled_a", "doubled_b"))
    names = "volume,doubled_a,doubled_b"
    out = tmp_path / "table.csv"
    done = command(
        "describe", patient, "--out", out, "--descriptors", names, "--plugin", two, "--plugin", three
    )
    assert done[0] == 0, done
    table = pd.read_csv(out).pivot_table("value", ["frame", "slice", "class"], "descriptor").dropna()
    assert (table["doubled_a"] == 2 * table["volume"]).all()
    assert (table["doubled_b"] == 2 * table["volume"]).all()


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (None, "expected an existing Python file"),
        ("raise SystemExit('bye')", "mine.py: expected a Python file that runs"),
        ("def broken(:", "mine.py: expected a Python file that runs"),
        (PLUGIN.format(name="fails", value="probs.nothing"), "to be a descriptor that works"),
        (PLUGIN.format(name="shapeless", value="probs"), "to be values (1, 3, 1)"),
        (PLUGIN.format(name="no_tensor", value="None"), "to be values (1, 3, 1)"),
    ],
)
def test_describe_with_a_broken_plugin(
    command: Command, patient: Path, tmp_path: Path, code: str | None, hint: str
) -> None:
    if code is not None:
        (tmp_path / "mine.py").write_text(code)
    names = next((name for name in ("fails", "shapeless", "no_tensor") if name in (code or "")), "volume")
    out = tmp_path / "table.csv"
    status, _, errors = command(
        "describe", patient, "--out", out, "--plugin", tmp_path / "mine.py", "--descriptors", names
    )
    assert status == 2
    assert hint in errors
    assert len(errors.splitlines()) == 1
    assert not out.exists()
