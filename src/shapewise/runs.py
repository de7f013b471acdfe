"""What the commands do, as functions that a notebook can call: train, evaluate, predict."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from shapewise.build.cases import build_preprocessing, build_study, load_plugins
from shapewise.config import Experiment
from shapewise.data.cases import Study
from shapewise.data.images import PLACEHOLDER, read_image
from shapewise.data.splits import read_split_table
from shapewise.data.table import read_table
from shapewise.errors import DataError
from shapewise.evaluation.evaluate import evaluate_cases
from shapewise.evaluation.files import mask_name
from shapewise.evaluation.mask_volumes import add_volumes, forget_volumes, read_volumes
from shapewise.evaluation.prediction import predict_file
from shapewise.evaluation.values import Margins
from shapewise.progress import watched
from shapewise.run_folder import RunFolder
from shapewise.run_network import best_device, load_network
from shapewise.run_split import read_split

logger = logging.getLogger(__name__)


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
    from shapewise.run_training import train  # loads Lightning, which takes longer than all else together

    train(experiment, root, out, folder=folder)


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
