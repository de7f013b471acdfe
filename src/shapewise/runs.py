"""What the commands do, as functions that a notebook can call: train, evaluate, predict."""

from __future__ import annotations

import errno
import logging
import pickle
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pandas as pd
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import nn

from shapewise.build import (
    Fit,
    build_experiment_network,
    build_fit,
    build_preprocessing,
    build_split,
    build_study,
    build_table,
    load_plugins,
)
from shapewise.config import Experiment
from shapewise.data.cases import Study
from shapewise.data.images import PLACEHOLDER, read_image
from shapewise.data.splits import read_split_table
from shapewise.data.table import read_table
from shapewise.errors import ConfigError, DataError, RunError
from shapewise.evaluation.evaluate import evaluate_cases
from shapewise.evaluation.files import mask_name
from shapewise.evaluation.mask_volumes import add_volumes, forget_volumes, read_volumes
from shapewise.evaluation.prediction import predict_file
from shapewise.evaluation.result_files import discard_results
from shapewise.evaluation.values import Margins
from shapewise.progress import watched
from shapewise.run_folder import RunFolder, discarded_on_error, taken
from shapewise.run_split import check_split, read_split, write_split
from shapewise.training.log import read_log
from shapewise.training.trainer import build_trainer, fit, is_first_process

logger = logging.getLogger(__name__)

DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""Errors of a disk, which do not say for which file."""


def train(experiment: Experiment, root: Path, out: Path, *, folder: Path = Path()) -> None:
    """Train a run to its end, or go on with one that was interrupted.

    Args:
        experiment: what to do.
        root: data folder.
        out: run folder; one that holds the same experiment is resumed after its last whole epoch.
        folder: what relative plugin paths are relative to.

    Raises:
        ShapewiseError: the data, the experiment or the run folder cannot be used; a new run folder is
            removed again. `RunError` if another training is at work in the run folder.
        KeyboardInterrupt: somebody interrupted it; what the last whole epoch came to is kept.
    """
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


def evaluate(out: Path, root: Path | None = None, *, split: str = "test") -> pd.DataFrame:
    """Measure a run's best epoch on one split; writes its metrics and what goes with them into the folder.

    Args:
        out: run folder.
        root: data folder; by default the one that the run was trained from.
        split: train, validation, test, or new for patients that the run has in no split; `metrics.csv` is
            the test split's, `metrics_train.csv` the training split's. Of a folder of nobody but new patients
            `test` means all.

    Returns:
        The rows of that table.

    Raises:
        RunError: the run cannot be used, or the data have other classes than it was trained with.
        DataError: patients of the split are missing, there are no new ones, or an image cannot be read.
    """
    run = RunFolder(out)
    experiment, record = run.read_experiment(), run.read_record()
    load_plugins(experiment, run.path)
    root = Path(record.data_root) if root is None else root
    study = build_study(experiment, root)
    run.check_classes(study.classes)
    study = read_split(run, study, split)
    elsewhere = root.resolve() != Path(record.data_root).resolve()
    supervision = experiment.supervision
    measured = evaluate_cases(
        load_network(run, experiment, study.classes),
        study,
        build_preprocessing(experiment),
        run.path,
        split=split,
        root=root,
        table=read_annotations(run, study, elsewhere=elsewhere),
        descriptors=supervision.descriptors,
        margins=Margins(
            relative=supervision.margin,
            absolute=supervision.absolute_margins,
            raw=supervision.residuals == "raw",
        ),
        whole=supervision.extent == "volume",
        device=best_device(),
    )
    if split == "test":
        run.update_record(evaluated_root=str(root.resolve()) if elsewhere else None)
    return measured


def read_annotations(run: RunFolder, study: Study, *, elsewhere: bool) -> pd.DataFrame | None:
    """Read what the run's table says of the cases; of another folder's new patients that is nothing.

    A patient whom the run has in no split may be somebody else there, though the table knows the name.
    """
    if not run.table_file.exists():
        return None
    table = read_table(run.table_file, study.classes)
    known = set(read_split_table(run.split_file)["patient"])
    named = [case.name for case in study.cases if not elsewhere or case.patient in known]
    return table[table["case"].isin(named)]


def predict(out: Path, images: Sequence[Path], destination: Path) -> list[Path]:
    """Segment images with a run's best epoch; masks keep the inputs' names, geometry and format.

    `volumes.csv` beside the masks holds their volumes, those of masks of earlier calls too. Where a header
    says 1 mm along every axis, as one does that knows no spacing, a warning doubts the volumes.

    Raises:
        RunError: the run cannot be used.
        DataError: an image cannot be read, two images would be written to one mask, a folder is in a mask's
            place, or there is another `volumes.csv`; no mask is written.
    """
    run = RunFolder(out)
    experiment, record = run.read_experiment(), run.read_record()
    network = load_network(run, experiment, record.classes)
    masks = [destination / mask_name(image) for image in images]
    doubted = []
    for image, mask in zip(images, masks, strict=True):
        if read_image(image).GetSpacing() == PLACEHOLDER:
            doubted.append(str(image))
        if destination.resolve() in (image.resolve(), image.parent.resolve()):
            raise DataError(
                destination, expected="another folder than the images'", found=f"the one of {image}"
            )
        if mask.is_dir():
            raise DataError(mask, expected="a mask of an earlier call, or nothing", found="a folder")
        if masks.count(mask) > 1:
            raise DataError(image, expected="images whose names differ", found=f"two for {mask}")
    read_volumes(destination)
    if doubted:
        logger.warning("mL are right only if voxels are 1 x 1 x 1 mm, as headers say: %s", ", ".join(doubted))
    preprocessing, device = build_preprocessing(experiment), best_device()
    for image, mask in watched(list(zip(images, masks, strict=True)), "Predicting"):
        forget_volumes(mask)  # no row may be about another mask, wherever this is interrupted
        predict_file(network, image, preprocessing, mask, device=device)
        add_volumes(mask, record.classes)
    return masks


def best_device() -> torch.device:
    """Choose the accelerator where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_network(run: RunFolder, experiment: Experiment, classes: Sequence[str]) -> nn.Module:
    """Load the network of a run's best epoch.

    Raises:
        RunError: the run has no whole checkpoint yet, or another network wrote it.
    """
    network = build_experiment_network(experiment, classes)
    path = run.checkpoints / "best.ckpt"
    state = read_checkpoint(path)
    prefix = "average.module." if experiment.training.weight_average else "network."
    weights = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        found = f"another's ({reason}); put back the experiment.yaml that it was trained with, or train again"
        raise RunError(path, expected="weights of the experiment's network", found=found) from None
    return network.eval()


REMEDIES = {
    "last.ckpt": "copy best.ckpt over it to go on from the best epoch, or remove it to begin again",
    "best.ckpt": "copy last.ckpt over it to use the last epoch",
}


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Read a checkpoint's weights, tensors only; raises `RunError` if there is none or it is broken."""
    expected = "a whole checkpoint"
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        found = "no checkpoint; train the run first"
        raise RunError(path, expected="a finished epoch", found=found) from None
    except OSError as error:
        raise RunError(path, expected=expected, found=error.strerror or error) from None
    except (RuntimeError, EOFError, pickle.UnpicklingError):  # in words that help nobody
        found = f"a damaged file of {path.stat().st_size} bytes; {REMEDIES[path.name]}"
        raise RunError(path, expected=expected, found=found) from None
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise RunError(path, expected=expected, found=f"no weights in it; {REMEDIES[path.name]}")
    return state
