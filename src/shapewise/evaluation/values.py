"""Predicted descriptors against annotated ones, with the bounds that training gave them.

They are those of every slice or, where training was told of whole volumes, of every volume. All numbers are
listed in pixels of the native slice. The bounds are the loss's own, from
`shapewise.constraints.constrain`: a table's `lower` and `upper` where it has them, else the annotated value
plus or minus a margin. They are formed in prepared pixels, as in training, and mapped back. Priors that tie
two classes together (ratios, contact) belong to no class and are not listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from shapewise.constraints import (
    SIZES,
    Bounds,
    Rule,
    constrain,
    object_spread,
    present_classes,
    smallest_size,
)
from shapewise.data.describe import describe_labels
from shapewise.data.frames import Frame, rescale_values, unit_and_origin
from shapewise.data.targets import table_targets
from shapewise.data.volume_targets import volume_targets
from shapewise.descriptors import registry

COLUMNS = (
    "case",
    "frame",
    "slice",
    "class",
    "descriptor",
    "component",
    "predicted",
    "annotated",
    "lower",
    "upper",
    "satisfied",
)
DESCRIPTORS = ("volume", "centroid", "spread", "length")

Labels = npt.NDArray[np.integer]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Margins:
    """How far a prediction may be from its annotation, as the loss was told.

    Attributes:
        relative: Half-width as a share of the descriptor's scale: the value, the object's spread along the
            axis, or the product of two spreads.
        absolute: Descriptor -> half-width in prepared pixels, to the power of its unit; replaces `relative`.
        raw: The relative margin is the paper's: a share of the value itself, of a centroid too.
        absent_volume: Largest volume of an absent class, in prepared pixels.
    """

    relative: float = 0.1
    absolute: Mapping[str, float] = field(default_factory=dict)
    raw: bool = False
    absent_volume: float = 1.0


@dataclass(frozen=True)
class Annotation:
    """What is known of one scan's D slices, or of its whole volume (D = 1), in native pixels.

    Attributes:
        numbers: Descriptor -> (D, K, C, 3): value, lower and upper; NaN where there is none.
        annotated: Which of the D slices anything is known of.
        whole: The numbers are those of the whole volume.
    """

    numbers: Mapping[str, Numbers]
    annotated: npt.NDArray[np.bool_]
    whole: bool = False


def annotation_from_labels(
    labels: Labels, classes: Sequence[str], descriptors: Sequence[str], *, whole: bool = False
) -> Annotation:
    """Describe a mask (D, H, W); no bounds of its own, every slice annotated."""
    labels = labels[None] if whole else labels
    described = describe_labels(labels, len(classes), _with_scales(descriptors))
    numbers = {name: np.stack([v, *[np.full_like(v, np.nan)] * 2], axis=-1) for name, v in described.items()}
    return Annotation(numbers, np.ones(len(labels), bool), whole)


def annotation_from_table(
    table: pd.DataFrame,
    key: tuple[str, int],
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float] | None,
    classes: Sequence[str],
    descriptors: Sequence[str],
    *,
    whole: bool = False,
) -> Annotation | None:
    """Look one scan up in a descriptor table; None where it has no row about the scan's slices, or volume.

    What training must be told may be left out here: numbers that the table has no row for are unknown.

    Args:
        table: A table as `read_table` returns it.
        key: Case and frame.
        shape: Shape of the native volume, (D, H, W).
        spacing: Spacing along (slice, row, column) in mm, for rows in mm; None where unknown.
        classes: Foreground classes in label order.
        descriptors: Registered names. Their scales are looked up beside them, as far as the table has them.
        whole: Look up what the table says of the whole volume.

    Raises:
        TableError: There are rows about a slice that the scan has not, or in mm where its spacing is unknown.
    """
    case, frame = key
    about = table["slice"].isna() if whole else table["slice"].notna()
    rows = table[(table["case"] == case) & (table["frame"] == frame) & about]
    if rows.empty:
        return None
    known = set(rows["descriptor"])
    wanted = [name for name in _with_scales(descriptors) if name in known or name in descriptors]
    samples = [(case, frame, index) for index in range(1 if whole else shape[0])]
    identity = Frame((1.0, 1.0), (0.0, 0.0), shape[1:])
    frames, spacings = [identity] * len(samples), [spacing] * len(samples)
    look_up = volume_targets if whole else table_targets
    targets = look_up(rows, samples, classes, wanted, frames, spacings, complete=False)
    numbers = {name: values.numpy().astype(float) for name, values in targets.values.items()}
    return Annotation(numbers, targets.annotated.numpy(), whole)


def compare_values(
    predicted: Labels,
    annotation: Annotation,
    *,
    key: tuple[str, int],
    frame: Frame,
    classes: Sequence[str],
    descriptors: Sequence[str] = DESCRIPTORS,
    margins: Margins | None = None,
) -> pd.DataFrame:
    """List the predicted and annotated descriptors of a scan's annotated slices, or of its whole volume.

    Args:
        predicted: Predicted labels, (D, H, W), native.
        annotation: What is known of the same slices, or of the volume.
        key: Case and frame.
        frame: Where the prepared pixels lie, whose size absolute margins are in.
        classes: Foreground classes in label order.
        descriptors: Registered names. Without the volume among them, that of classes that are not there is
            listed as `absent_volume`, as the loss calls it.
        margins: The loss's margins.

    Returns:
        The columns `COLUMNS`; `slice` is NA in rows about a whole volume. `predicted` and `annotated` are NaN
        where an absent class has no such number; `lower` and `upper` where that side is open; `satisfied` is
        NA where both are. A class that is annotated and not predicted violates every constraint on it.

    Raises:
        ArgumentError: A descriptor is not registered.
    """
    if not descriptors:
        return pd.DataFrame(columns=list(COLUMNS))
    # A loss that does not constrain the volume still keeps classes away that are not there.
    absent = ["volume"] if "volume" in annotation.numbers and "volume" not in descriptors else []
    names = [*descriptors, *absent]
    if annotation.whole:
        frame, predicted = frame.volume(len(predicted)), predicted[None]
    described = describe_labels(predicted, len(classes), names)
    tables = {name: _listed(name, described[name], annotation, frame, margins or Margins()) for name in names}
    for name in absent:
        rows = tables[name]
        tables[name] = rows[rows["annotated"] == 0].assign(descriptor=f"absent_{name}")
    rows = pd.concat(tables.values()).sort_values(["slice", "class"], kind="stable", ignore_index=True)
    rows["class"] = np.asarray(classes, dtype=object)[rows["class"]]
    if annotation.whole:
        rows["slice"] = pd.array([pd.NA] * len(rows), "Int64")
    rows["satisfied"] = _satisfied(rows)
    return rows.assign(case=key[0], frame=key[1])[list(COLUMNS)]


def _listed(
    name: str, predicted: Numbers, annotation: Annotation, frame: Frame, margins: Margins
) -> pd.DataFrame:
    """A descriptor's numbers and bounds, one row each, of the annotated slices."""
    lower, upper = _bounds(name, annotation.numbers, frame, margins)
    annotated = annotation.numbers[name][..., 0]
    columns = {"predicted": predicted, "annotated": annotated, "lower": lower, "upper": upper}
    return _tidy(columns, annotation.annotated).assign(descriptor=name)


def _with_scales(descriptors: Sequence[str]) -> list[str]:
    """The descriptors, and those that say who is absent and how far an object spreads."""
    return list(dict.fromkeys(("volume", "spread", *descriptors)))


def _bounds(
    name: str, native: Mapping[str, Numbers], frame: Frame, margins: Margins
) -> tuple[Numbers, Numbers]:
    """Bounds (D, K, C) in native pixels, NaN where there is none."""
    given = {key: _to_prepared(key, numbers, frame) for key, numbers in native.items()}
    known = {key: bounds.center() for key, bounds in given.items()}
    allowed = constrain(
        known[name],
        given[name],
        _rule(name, margins, len(frame.size)),
        spread=_spread(known, frame.size),
        present=present_classes(given),
    )
    unit, origin = unit_and_origin(name, np.asarray(frame.step), np.asarray(frame.offset))
    lower, upper = (side.numpy() * unit + origin for side in (allowed.lower, allowed.upper))
    return _open_is_nan(lower), _open_is_nan(upper)


def _to_prepared(name: str, native: Numbers, frame: Frame) -> Bounds:
    """Bounds (D, K, C) in prepared pixels, from value, lower and upper (D, K, C, 3)."""
    moved = (rescale_values(name, native[..., part], frame) for part in range(3))
    value, lower, upper = (torch.from_numpy(part) for part in moved)
    return Bounds(lower, upper, value)


def _rule(name: str, margins: Margins, ndim: int) -> Rule:
    """How the loss bounds a descriptor whose unit is the prepared pixel."""
    descriptor = registry.get(name)
    return Rule(
        descriptor.scale,
        floor=smallest_size(descriptor.unit_power(ndim)),
        margin=margins.relative,
        absolute=margins.absolute.get(name),
        raw=margins.raw,
        absent_upper=margins.absent_volume if name == "volume" else None,
    )


def _spread(known: Mapping[str, Tensor], size: tuple[int, ...]) -> Tensor:
    """How far every object spreads along each axis (D, K, ndim); a tenth of the shortest if nothing says."""
    sizes = {name: known[name] for name in SIZES if name in known}
    fallback = torch.full((len(size),), min(size) / 10, dtype=torch.float64)
    return object_spread(len(size), **sizes, fallback=fallback)


def _open_is_nan(bound: Numbers) -> Numbers:
    return np.where(np.isfinite(bound), bound, np.nan)


def _tidy(columns: Mapping[str, Numbers], annotated: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """One row a number of arrays (D, K, C), of the annotated slices."""
    listed = np.broadcast_to(annotated[:, None, None], columns["predicted"].shape)
    index, label, component = np.nonzero(listed)
    keys = {"slice": index, "class": label, "component": component}
    return pd.DataFrame(keys | {name: values[listed] for name, values in columns.items()})


def _satisfied(rows: pd.DataFrame) -> pd.Series:
    """Whether the prediction lies within the bounds, but for rounding; NA where there are none."""
    lower, upper = rows["lower"].fillna(-np.inf), rows["upper"].fillna(np.inf)
    slack = 1e-6 * rows[["annotated", "lower", "upper"]].abs().max(axis=1).clip(lower=1)
    within = (rows["predicted"] >= lower - slack) & (rows["predicted"] <= upper + slack)
    return within.astype("boolean").mask(rows["lower"].isna() & rows["upper"].isna())
