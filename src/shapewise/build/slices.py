"""The slices that a network sees, with the labels or the numbers that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from shapewise.build.cases import build_preprocessing, table_descriptors
from shapewise.config import Experiment
from shapewise.data.cases import Case, Study
from shapewise.data.prepare import PreparedImages, prepare_images, prepare_masks
from shapewise.data.scribbles import IGNORE, draw_scribbles
from shapewise.data.slices import Slices
from shapewise.data.targets import Targets, table_targets
from shapewise.data.volume_targets import volume_targets
from shapewise.errors import TableError
from shapewise.projection import described_regions
from shapewise.training import table_bounds

CHUNK = 64
"""Slices whose regions are drawn at once."""


@dataclass(frozen=True)
class Prepared:
    """Slices of one split, and the number of the case frame that each of them belongs to."""

    slices: Slices
    cases: list[int]


def build_training(
    experiment: Experiment, study: Study, cases: Sequence[Case], table: pd.DataFrame | None, cache: Path
) -> Prepared:
    """Prepare what the network learns from; a mask is opened only where the supervision is one of masks.

    Slices that the table says nothing about are left out.
    """
    preprocessing, supervision = build_preprocessing(experiment), experiment.supervision
    images = prepare_images(cases, preprocessing, cache)
    labels: NDArray[np.integer] | None = None
    if supervision.kind in ("pixels", "scribbles"):
        labels = prepare_masks(cases, study.classes, preprocessing, cache)
    if supervision.kind == "scribbles" and labels is not None:
        labels = draw_scribbles(labels, len(study.classes), experiment.data.annotation.seed)
    every = experiment.data.annotation.every
    if table is None or (labels is not None and supervision.beside is None and every == 1):
        return Prepared(Slices(images.images, masks=labels), images.cases)
    targets = build_targets(experiment, study, images, table)
    if not any(values.isfinite().any() for values in targets.values.values()):
        where = str(table.attrs["path"])
        raise TableError(where, expected="a number about a training case", found="none")
    if supervision.kind == "regions":
        labels = draw_regions(targets, supervision.descriptors, preprocessing.shape)
    indices = targets.annotated.nonzero().flatten().tolist()
    slices = Slices(images.images, masks=labels, targets=targets.values, indices=indices)
    return Prepared(slices, [images.cases[index] for index in indices])


def build_validation(
    experiment: Experiment, study: Study, cases: Sequence[Case], table: pd.DataFrame | None, cache: Path
) -> Prepared:
    """Prepare what the epochs are judged by: masks where all cases have them, and numbers of a table."""
    preprocessing = build_preprocessing(experiment)
    images = prepare_images(cases, preprocessing, cache)
    masked = all(case.mask is not None for case in cases)
    labels = prepare_masks(cases, study.classes, preprocessing, cache) if masked else None
    targets = None if table is None else build_targets(experiment, study, images, table).values
    return Prepared(Slices(images.images, masks=labels, targets=targets), images.cases)


def build_targets(
    experiment: Experiment, study: Study, images: PreparedImages, table: pd.DataFrame
) -> Targets:
    """Look up what the table says, of slices or of the volumes that they are of."""
    look_up = volume_targets if experiment.supervision.extent == "volume" else table_targets
    names = table_descriptors(experiment.supervision)
    return look_up(table, images.samples, study.classes, names, images.frames, images.spacings)


def draw_regions(targets: Targets, descriptors: Sequence[str], shape: tuple[int, int]) -> NDArray[np.integer]:
    """Draw the regions that the numbers alone describe, (N, h, w); `IGNORE` where nothing is known."""
    drawn = np.full((len(targets.annotated), *shape), IGNORE, np.int16)
    for some in targets.annotated.nonzero().flatten().split(CHUNK):
        given = table_bounds({name: each[some] for name, each in targets.values.items()})
        regions, known = described_regions(given, shape, descriptors=descriptors)
        drawn[some] = torch.where(known[:, None, None], regions, IGNORE).numpy()
    return drawn
