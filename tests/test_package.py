"""What a bare installation can do: the mathematics needs torch and numpy, the commands say what they need."""

from __future__ import annotations

import subprocess
import sys

import pytest

APP = (
    "matplotlib",
    "monai",
    "pandas",
    "pydantic",
    "pytorch_lightning",
    "rich",
    "scipy",
    "SimpleITK",
    "tensorboard",
    "typer",
    "yaml",
)
HIDE = f"import sys; sys.modules.update(dict.fromkeys({APP!r})); "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HIDE + code], capture_output=True, encoding="utf-8", timeout=120
    )


@pytest.mark.parametrize("room", ["shapewise", "shapewise.losses", "shapewise.networks.registry"])
def test_the_library_needs_torch_and_numpy_only(room: str) -> None:
    done = run(f"import {room}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("room", "slow"),
    [
        ("shapewise.cli", "torch"),
        ("shapewise.cli", "pandas"),
        ("shapewise.losses", "torch._dynamo"),
        ("shapewise.runs", "pytorch_lightning"),
        ("shapewise.annotate.session", "pytorch_lightning"),
        ("shapewise.plots", "pytorch_lightning"),
    ],
)
def test_nobody_waits_for_what_takes_seconds_to_load_before_it_is_needed(room: str, slow: str) -> None:
    code = f"import sys, {room}; sys.exit({slow!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_the_commands_name_what_is_missing() -> None:
    done = run("from shapewise.__main__ import main; main()")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert "pip install '.[app]' in shapewise's folder" in done.stderr


def test_the_loss_works_in_three_lines_without_the_app() -> None:
    done = run(
        "import torch; from shapewise import ShapeConstraintLoss; "
        "logits = torch.zeros(1, 2, 8, 8, requires_grad=True); mask = torch.zeros(1, 8, 8).long(); "
        "mask[:, 2:5, 2:5] = 1; ShapeConstraintLoss(softmax=True)(logits, mask).backward(); "
        "assert logits.grad.isfinite().all() and logits.grad.abs().sum() > 0"
    )
    assert done.returncode == 0, done.stderr


def test_the_public_names_are_there_when_they_are_asked_for() -> None:
    done = run(
        "import shapewise; assert 'torch' not in sys.modules; "
        "assert all(getattr(shapewise, name) is not None for name in shapewise.__all__); "
        "assert not hasattr(shapewise, 'other')"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("loss", ["ShapeConstraintLoss", "MomentProjectionLoss"])
@pytest.mark.parametrize("target", ["None", "[1]"])
def test_a_target_that_is_no_tensor_is_named(loss: str, target: str) -> None:
    done = run(
        f"import torch; from shapewise import {loss}; "
        f"{loss}(['volume'], softmax=True)(torch.zeros(1, 2, 8, 8), {target})"
    )
    assert "ArgumentError: Expected argument `target` to be" in done.stderr


def test_a_spacing_that_is_one_number_is_named() -> None:
    done = run("from shapewise import ShapeConstraintLoss; ShapeConstraintLoss(spacing=2.0)")
    assert "ArgumentError: Expected argument `spacing` to be a number for each axis" in done.stderr
