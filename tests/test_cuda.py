"""The same answers on a GPU as on the CPU, and trainings there in every precision."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from shapewise.descriptors import describe_together, names
from shapewise.losses import ShapeConstraintLoss

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

DESCRIPTORS = ("volume", "centroid", "spread", "covariance", "length")


def logits(dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(4, 4, 48, 40, generator=generator)
    random[0, 1] = -1e4  # an absent class
    random[1, 2] = 1e4  # a full one
    return random.to(dtype)


def target() -> dict[str, Tensor]:
    mask = torch.zeros(4, 3, 48, 40)
    mask[:, 0, 5:20, 5:20], mask[:, 1, 22:40, 10:30], mask[1:, 2, 2:9, 25:38] = 1, 1, 1
    return describe_together(mask, DESCRIPTORS)


def value_and_gradient(loss: ShapeConstraintLoss, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    given = logits(dtype).to(device).requires_grad_()
    value = loss.to(device)(given, target())
    value.backward()
    assert given.grad is not None
    return value.detach().cpu(), given.grad.cpu()


@pytest.mark.parametrize("name", names())
def test_descriptors_agree(name: str) -> None:
    probs = logits().softmax(1)
    here = describe_together(probs, [name])[name]
    there = describe_together(probs.cuda(), [name])[name].cpu()
    torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", ["relative", "logarithmic", "raw"])
def test_losses_and_gradients_agree(scale: str, dtype: torch.dtype) -> None:
    loss = ShapeConstraintLoss(DESCRIPTORS, softmax=True, residual_scale=scale)  # type: ignore[arg-type]
    here, there = (value_and_gradient(loss, device, dtype) for device in ("cpu", "cuda"))
    torch.testing.assert_close(there, here, rtol=2e-3 if dtype == torch.float32 else 2e-2, atol=1e-4)
    assert there[1].isfinite().all()


def test_autocast_changes_nothing() -> None:
    loss = ShapeConstraintLoss(DESCRIPTORS, softmax=True).cuda()
    plain = loss(logits().cuda(), target())
    with torch.autocast("cuda", dtype=torch.float16):
        torch.testing.assert_close(loss(logits().cuda(), target()), plain)


def test_a_compiled_loss_agrees() -> None:
    loss = ShapeConstraintLoss(DESCRIPTORS, softmax=True).cuda()
    compiled = torch.compile(loss)
    torch.testing.assert_close(
        compiled(logits().cuda(), target()), loss(logits().cuda(), target()), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("precision", ["32-true", "16-mixed", "bf16-mixed"])
@pytest.mark.parametrize("supervision", ["pixels", "barrier"])
def test_trainings_run(
    precision: str,
    supervision: str,
    phantom: Path,
    tmp_path: Path,
    experiment_file: Callable[..., Path],
) -> None:
    training = {"epochs": 2, "learning_rate": 2e-3, "accelerator": "gpu", "precision": precision}
    experiment = experiment_file(supervision=supervision, training=training)
    run = tmp_path / "run"
    for command in (["train", experiment, "--data", phantom, "--out", run], ["evaluate", run]):
        done = subprocess.run(
            [sys.executable, "-m", "shapewise", *map(str, command)], capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
    assert pd.read_csv(run / "log.csv")["train_loss"].notna().all()
    assert pd.read_csv(run / "metrics.csv")["dice"].between(0, 1).all()
