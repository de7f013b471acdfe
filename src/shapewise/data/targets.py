"""From a descriptor table to the tensors that a loss reads, in the prepared slices' own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from shapewise.data.frames import Frame, physical, require_same_step, unit_and_origin
from shapewise.errors import TableError

NUMBERS = ("value", "lower", "upper")


@dataclass(frozen=True)
class Targets:
    """What a table says about the samples.

    Attributes:
        values: Descriptor name -> (N, Kfg, C, 3) float32: value, lower and upper in prepared pixels. NaN
            where the class is absent, where the table gives no bound, and on samples without annotation.
        annotated: Which of the N samples have rows in the table, bool.
    """

    values: dict[str, Tensor]
    annotated: Tensor


def table_targets(
    table: pd.DataFrame,
    samples: Sequence[tuple[str, int, int]],
    classes: Sequence[str],
    descriptors: Sequence[str],
    frames: Sequence[Frame],
    spacings: Sequence[tuple[float, ...] | None],
    *,
    complete: bool = True,
) -> Targets:
    """Look the samples up in a table and move its numbers into their frames.

    A slice without any row is not annotated. A slice with rows must have them all: every component of every
    descriptor of every class. The volume's alone will do where it is 0, the class being absent, or where it
    has nothing but a positive lower bound: the class is there, and no number of it is known. Rows about whole
    volumes, other cases, classes or descriptors are not read.

    Args:
        table: A table as `read_table` returns it; errors name its ``attrs["path"]``.
        samples: Case, frame and slice of each sample, N of them.
        classes: Foreground classes, in label order.
        descriptors: Registered names.
        frames: Frame of each sample.
        spacings: Native spacing of each sample in mm, (row, column) last; only needed for rows in mm.
        complete: Refuse a slice that has only some of its rows; otherwise what they lack is NaN.

    Returns:
        The targets, aligned with the samples.

    Raises:
        TableError: A case has no row or one about a slice that it has not; an annotated slice lacks a row, or
            is in mm and no spacing is known.
        ArgumentError: A descriptor is not registered, or has no unit and a frame stretches its slice.
    """
    path = str(table.attrs.get("path", "descriptor table"))
    if len(table) and table["slice"].isna().all():
        raise TableError(path, expected="rows about slices", found="rows about whole volumes only")
    _require_slices(path, table, samples)
    in_px = np.array([(frame.step, frame.offset) for frame in frames], float)
    return looked_up(
        table[table["slice"].notna()],
        [Place((case, frame, index), f"frame {frame} slice {index}") for case, frame, index in samples],
        classes,
        descriptors,
        np.stack([in_px, physical(frames, spacings)]),
        path,
        complete=complete,
    )


def _require_slices(path: str, table: pd.DataFrame, samples: Sequence[tuple[str, int, int]]) -> None:
    """Refuse rows about slices that their scan has not: whoever counts from 1 has shifted all the others."""
    slices: dict[tuple[str, int], list[int]] = {}
    for case, frame, index in samples:
        slices.setdefault((case, frame), []).append(index)
    places = table.loc[table["slice"].notna(), ["case", "frame", "slice"]].drop_duplicates()
    for case, frame, index in places.itertuples(index=False):
        there = slices.get((case, int(frame)), [index])
        if index not in there:
            expected = f"slices from {min(there)} to {max(there)}"
            raise TableError(f"{path}, case {case} frame {frame}", expected=expected, found=f"slice {index}")


class Place(NamedTuple):
    """What rows are about: its key in the columns case, frame and, for a slice, slice; and its name."""

    key: tuple[str | int, ...]
    name: str


def looked_up(
    table: pd.DataFrame,
    places: Sequence[Place],
    classes: Sequence[str],
    descriptors: Sequence[str],
    steps: NDArray[np.float64],
    path: str,
    *,
    complete: bool,
) -> Targets:
    """Fill in what a table says of some places.

    Args:
        table: Rows about such places alone.
        places: N of them.
        classes: Foreground classes, in label order.
        descriptors: Registered names.
        steps: Step and offset of each place's frame, in px and in mm: (2, N, 2, axes).
        path: What errors call the table.
        complete: Refuse a place that has only some of its rows.
    """
    rows = _matching(table, places, classes)
    annotated = np.zeros(len(places), bool)
    annotated[rows["place"]] = True
    _require_cases(path, table, places, annotated)
    said = _said_by_volume(rows, len(places), len(classes))
    values = {}
    for name in descriptors:
        filled, present = _fill(rows[rows["descriptor"] == name], name, path, steps, places, len(classes))
        if complete:
            missing = annotated[:, None, None] & ~present & ~said[:, :, None]
            _require_rows(path, missing, name, places, classes)
        values[name] = torch.from_numpy(filled.astype(np.float32))
    return Targets(values, torch.from_numpy(annotated))


def _matching(table: pd.DataFrame, places: Sequence[Place], classes: Sequence[str]) -> pd.DataFrame:
    """The rows about the places and classes, with the number of each."""
    rows = table[table["class"].isin(list(classes))]
    types = {"case": str, "frame": int, "slice": int}
    columns = list(types)[: len(places[0].key)]
    keys = pd.MultiIndex.from_arrays([rows[column].astype(types[column]) for column in columns])
    number = pd.MultiIndex.from_tuples([place.key for place in places]).get_indexer(keys)
    rows = rows.assign(place=number, label=pd.Index(list(classes)).get_indexer(pd.Index(rows["class"])))
    return rows[number >= 0]


def _require_cases(
    path: str, table: pd.DataFrame, places: Sequence[Place], annotated: NDArray[np.bool_]
) -> None:
    known = {place.key[0] for place, found in zip(places, annotated, strict=True) if found}
    lacking = {place.key[0]: place.key for place in reversed(places) if place.key[0] not in known}
    if not lacking:
        return
    case, frame, *slice_ = lacking[min(lacking)]
    more = f" (and of {len(lacking) - 1} more)" if len(lacking) > 1 else ""
    frames = sorted(set(table.loc[table["case"] == case, "frame"].astype(int)))
    found = f"such rows of frame {', '.join(map(str, frames))}" if frames else "none"
    what = "slices of" if slice_ else "the whole volume of"
    raise TableError(path, expected=f"rows about {what} case {case} frame {frame}{more}", found=found)


def _said_by_volume(rows: pd.DataFrame, count: int, classes: int) -> NDArray[np.bool_]:
    """Of which objects (N, Kfg) the volume says all: 0, it is absent; a positive lower bound, it is there."""
    there = rows["value"].isna() & (rows["lower"] > 0) & rows["upper"].isna()
    enough = rows[(rows["descriptor"] == "volume") & ((rows["value"] == 0) | there)]
    said = np.zeros((count, classes), bool)
    said[enough["place"], enough["label"]] = True
    return said


def _fill(
    rows: pd.DataFrame,
    name: str,
    path: str,
    steps: NDArray[np.float64],
    places: Sequence[Place],
    classes: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values (N, Kfg, C, 3) and which of them (N, Kfg, C) the table has; ``steps`` are in px, then in mm."""
    unit, origin = unit_and_origin(name, steps[:, :, 0], steps[:, :, 1])
    place, component = rows["place"].to_numpy(), rows["component"].to_numpy(int)
    in_mm = (rows["unit"] == "mm").to_numpy(int)
    require_same_step(name, steps[in_mm, place, 0])
    row_unit, row_origin = unit[in_mm, place, component], origin[in_mm, place, component]
    if np.isnan(row_unit).any():
        where = _where(path, places[place[np.isnan(row_unit).argmax()]])
        expected = "values in px, the image's spacing (between slices or pixels) being unknown"
        raise TableError(where, expected=expected, found="mm")
    where_to = place, rows["label"].to_numpy(), component
    filled = np.full((len(places), classes, unit.shape[-1], len(NUMBERS)), np.nan)
    filled[where_to] = (rows[list(NUMBERS)].to_numpy(float) - row_origin[:, None]) / row_unit[:, None]
    present = np.zeros(filled.shape[:-1], bool)
    present[where_to] = True
    return filled, present


def _require_rows(
    path: str, missing: NDArray[np.bool_], name: str, places: Sequence[Place], classes: Sequence[str]
) -> None:
    if missing.any():
        place, label, component = np.argwhere(missing)[0]
        raise TableError(
            _where(path, places[place]),
            expected=f"a row for {name} component {component} of {classes[label]}",
            found=f"none ({missing.sum()} such rows are missing)",
        )


def _where(path: str, place: Place) -> str:
    return f"{path}, case {place.key[0]} {place.name}"
