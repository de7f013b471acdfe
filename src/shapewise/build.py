"""Configuration to objects: the only place where an experiment's words become cases, networks and losses."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader

from shapewise.config import AugmentationConfig, Experiment, RelationConfig, SupervisionConfig
from shapewise.constraints import AugmentedLagrangian, Geometric, Hinge, LogBarrier, Penalty, Quadratic
from shapewise.data.augmentation import Augmentation
from shapewise.data.cases import Case, Study
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.plugins import load_plugin
from shapewise.data.prepare import Preprocessing, prepare_images, prepare_masks
from shapewise.data.slices import Slices, stack
from shapewise.data.splits import split_patients
from shapewise.data.table import read_table, write_table
from shapewise.data.targets import table_targets
from shapewise.descriptors import get
from shapewise.errors import ArgumentError, ConfigError, DataError, TableError
from shapewise.losses import MomentProjectionLoss, Relation, ShapeConstraintLoss
from shapewise.networks.registry import build_network
from shapewise.training import (
    EpochShuffle,
    Optimisation,
    PixelSupervision,
    ProjectionSupervision,
    SegmentationModule,
    ShapeSupervision,
    Supervision,
)

Split = Mapping[str, list[Case]]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """Everything that a trainer needs."""

    module: SegmentationModule
    train: DataLoader[object]
    validation: DataLoader[object]
    monitor: str
    mode: str


@contextmanager
def blaming(section: str) -> Iterator[None]:
    """Say of a bad argument which key of the experiment it came from."""
    try:
        yield
    except ArgumentError as error:
        key = f"{section}.{error.argument}"
        raise ConfigError(key, expected=error.expected, found=error.found) from None


def load_plugins(experiment: Experiment, folder: Path) -> None:
    """Run the Python files that register an experiment's own descriptors.

    Raises:
        ConfigError: a file is missing, or fails.
    """
    for plugin in experiment.plugins:
        load_plugin(folder / plugin)


def build_study(experiment: Experiment, root: Path) -> Study:
    """Find the cases of the experiment's data folder."""
    return find_cases(root, experiment.data.layout)


def build_split(experiment: Experiment, study: Study) -> dict[str, list[Case]]:
    """Share out the patients; all frames of a patient stay together."""
    split = experiment.data.split
    patients = split_patients(
        sorted({case.patient for case in study.cases}),
        counts=(split.train, split.validation, split.test),
        seed=split.seed,
    )
    return {
        name: [case for case in study.cases if case.patient in set(ids)] for name, ids in patients.items()
    }


def build_preprocessing(experiment: Experiment) -> Preprocessing:
    """Say how slices become inputs."""
    settings = experiment.data.preprocessing
    with blaming("data.preprocessing"):
        return Preprocessing(size=settings.size, spacing=settings.spacing, crop=settings.crop)


def build_table(experiment: Experiment, study: Study, split: Split, out: Path) -> pd.DataFrame | None:
    """Copy the experiment's table to `out`; where it names none, describe the masks that training may see.

    A run learns from that copy, whoever made the numbers, and can be moved with it. None if there is neither
    a table nor a mask. Errors about it name the table that it was copied from.
    """
    if not out.exists() and experiment.data.table is not None:
        write_table(read_table(Path(experiment.data.table), study.classes), out)
    elif not out.exists():
        seen = [case for case in (*split["train"], *split["validation"]) if case.mask is not None]
        if not seen:
            return None
        names = table_descriptors(experiment.supervision)
        write_table(describe(Study(seen, study.classes, study.layout), descriptors=names), out)
    table = read_table(out, study.classes)
    if experiment.data.table is not None:
        table.attrs["path"] = experiment.data.table
    return table


def table_descriptors(supervision: SupervisionConfig) -> tuple[str, ...]:
    """List the descriptors that the table must hold: those of the constraints, and what scales them."""
    needed = dict.fromkeys(("volume", "spread", *supervision.descriptors))
    return tuple(needed)


def build_augmentation(settings: AugmentationConfig) -> Augmentation:
    """Build the random changes of a batch."""
    return Augmentation(**settings.model_dump())


def build_penalty(supervision: SupervisionConfig) -> Penalty:
    """Build the penalty that the supervision names."""
    t = supervision.t
    match supervision.kind:
        case "quadratic":
            return Quadratic()
        case "hinge":
            return Hinge()
        case "augmented_lagrangian":
            return AugmentedLagrangian(rho=supervision.rho)
        case _:
            return LogBarrier(Geometric(start=t.start, factor=t.factor, cap=t.cap))


def build_loss(
    supervision: SupervisionConfig, classes: Sequence[str], penalty: Penalty
) -> ShapeConstraintLoss:
    """Build the shape constraint loss; raises `ConfigError` for what it cannot work with."""
    relations = [build_relation(relation, classes) for relation in supervision.relations]
    with blaming("supervision"):
        return ShapeConstraintLoss(
            supervision.descriptors,
            penalty=penalty,
            margin=supervision.margin,
            absolute_margins=supervision.absolute_margins,
            relations=relations,
            softmax=True,
            residual_scale=supervision.residuals,
        )


def build_relation(relation: RelationConfig, classes: Sequence[str]) -> Relation:
    """Replace class names by indices; background is 0."""
    names = ("background", *classes)
    unknown = [name for name in relation.classes if name not in names]
    if unknown:
        raise ConfigError("supervision.relations", expected=f"classes among {names}", found=unknown[0])
    first, second = relation.classes
    options = relation.model_dump(exclude={"classes"})
    with blaming("supervision.relations"):
        get(relation.descriptor)
        return Relation(pair=(names.index(first), names.index(second)), **options)


def build_experiment_network(experiment: Experiment, classes: Sequence[str]) -> nn.Module:
    """Build the network with the seed's own initial weights, whatever the supervision."""
    torch.manual_seed(experiment.training.seed)
    settings = experiment.network
    network = build_network(settings.name, in_channels=1, classes=len(classes) + 1, options=settings.options)
    check_network(network, build_preprocessing(experiment).shape, len(classes) + 1)
    return network


def check_network(network: nn.Module, shape: tuple[int, int], classes: int) -> None:
    """Try a network on one blank slice; raises `ConfigError` unless it answers with logits of its shape."""
    expected = f"a network from slices (B, 1, {shape[0]}, {shape[1]}) to logits of {classes} classes"
    try:
        with torch.inference_mode():
            answer = network.eval()(torch.zeros(1, 1, *shape))
    except Exception as error:  # somebody else's code may raise anything
        raise ConfigError("network", expected=expected, found=repr(error)) from error
    finally:
        network.train()
    found = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
    if found != (1, classes, *shape):
        raise ConfigError("network", expected=expected, found=found)


def build_fit(
    experiment: Experiment, study: Study, split: Split, table: pd.DataFrame | None, cache: Path
) -> Fit:
    """Build everything that a trainer needs.

    Raises:
        DataError: pixel supervision without masks, shape supervision without numbers, or a validation split
            with neither.
    """
    supervision, training = experiment.supervision, experiment.training
    # What can be wrong with the experiment is found before any slice is prepared.
    network = build_experiment_network(experiment, study.classes)
    learning = build_supervision(supervision, study.classes)
    pixels = supervision.kind == "pixels"
    if not pixels and table is None:
        raise DataError("data.table", expected="a descriptor table, or masks to describe", found="neither")
    train, _ = build_slices(
        experiment,
        study,
        annotated_cases(experiment, split, "train"),
        None if pixels else table,
        cache,
        masks=pixels,
        annotated_only=True,
    )
    held_out = annotated_cases(experiment, split, "validation")
    masks = all(case.mask is not None for case in held_out)
    validation, numbers = build_slices(experiment, study, held_out, table, cache, masks=masks)
    yardstick = None if table is None else build_loss(supervision, study.classes, Hinge())
    module = SegmentationModule(
        network,
        learning,
        build_augmentation(experiment.augmentation),
        build_optimisation(experiment),
        classes=study.classes,
        yardstick=yardstick,
        validation_case=torch.tensor(numbers),
        seed=training.seed,
    )
    monitor, mode = choose_monitor(experiment, masks=masks, table=table is not None)
    order = EpochShuffle(len(train), seed=training.seed)
    return Fit(
        module,
        DataLoader(train, training.batch_size, sampler=order, num_workers=training.workers, collate_fn=stack),
        DataLoader(validation, 2 * training.batch_size, num_workers=training.workers, collate_fn=stack),
        monitor,
        mode,
    )


def annotated_cases(experiment: Experiment, split: Split, name: str) -> list[Case]:
    """Leave out, with a note, the cases of a split that nobody has described: no table, and no mask.

    Raises:
        DataError: none is left.
    """
    if experiment.data.table is not None:
        return split[name]
    found = [case for case in split[name] if case.mask is not None]
    if not found:
        expected = f"masks for the {name} split, or a table (data.table)"
        raise DataError(split[name][0].image, expected=expected, found="neither")
    if left := [case for case in split[name] if case.mask is None]:
        logger.warning("%s: left out, having no mask: %s", name, ", ".join(case.name for case in left))
    return found


def build_supervision(supervision: SupervisionConfig, classes: Sequence[str]) -> Supervision:
    """Build what the network learns from."""
    if supervision.kind == "pixels":
        return PixelSupervision()
    if supervision.kind == "projection":
        return ProjectionSupervision(build_projection(supervision))
    return ShapeSupervision(build_loss(supervision, classes, build_penalty(supervision)))


def build_projection(supervision: SupervisionConfig) -> MomentProjectionLoss:
    """Build the moment projection loss; raises `ConfigError` for a descriptor that is no moment."""
    with blaming("supervision"):
        return MomentProjectionLoss(
            supervision.descriptors,
            sharpening=supervision.sharpening,
            error=supervision.error,
            iterations=supervision.iterations,
            softmax=True,
        )


def build_optimisation(experiment: Experiment) -> Optimisation:
    """Collect Adam's settings."""
    training = experiment.training
    cosine = training.epochs if training.learning_rate_decay == "cosine" else None
    return Optimisation(training.learning_rate, training.betas, cosine, training.image_clip)


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
    if selection == "violation" and not table:
        raise ConfigError("training.selection", expected="a descriptor table", found="none")
    if selection == "dice" or (selection == "auto" and masks):
        return "val_dice", "max"
    return "val_violation", "min"


def build_slices(
    experiment: Experiment,
    study: Study,
    cases: Sequence[Case],
    table: pd.DataFrame | None,
    cache: Path,
    *,
    masks: bool,
    annotated_only: bool = False,
) -> tuple[Slices, list[int]]:
    """Prepare the slices of some cases, with masks, targets or both; the list numbers each slice's case."""
    preprocessing = build_preprocessing(experiment)
    prepared = prepare_images(cases, preprocessing, cache)
    labels = prepare_masks(cases, study.classes, preprocessing, cache) if masks else None
    if table is None:
        return Slices(prepared.images, masks=labels), prepared.cases
    names = table_descriptors(experiment.supervision)
    targets = table_targets(table, prepared.samples, study.classes, names, prepared.frames, prepared.spacings)
    if annotated_only and not any(values.isfinite().any() for values in targets.values.values()):
        where = str(table.attrs["path"])
        raise TableError(where, expected="a number about a training case", found="none")
    indices = targets.annotated.nonzero().flatten().tolist() if annotated_only else None
    slices = Slices(prepared.images, masks=labels, targets=targets.values, indices=indices)
    return slices, prepared.cases
