from __future__ import annotations

import logging
import math
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from shapewise.training.trainer import MovableCheckpoint, build_trainer, fit

FALLING = (1.0, 0.5, 0.3)


class Scored(pl.LightningModule):
    """Logs a score an epoch that was written down before."""

    def __init__(self, scores: Sequence[float] = FALLING) -> None:
        super().__init__()
        self.scores = scores
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch: torch.Tensor, batch_index: int) -> torch.Tensor:
        self.log("score", self.scores[self.current_epoch])
        return (self.weight * batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(
    folder: Path, epochs: int, scores: Sequence[float] = FALLING, mode: str = "max"
) -> MovableCheckpoint:
    best = MovableCheckpoint(
        folder, filename="best", monitor="score", mode=mode, enable_version_counter=False
    )
    last = MovableCheckpoint(folder, filename="last", enable_version_counter=False)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[best, last],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    resume = folder / "last.ckpt"
    batches = DataLoader(torch.ones(2, 1), num_workers=0)
    trainer.fit(Scored(scores), batches, ckpt_path=resume if resume.exists() else None, weights_only=True)
    return best


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_moved_run_keeps_its_best_epoch(tmp_path: Path) -> None:
    train(tmp_path / "here", 1)
    first = torch.load(tmp_path / "here" / "best.ckpt", weights_only=True)["state_dict"]["weight"]
    shutil.move(tmp_path / "here", tmp_path / "there")
    best = train(tmp_path / "there", 3)
    assert best.best_model_score is not None
    assert best.best_model_score.item() == 1.0
    again = torch.load(tmp_path / "there" / "best.ckpt", weights_only=True)["state_dict"]["weight"]
    assert torch.equal(first, again)


def test_checkpoints_of_older_code_are_remembered_by_the_same_name() -> None:
    assert MovableCheckpoint(monitor="score").state_key.startswith("MovableCheckpoint{'monitor': 'score'")


NAN = float("nan")
CHOSEN = {
    "the best": ((0.2, 0.7, 0.5), "max", 1),
    "the least": ((0.2, 0.1, 0.5), "min", 1),
    "of equals the later": ((0.7, 0.7, 0.5), "max", 1),
    "of equals the later, of the least too": ((0.5, 0.1, 0.1), "min", 2),
    "of nothing the last": ((0.0, 0.0, 0.0), "max", 2),
    "whatever is known": ((NAN, 0.1, NAN), "max", 1),
    "whatever is known, of the least too": ((NAN, 0.1, NAN), "min", 1),
    "of the unknown the last": ((NAN, NAN, NAN), "max", 2),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_the_epoch_that_is_kept(case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scores, mode, epoch = CHOSEN[case]
    with caplog.at_level(logging.WARNING, "shapewise"):
        train(tmp_path / "run", len(scores), scores, mode)
    assert torch.load(tmp_path / "run" / "best.ckpt", weights_only=True)["epoch"] == epoch
    told = [record for record in caplog.records if "no score" in record.getMessage()]
    assert len(told) == any(math.isnan(score) for score in scores)


class Watching(Scored):
    """Looks at who handles SIGTERM while it trains."""

    def training_step(self, batch: torch.Tensor, batch_index: int) -> torch.Tensor:
        self.handler = signal.getsignal(signal.SIGTERM)
        return super().training_step(batch, batch_index)

    def validation_step(self, batch: torch.Tensor, batch_index: int) -> None: ...


def test_sigterm_stays_with_whoever_handled_it_before(tmp_path: Path) -> None:
    """Lightning's own handler waits for the other processes, which may have been stopped as well."""

    def mine(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, mine)
    try:
        options = {"monitor": "score", "mode": "max", "max_epochs": 1, "accelerator": "cpu"}
        trainer = build_trainer(tmp_path / "checkpoints", tmp_path / "log.csv", **options)
        module, batches = Watching(), DataLoader(torch.ones(2, 1), num_workers=0)
        fit(trainer, module, batches, batches, None)
        assert module.handler is mine
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
