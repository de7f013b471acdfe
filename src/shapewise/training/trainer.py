"""The Lightning trainer of a run folder: where checkpoints and logs go, and what an interruption means."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy
from torch.utils.data import DataLoader

from shapewise.training.log import EpochLog
from shapewise.typing import Tensor

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


class MovableCheckpoint(ModelCheckpoint):
    """A checkpoint callback that remembers its best epoch when its folder has moved.

    Checkpoints hold what it remembers under the name of this class: another name would forget it. Of equally
    good epochs the later one is kept, which has learned for longer: the last one, where nothing can be told
    of any.
    """

    told = False

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Say whether an epoch is at least as good as the one kept; what is unknown is worse than any."""
        if current is not None and current.isnan() and not self.told and trainer.is_global_zero:
            self.told = True
            where = f"epoch {trainer.current_epoch + 1} has no {self.monitor}"
            logger.warning("%s: nothing says how good it is, and of such epochs the last is kept", where)
        if current is None or not self.best_k_models:
            return super().check_monitor_top_k(trainer, current)
        least = float("inf" if self.mode == "min" else "-inf")
        now, kept = current.nan_to_num(least), self.best_k_models[self.kth_best_model_path]
        worse = now > kept if self.mode == "min" else now < kept
        return trainer.strategy.reduce_boolean_decision(not worse)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Read the state as if it had been written into this folder."""

        def here(path: str) -> str:
            return str(Path(str(self.dirpath), Path(path).name)) if path else path

        moved = {**state_dict, "dirpath": self.dirpath}
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            moved[name] = here(state_dict[name])
        moved["best_k_models"] = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(moved)


class OwnSigterm(pl.Callback):
    """Leaves SIGTERM to whoever handled it before.

    Lightning's handler waits for the other processes, which may have been stopped as well: `timeout` and
    batch systems tell all of them at once.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take Lightning's handler away, which it has just put in."""
        if callable(self.handler):
            signal.signal(signal.SIGTERM, self.handler)


def build_trainer(folder: Path, log: Path, *, monitor: str, mode: str, **options: Any) -> pl.Trainer:
    """Build the trainer of a run.

    Args:
        folder: takes `best.ckpt` and `last.ckpt`; TensorBoard's files go beside it.
        log: the CSV file that gets a row an epoch.
        monitor: the logged measure that names the best epoch.
        mode: `max` if more of it is better, else `min`.
        options: the trainer's own.
    """
    # At the end of an epoch, and not of its validation: a run is then resumed between two epochs.
    keep = partial(MovableCheckpoint, folder, enable_version_counter=False, save_on_train_epoch_end=True)
    terminal = sys.stderr.isatty()
    callbacks: list[pl.Callback] = [EpochLog(log, say=not terminal), OwnSigterm()]
    callbacks += [keep(filename="best", monitor=monitor, mode=mode), keep(filename="last")]
    if options.get("devices", 1) > 1:
        # Each process gathers for the augmented Lagrangian what its own images say.
        options["strategy"] = DDPStrategy(broadcast_buffers=False)
    return pl.Trainer(
        callbacks=[*callbacks, RichProgressBar()] if terminal else callbacks,
        enable_progress_bar=terminal,
        enable_model_summary=False,
        logger=TensorBoardLogger(str(folder.parent), name="tensorboard", version=""),
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        **options,
    )


def watched(batches: Sequence[Item], trainer: pl.Trainer) -> Iterator[Item]:
    """Go through something that takes its time before an epoch, with a bar beside the trainer's own."""
    progress = getattr(trainer.progress_bar_callback, "progress", None)
    if progress is None:
        yield from batches
        return
    task = progress.add_task("Projecting", total=len(batches))
    yield from progress.track(batches, task_id=task)
    progress.remove_task(task)


def fit(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    train: DataLoader[Any],
    validation: DataLoader[Any],
    resume_from: Path | None,
) -> None:
    """Train to the end, from a checkpoint if there is one; an interruption is a `KeyboardInterrupt`."""
    try:
        with quiet_writer():
            trainer.fit(module, train, validation, ckpt_path=resume_from, weights_only=True)
    except SystemExit as left:
        if isinstance(left.__context__, KeyboardInterrupt):  # what Lightning made this exit of
            raise left.__context__ from None
        raise


@contextmanager
def quiet_writer() -> Iterator[None]:
    """Print no traceback where TensorBoard's thread cannot write: whoever logs next is given its error."""
    before = threading.excepthook

    def hook(died: threading.ExceptHookArgs) -> None:
        writer = type(died.thread).__module__.startswith("tensorboard.")
        if not (writer and isinstance(died.exc_value, OSError)):
            before(died)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
