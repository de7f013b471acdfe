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


def test_two_processes_that_share_an_epochs_targets_resume_as_if_nothing_had_happened(train: Train) -> None:
    renewed: dict[str, object] = {"kind": "projection", "renew": "epoch"}
    train("resumed", renewed, epochs=1)
    resumed, whole = (train(name, renewed, epochs=2) for name in ("resumed", "whole"))
    ours, theirs = checkpoint(resumed), checkpoint(whole)
    images, expected = (state.pop("supervision._extra_state") for state in (ours, theirs))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert images.keys() == expected.keys()
    assert all(torch.equal(images[key], expected[key]) for key in images)
    logs = [pd.read_csv(run / "log.csv").drop(columns="seconds") for run in (resumed, whole)]
    pd.testing.assert_frame_equal(*logs)
