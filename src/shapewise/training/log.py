"""One row an epoch in `log.csv`, for people and for the figures."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytorch_lightning as pl

from shapewise.errors import RunError
from shapewise.whole_file import whole_file


class EpochLog(pl.Callback):
    """Keeps `log.csv` up to date: whole after every epoch, and cut back to the checkpoint on resuming.

    Args:
        path: the file.
        say: print a line an epoch, for where no progress bar is shown.
    """

    def __init__(self, path: Path, *, say: bool = False) -> None:
        self.path = path
        self.say = say
        self.started = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Add the epoch's row; validation has run by then."""
        # Reading them waits for the other processes of a distributed run: all of them have to.
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not trainer.is_global_zero:
            return
        row = {"epoch": trainer.current_epoch, "seconds": time.perf_counter() - self.started, **metrics}
        earlier = read_log(self.path)
        earlier = earlier[earlier["epoch"] < trainer.current_epoch]
        log = pd.concat([earlier, pd.DataFrame([row])]) if len(earlier) else pd.DataFrame([row])
        with whole_file(self.path, RunError) as unfinished:
            log.astype({"epoch": int}).to_csv(unfinished, index=False)
        if self.say:
            print(describe_epoch(row, trainer.max_epochs), flush=True)


def read_log(path: Path) -> pd.DataFrame:
    """Read the rows of earlier epochs, none where there is no log; raises `RunError` for a broken one."""
    if not path.exists():
        return pd.DataFrame({"epoch": []})
    try:
        log = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise RunError(path, expected="a table with a row an epoch", found=error) from None
    if "epoch" not in log or not pd.api.types.is_numeric_dtype(log["epoch"]):
        raise RunError(path, expected="numbers in a column epoch", found=list(log.columns))
    return log


def describe_epoch(row: dict[str, float], epochs: int | None) -> str:
    """Put an epoch in a line.

    >>> describe_epoch({"epoch": 0, "seconds": 1.25, "train_loss": 0.5, "val_dice": 0.75}, 10)
    'epoch 1/10  1.2 s  train_loss 0.5000  val_dice 0.7500'
    """
    shown = [name for name in ("train_loss", "val_dice", "val_satisfied") if name in row]
    parts = [f"epoch {int(row['epoch']) + 1}/{epochs}", f"{row['seconds']:.1f} s"]
    return "  ".join(parts + [f"{name} {row[name]:.4f}" for name in shown])
