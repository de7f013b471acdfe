"""Everything that a trainer needs: network, supervision, slices and what names the best epoch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch.utils.data import DataLoader

from shapewise.build.cases import Split, annotated_cases, build_preprocessing
from shapewise.build.network import build_experiment_network, check_training
from shapewise.build.output_bias import mean_shares, set_output_bias
from shapewise.build.slices import Prepared, build_training, build_validation
from shapewise.build.supervision import build_loss, build_supervision
from shapewise.config import AugmentationConfig, Experiment
from shapewise.constraints import Hinge
from shapewise.data.augmentation import Augmentation
from shapewise.data.cases import Study
from shapewise.data.slices import stack
from shapewise.errors import ConfigError, DataError
from shapewise.training import (
    CaseBatches,
    EpochShuffle,
    EpochTargets,
    LateLoader,
    Optimisation,
    ProjectionSupervision,
    SegmentationModule,
    Supervision,
)


@dataclass(frozen=True)
class Fit:
    """Everything that a trainer needs."""

    module: SegmentationModule
    train: DataLoader[object]
    validation: DataLoader[object]
    monitor: str
    mode: str


def smallest_batch(experiment: Experiment, train: Prepared) -> int:
    """How many slices the smallest of an epoch's batches has, as `build_loaders` makes them."""
    supervision, size = experiment.supervision, experiment.training.batch_size
    if supervision.extent == "volume" and not supervision.renewed_each_epoch:
        return min(Counter(train.cases).values())
    return len(train.slices) % size or size


def build_fit(
    experiment: Experiment, study: Study, split: Split, table: pd.DataFrame | None, cache: Path
) -> Fit:
    """Build everything that a trainer needs.

    Raises:
        DataError: pixel supervision without masks, shape supervision without numbers, or a validation split
            with neither.
        ConfigError: the output's bias is to be that of the annotated volumes, and there is none of either; or
            the network cannot train on the smallest batch.
    """
    supervision, training = experiment.supervision, experiment.training
    # What can be wrong with the experiment is found before any slice is prepared.
    network = build_experiment_network(experiment, study.classes)
    learning = build_supervision(supervision, study.classes)
    yardstick = None if table is None else build_loss(supervision, study.classes, Hinge())
    if supervision.needs_numbers and table is None:
        raise DataError("data.table", expected="a descriptor table, or masks to describe", found="neither")
    train = build_training(experiment, study, annotated_cases(experiment, split, "train"), table, cache)
    check_training(network, build_preprocessing(experiment).shape, smallest_batch(experiment, train))
    whole = supervision.extent == "volume"
    if experiment.network.output_bias == "volumes":
        shares = mean_shares(train, study.classes, whole=whole)
        set_output_bias(network, shares, train.slices[[0]]["image"])
    held_out = annotated_cases(experiment, split, "validation")
    validation = build_validation(experiment, study, held_out, table, cache)
    module = SegmentationModule(
        network,
        learning,
        build_augmentation(experiment.augmentation),
        build_optimisation(experiment),
        classes=study.classes,
        yardstick=yardstick,
        validation_case=torch.tensor(validation.cases),
        seed=training.seed,
        whole_volumes=whole,
        teacher=supervision.teacher,
        epoch_targets=build_epoch_targets(experiment, learning, train, cache),
    )
    masks = all(case.mask is not None for case in held_out)
    monitor, mode = choose_monitor(experiment, masks=masks, table=table is not None)
    return Fit(module, *build_loaders(experiment, train, validation), monitor, mode)


def build_epoch_targets(
    experiment: Experiment, learning: Supervision, train: Prepared, cache: Path
) -> EpochTargets | None:
    """Build what makes targets once an epoch; None where each step makes its own."""
    supervision = experiment.supervision
    if not supervision.renewed_each_epoch:
        return None
    whole = supervision.extent == "volume"
    if whole:
        batches = list(CaseBatches(train.cases, seed=None))
    else:
        numbers = torch.arange(len(train.slices)).split(2 * experiment.training.batch_size)
        batches = [some.tolist() for some in numbers]
    projection = next(part for part in learning.modules() if isinstance(part, ProjectionSupervision))
    return EpochTargets(train.slices, batches, projection, cache, whole_volumes=whole)


def build_loaders(
    experiment: Experiment, train: Prepared, validation: Prepared
) -> tuple[DataLoader[object], DataLoader[object]]:
    """Batches of slices, or the slices of one case frame at a time where a loss is about volumes."""
    training = experiment.training
    workers = training.workers
    volumes = experiment.supervision.extent == "volume"
    each: DataLoader[object]
    held_out: DataLoader[object]
    if volumes and not experiment.supervision.renewed_each_epoch:
        order = CaseBatches(train.cases, seed=training.seed)
        each = LateLoader(train.slices, batch_size=None, sampler=order, num_workers=workers)
    else:
        shuffled = EpochShuffle(len(train.slices), seed=training.seed)
        size = training.batch_size
        each = LateLoader(train.slices, size, sampler=shuffled, num_workers=workers, collate_fn=stack)
    if volumes:
        unchanged = CaseBatches(validation.cases, seed=None)
        held_out = DataLoader(validation.slices, batch_size=None, sampler=unchanged, num_workers=workers)
    else:
        size = 2 * training.batch_size
        held_out = DataLoader(validation.slices, size, num_workers=workers, collate_fn=stack)
    return each, held_out


def build_augmentation(settings: AugmentationConfig) -> Augmentation:
    """Build the random changes of a batch."""
    return Augmentation(**settings.model_dump())


def build_optimisation(experiment: Experiment) -> Optimisation:
    """Collect Adam's settings."""
    training = experiment.training
    cosine = training.epochs if training.learning_rate_decay == "cosine" else None
    return Optimisation(
        training.learning_rate, training.betas, cosine, training.image_clip, training.weight_average
    )


def choose_monitor(experiment: Experiment, *, masks: bool, table: bool) -> tuple[str, str]:
    """Say what names the best epoch, and whether more of it is better.

    Raises:
        ConfigError: the experiment asks for what its validation split cannot give.
    """
    selection = experiment.training.selection
    if selection == "dice" and not masks:
        raise ConfigError(
            "training.selection", expected="masks for every validation case", found="none for some"
        )
    if selection in {"satisfied", "violation"} and not table:
        raise ConfigError("training.selection", expected="a descriptor table", found="none")
    if selection == "dice" or (selection == "auto" and masks):
        return "val_dice", "max"
    # A mean distance can be that of a few slices which are far off; of a share each bound counts once.
    return ("val_violation", "min") if selection == "violation" else ("val_satisfied", "max")
