"""What the commands do, as functions that a notebook can call: train, evaluate, predict."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from torch import nn

from shapewise.build import (
    Fit,
    Split,
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
from shapewise.data.table import read_table
from shapewise.errors import DataError, RunError
from shapewise.evaluation.evaluate import evaluate_cases
from shapewise.evaluation.files import mask_name
from shapewise.evaluation.prediction import predict_file
from shapewise.evaluation.values import Margins
from shapewise.run_folder import RunFolder, discarded_on_error, write_text
from shapewise.training import EpochLog


def train(experiment: Experiment, root: Path, out: Path, *, folder: Path = Path()) -> bool:
    """Train a run, or go on with one that was interrupted.

    Args:
        experiment: what to do.
        root: data folder.
        out: run folder; one that holds the same experiment is resumed after its last whole epoch.
        folder: what relative plugin paths are relative to.

    Returns:
        Whether the training reached its end; False if somebody interrupted it.

    Raises:
        ShapewiseError: the data, the experiment or the run folder cannot be used; nothing half-written
            is left behind.
    """
    load_plugins(experiment, folder)
    study = build_study(experiment, root)
    split = build_split(experiment, study)
    run = RunFolder(out)
    with discarded_on_error(out):
        run.start(
            experiment,
            data_root=str(root.resolve()),
            plugin_folder=str(folder.resolve()),
            classes=list(study.classes),
        )
        write_split(run, split)
        table = build_table(experiment, study, split, run.table_file)
        fit = build_fit(experiment, study, split, table, cache=out.parent / ".shapewise-cache")
    trainer = build_trainer(experiment, run, fit)
    started = time.time()
    resume_from = run.checkpoints / "last.ckpt"
    trainer.fit(
        fit.module,
        fit.train,
        fit.validation,
        ckpt_path=resume_from if resume_from.exists() else None,
        weights_only=True,
    )
    seconds = run.read_record().get("train_seconds", 0.0) + time.time() - started
    run.update_record(train_seconds=round(seconds, 1), epochs=trainer.current_epoch)
    return not trainer.interrupted


def build_trainer(experiment: Experiment, run: RunFolder, fit: Fit) -> pl.Trainer:
    """Build the Lightning trainer: checkpoints, logs and progress go where the run folder says."""
    training = experiment.training
    # At the end of an epoch, and not of its validation: a run is then resumed between two epochs.
    keep = partial(
        ModelCheckpoint, run.checkpoints, enable_version_counter=False, save_on_train_epoch_end=True
    )
    best, last = keep(filename="best", monitor=fit.monitor, mode=fit.mode), keep(filename="last")
    terminal = sys.stderr.isatty()
    callbacks: list[pl.Callback] = [EpochLog(run.log_file, say=not terminal), best, last]
    return pl.Trainer(
        max_epochs=training.epochs,
        accelerator=training.accelerator,
        devices=training.devices,
        precision=training.precision,
        gradient_clip_val=training.gradient_clip or None,
        callbacks=[*callbacks, RichProgressBar()] if terminal else callbacks,
        enable_progress_bar=terminal,
        enable_model_summary=False,
        logger=TensorBoardLogger(str(run.path), name="tensorboard", version=""),
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )


def write_split(run: RunFolder, split: Split) -> None:
    """Write which patient is in which split, and which files each case has."""
    rows = [
        {
            "case": case.name,
            "patient": case.patient,
            "frame": case.frame,
            "phase": case.phase,
            "image": str(case.image.resolve()),
            "mask": None if case.mask is None else str(case.mask.resolve()),
            "split": name,
        }
        for name, cases in split.items()
        for case in cases
    ]
    frame = pd.DataFrame(rows)
    write_text(run.cases_file, frame.drop(columns="patient").to_csv(index=False))
    write_text(run.split_file, frame[["patient", "split"]].drop_duplicates().to_csv(index=False))


def read_split(run: RunFolder, study: Study, name: str) -> Study:
    """Pick the cases of one split as the run wrote it down.

    Raises:
        RunError: the run has no split file.
        DataError: the data folder lacks cases of the split.
    """
    try:
        written = pd.read_csv(run.split_file, dtype=str)
    except (OSError, ValueError) as error:
        raise RunError(run.split_file, expected="the split of the run", found=error) from None
    patients = set(written.loc[written["split"] == name, "patient"])
    if not patients:
        raise RunError(run.split_file, expected=f"patients in the split {name}", found="none")
    cases = [case for case in study.cases if case.patient in patients]
    missing = sorted(patients - {case.patient for case in cases})
    if missing:
        raise DataError(
            "data folder", expected=f"patient {missing[0]} of the split {name}", found="no such case"
        )
    return Study(cases, study.classes, study.layout)


def evaluate(out: Path, root: Path | None = None, *, split: str = "test") -> pd.DataFrame:
    """Measure a run's best epoch on one split; writes `metrics.csv` and what goes with it into the folder.

    Args:
        out: run folder.
        root: data folder; by default the one that the run was trained from.
        split: train, validation or test.

    Returns:
        The rows of `metrics.csv`.
    """
    run = RunFolder(out)
    experiment, record = run.read_experiment(), run.read_record()
    load_plugins(experiment, Path(record["plugin_folder"]))
    root = Path(record["data_root"]) if root is None else root
    study = read_split(run, build_study(experiment, root), split)
    supervision = experiment.supervision
    return evaluate_cases(
        load_network(run, experiment, study.classes),
        study,
        build_preprocessing(experiment),
        run.path,
        root=root,
        table=read_table(run.table_file, study.classes) if run.table_file.exists() else None,
        descriptors=supervision.descriptors,
        margins=Margins(
            relative=supervision.margin,
            absolute=supervision.absolute_margins,
            raw=supervision.residuals == "raw",
        ),
        device=best_device(),
    )


def predict(out: Path, images: Sequence[Path], destination: Path) -> list[Path]:
    """Segment images with a run's best epoch; masks keep the inputs' names, geometry and format.

    Raises:
        RunError: the run cannot be used.
        DataError: an image cannot be read, or two images would be written to one mask.
    """
    run = RunFolder(out)
    experiment, record = run.read_experiment(), run.read_record()
    network = load_network(run, experiment, record["classes"])
    preprocessing, device = build_preprocessing(experiment), best_device()
    masks = [destination / mask_name(image) for image in images]
    for image, mask in zip(images, masks, strict=True):
        if masks.count(mask) > 1:
            raise DataError(image, expected="images whose names differ", found=f"two for {mask}")
    return [
        predict_file(network, image, preprocessing, mask, device=device)
        for image, mask in zip(images, masks, strict=True)
    ]


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
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except FileNotFoundError:
        raise RunError(run.path, expected="a run with a finished epoch", found="no checkpoint") from None
    except (OSError, RuntimeError, KeyError, EOFError) as error:
        raise RunError(path, expected="a whole checkpoint", found=error) from None
    weights = {
        key.removeprefix("network."): value for key, value in state.items() if key.startswith("network.")
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise RunError(path, expected="weights of the experiment's network", found=reason) from None
    return network.eval()
