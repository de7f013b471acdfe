"""Training a run: started or resumed, recorded however it ends."""

from __future__ import annotations

import errno
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException

from shapewise.build.cases import build_split, build_study, build_table, load_plugins
from shapewise.build.fit import Fit, build_fit
from shapewise.config import Experiment
from shapewise.data.cases import Study
from shapewise.errors import ConfigError, RunError
from shapewise.evaluation.result_files import discard_results
from shapewise.progress import is_first_process
from shapewise.run_folder import RunFolder, discarded_on_error, taken
from shapewise.run_network import read_checkpoint
from shapewise.run_split import check_split, write_split
from shapewise.training.log import read_log
from shapewise.training.trainer import build_trainer, fit

logger = logging.getLogger(__name__)

DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""Errors of a disk, which do not say for which file."""


def train(experiment: Experiment, root: Path, out: Path, *, folder: Path = Path()) -> None:
    """Train a run to its end, or go on with one that was interrupted; see `shapewise.runs.train`."""
    load_plugins(experiment, folder)
    study = build_study(experiment, root)
    run = RunFolder(out)
    # The other processes of this training work in the folder that the first one has taken.
    with taken(out) if is_first_process() else nullcontext():
        with discarded_on_error(out):
            trainer, parts, resume_from = prepare(run, experiment, study, root, folder)
        if is_first_process() and len(read_log(run.log_file)) < experiment.training.epochs:
            discard_results(out)
        with recorded(run, trainer):
            fit(trainer, parts.module, parts.train, parts.validation, resume_from)


@contextmanager
def recorded(run: RunFolder, trainer: pl.Trainer) -> Iterator[None]:
    """Write down how long a training took and how far it came, however it ends; the first error is told."""

    def record() -> None:
        if trainer.is_global_zero:
            seconds = run.read_record().train_seconds + time.time() - started
            run.update_record(train_seconds=round(seconds, 1), epochs=trainer.current_epoch)

    def require_folder() -> None:
        if trainer.is_global_zero and not run.record_file.exists():
            found = "none: moved or removed; with its new place in --out the command resumes it"
            raise RunError(run.path, expected="the run folder of this training", found=found) from None

    started = time.time()
    try:
        yield
    except BaseException as error:
        require_folder()
        with suppress(RunError):
            record()
        if isinstance(error, OSError) and error.errno in DISK_TROUBLE:
            error.filename = error.filename or str(run.path)
        raise
    require_folder()
    record()


def prepare(
    run: RunFolder, experiment: Experiment, study: Study, root: Path, folder: Path
) -> tuple[pl.Trainer, Fit, Path | None]:
    """Start the run folder and build everything that a training needs."""
    split = build_split(experiment, study, run.split_file)
    if is_first_process():
        start(run, experiment, study, root, folder)
    table = build_table(experiment, study, split, run.table_file)
    parts = build_fit(experiment, study, split, table, cache=run.path.parent / ".shapewise-cache")
    return build_run_trainer(experiment, run, parts), parts, readable_checkpoint(run)


def start(run: RunFolder, experiment: Experiment, study: Study, root: Path, folder: Path) -> None:
    """Write down what a run is told, or check that a run to be resumed was told the same.

    Raises:
        RunError: it was told something else, or has more epochs behind it than it is now asked for.
        ConfigError: two plugins have one name, under which the run keeps its copies.
    """
    split = build_split(experiment, study, run.split_file)
    check_split(run, split)
    patients = {case.patient for case in study.cases}
    if unused := patients - {case.patient for cases in split.values() for case in cases}:
        logger.warning("data.split leaves %d of %d patients in no split", len(unused), len(patients))
    if (trained := len(read_log(run.log_file))) > (asked := experiment.training.epochs):
        expected = f"at least the {trained} epochs that it has behind it"
        found = f"training.epochs={asked} (choose another --out for a shorter training)"
        raise RunError(run.path, expected=expected, found=found)
    plugins = tuple(Path(plugin).name for plugin in experiment.plugins)
    if twice := [name for name in plugins if plugins.count(name) > 1]:
        raise ConfigError("plugins", expected="files of different names", found=f"two {twice[0]}")
    run.start(experiment.model_copy(update={"plugins": plugins}), data_root=root, classes=study.classes)
    for plugin, name in zip(experiment.plugins, plugins, strict=True):
        shutil.copyfile(folder / plugin, run.path / name)
    write_split(run, split)


def build_run_trainer(experiment: Experiment, run: RunFolder, parts: Fit) -> pl.Trainer:
    """Build the trainer; raises `ConfigError` for an accelerator or precision that is not to be had."""
    training = experiment.training
    try:
        return build_trainer(
            run.checkpoints,
            run.log_file,
            monitor=parts.monitor,
            mode=parts.mode,
            max_epochs=training.epochs,
            accelerator=training.accelerator,
            devices=training.devices,
            precision=training.precision,
            gradient_clip_val=training.gradient_clip or None,
        )
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError("training", expected="settings that this machine can run", found=error) from None


def readable_checkpoint(run: RunFolder) -> Path | None:
    """Find the checkpoint to resume from, None for a new run; raises `RunError` for a broken one."""
    path = run.checkpoints / "last.ckpt"
    if not path.exists():
        return None
    read_checkpoint(path)
    read_log(run.log_file)
    return path
