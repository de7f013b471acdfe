"""Trainings of two processes, as on two devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this PyTorch has no distributed package"
)

Train = Callable[..., Path]


@pytest.fixture
def train(
    phantom: Path, tmp_path: Path, experiment_file: Callable[..., Path], shell: Callable[..., Any]
) -> Train:
    """Trains `supervision` for some epochs with two processes, and returns the run folder."""

    def run(name: str, supervision: dict[str, object], epochs: int) -> Path:
        settings = ["training.devices=2", f"training.epochs={epochs}"]
        arguments = [experiment_file(supervision=supervision), *settings, "--data", phantom]
        done = shell("train", *arguments, "--out", tmp_path / name)
        assert (done.returncode, done.stderr) == (0, "")
        return tmp_path / name

    return run


def checkpoint(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return state


def test_two_processes_project_each_its_share(train: Train) -> None:
    run = train("run", {"kind": "projection"}, epochs=2)
    log = pd.read_csv(run / "log.csv")
    assert list(log["epoch"]) == [0, 1]
    assert log[["train_loss", "train_converged", "val_dice"]].notna().all(axis=None)
    images = checkpoint(run)["supervision._extra_state"]
    assert sorted(images) == list(range(len(images)))
