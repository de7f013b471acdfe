"""From a table's rows about whole volumes to the tensors that a loss reads, in prepared pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shapewise.data.frames import Frame
from shapewise.data.targets import Place, Targets, looked_up
from shapewise.errors import TableError


def volume_targets(
    table: pd.DataFrame,
    samples: Sequence[tuple[str, int, int]],
    classes: Sequence[str],
    descriptors: Sequence[str],
    frames: Sequence[Frame],
    spacings: Sequence[tuple[float, ...] | None],
    *,
    complete: bool = True,
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
        complete: Refuse a volume that has only some of its rows; otherwise what they lack is NaN.

    Returns:
        Targets whose values are (N, Kfg, C, 3), with C components in 3-D.

    Raises:
        TableError: A case has no row about a whole volume, one lacks a row, or is in mm without a spacing.
        ArgumentError: A descriptor is not registered, or has no unit and a frame stretches its volume.
    """
    path = str(table.attrs.get("path", "descriptor table"))
    if len(table) and table["slice"].notna().all():
        raise TableError(path, expected="rows about whole volumes", found="rows about slices only")
    volumes = list(dict.fromkeys((case, frame) for case, frame, _ in samples))
    numbers = {volume: number for number, volume in enumerate(volumes)}
    belongs = np.array([numbers[case, frame] for case, frame, _ in samples])
    first = np.unique(belongs, return_index=True)[1]
    steps = np.stack([_steps(frames[sample], spacings[sample]) for sample in first], axis=1)
    found = looked_up(
        table[table["slice"].isna()],
        [Place((case, frame), f"frame {frame}, whole volume") for case, frame in volumes],
        classes,
        descriptors,
        steps,
        path,
        complete=complete,
    )
    values = {name: each[belongs] for name, each in found.values.items()}
    return Targets(values, found.annotated[belongs])


def _steps(frame: Frame, spacing: tuple[float, ...] | None) -> NDArray[np.float64]:
    """Step and offset along (slice, row, column), in native pixels and in mm, (2, 2, 3); NaN: unknown."""
    volume = frame.volume(1)
    in_px = np.array([volume.step, volume.offset])
    known = np.full(3, np.nan)
    if spacing is not None:
        known[3 - len(spacing) :] = spacing
    return np.stack([in_px, in_px * known])
