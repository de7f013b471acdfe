"""From a table's rows about whole volumes to the tensors that a loss reads, in prepared pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from shapewise.data.frames import Frame, require_same_step, unit_and_origin
from shapewise.data.targets import NUMBERS, Targets, said_by_volume
from shapewise.errors import TableError


def volume_targets(
    table: pd.DataFrame,
    samples: Sequence[tuple[str, int, int]],
    classes: Sequence[str],
    descriptors: Sequence[str],
    frames: Sequence[Frame],
    spacings: Sequence[tuple[float, ...] | None],
) -> Targets:
    """Look up the whole volumes that the samples are slices of: each gets the numbers of its case frame.

    As `table_targets`, but for rows whose slice is empty. Numbers move into the prepared frame within the
    slice; along the slices they stay in slices.

    Args:
        table: A table as `read_table` returns it.
        samples: Case, frame and slice of each sample, N of them.
        classes: Foreground classes, in label order.
        descriptors: Registered names.
        frames: Frame of each sample, the same on all slices of a case frame.
        spacings: Native spacing of each sample in mm, (slice, row, column); only needed for rows in mm. None,
            or (row, column) alone, where it is not known.

    Returns:
        Targets whose values are (N, Kfg, C, 3), with C components in 3-D.

    Raises:
        TableError: A case has no row about a whole volume, one lacks a row, or is in mm without a spacing.
        ArgumentError: A descriptor is not registered, or has no unit and a frame stretches its volume.
    """
    volumes = list(dict.fromkeys((case, frame) for case, frame, _ in samples))
    numbers = {volume: number for number, volume in enumerate(volumes)}
    belongs = np.array([numbers[case, frame] for case, frame, _ in samples])
    first = np.unique(belongs, return_index=True)[1]
    steps = np.stack([_steps(frames[sample], spacings[sample]) for sample in first], axis=1)
    path = str(table.attrs.get("path", "descriptor table"))
    where = [f"{path}, case {case} frame {frame}, whole volume" for case, frame in volumes]
    rows = _matching(table, volumes, classes)
    annotated = np.zeros(len(volumes), bool)
    annotated[rows["sample"]] = True
    _require_cases(path, volumes, annotated)
    said = said_by_volume(rows, len(volumes), len(classes))
    values = {}
    for name in descriptors:
        filled, found = _fill(rows[rows["descriptor"] == name], name, steps, where, len(classes))
        _require_rows(annotated[:, None, None] & ~found & ~said[:, :, None], name, where, classes)
        values[name] = torch.from_numpy(filled[belongs].astype(np.float32))
    return Targets(values, torch.from_numpy(annotated[belongs]))


def _steps(frame: Frame, spacing: tuple[float, ...] | None) -> NDArray[np.float64]:
    """Step and offset along (slice, row, column), in native pixels and in mm, (2, 2, 3); NaN: unknown."""
    in_px = np.array([(1.0, *frame.step), (0.0, *frame.offset)])
    known = np.full(3, np.nan)
    if spacing is not None:
        known[3 - len(spacing) :] = spacing
    return np.stack([in_px, in_px * known])


def _matching(
    table: pd.DataFrame, volumes: Sequence[tuple[str, int]], classes: Sequence[str]
) -> pd.DataFrame:
    """The table's rows about the whole volumes and classes, with the number of each."""
    rows = table[table["slice"].isna() & table["class"].isin(list(classes))]
    keys = pd.MultiIndex.from_arrays([rows["case"].astype(str), rows["frame"].astype(int)])
    number = pd.MultiIndex.from_tuples(list(volumes)).get_indexer(keys)
    rows = rows.assign(sample=number, label=pd.Index(list(classes)).get_indexer(pd.Index(rows["class"])))
    return rows[number >= 0]


def _fill(
    rows: pd.DataFrame, name: str, steps: NDArray[np.float64], where: Sequence[str], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values (M, Kfg, C, 3) of the M volumes, and which of them (M, Kfg, C) the table has."""
    volume, component = rows["sample"].to_numpy(), rows["component"].to_numpy(int)
    in_mm = (rows["unit"] == "mm").to_numpy(int)
    require_same_step(name, steps[in_mm, volume, 0])
    unit, origin = unit_and_origin(name, steps[:, :, 0], steps[:, :, 1])
    row_unit, row_origin = unit[in_mm, volume, component], origin[in_mm, volume, component]
    unknown = np.isnan(row_unit)
    if unknown.any():
        expected = "values in px, the distance between slices or pixels being unknown"
        raise TableError(where[volume[unknown.argmax()]], expected=expected, found="mm")
    filled = np.full((len(where), classes, unit.shape[-1], len(NUMBERS)), np.nan)
    found = np.zeros(filled.shape[:-1], bool)
    place = volume, rows["label"].to_numpy(), component
    filled[place] = (rows[list(NUMBERS)].to_numpy(float) - row_origin[:, None]) / row_unit[:, None]
    found[place] = True
    return filled, found


def _require_cases(path: str, volumes: Sequence[tuple[str, int]], annotated: NDArray[np.bool_]) -> None:
    known = {case for (case, _), found in zip(volumes, annotated, strict=True) if found}
    for case, _ in volumes:
        if case not in known:
            raise TableError(path, expected=f"rows about the whole volume of case {case}", found="none")


def _require_rows(
    missing: NDArray[np.bool_], name: str, where: Sequence[str], classes: Sequence[str]
) -> None:
    if missing.any():
        volume, label, component = np.argwhere(missing)[0]
        expected = f"a row for {name} component {component} of {classes[label]}"
        found = f"none ({missing.sum()} such rows are missing)"
        raise TableError(where[volume], expected=expected, found=found)
