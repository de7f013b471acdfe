"""The volumes of predicted masks, in a table beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import SimpleITK

from shapewise.data.images import read_voxels
from shapewise.errors import DataError
from shapewise.evaluation.files import write_csv
from shapewise.evaluation.metrics import volume_ml

VOLUMES = "volumes.csv"
COLUMNS = ("mask", "class", "volume_ml")


def read_volumes(folder: Path) -> pd.DataFrame:
    """Read a folder's table, one row a mask and class; without rows where there is none.

    Raises:
        DataError: The file of that name is no such table.
    """
    path = folder / VOLUMES
    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS))
    try:
        found = pd.read_csv(path, dtype={"mask": str, "class": str}, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(path, expected="a table of earlier masks' volumes", found=error) from None
    if tuple(found.columns) != COLUMNS:
        raise DataError(path, expected=f"the columns {', '.join(COLUMNS)}", found=", ".join(found.columns))
    if not found.empty and not pd.api.types.is_numeric_dtype(found["volume_ml"]):
        raise DataError(path, expected="numbers in the column volume_ml", found="text")
    return found


def forget_volumes(mask: Path) -> None:
    """Take a mask's rows out of the table beside it, before another mask takes its place."""
    found = read_volumes(mask.parent)
    if (found["mask"] == mask.name).any():
        write_csv(found[found["mask"] != mask.name], mask.parent / VOLUMES)


def add_volumes(mask: Path, classes: Sequence[str]) -> None:
    """Put a mask's volumes into the table beside it.

    Args:
        mask: The file, labels from 1 on in the order of the classes. Its header's spacing counts.
        classes: Their names.

    Raises:
        DataError: The mask or the table cannot be read, or the table not be written.
    """
    image = read_voxels(mask)
    voxels = SimpleITK.GetArrayFromImage(image)
    column, row, depth = image.GetSpacing()
    spacing = depth, row, column
    rows = [
        (mask.name, name, volume_ml(voxels == label, spacing)) for label, name in enumerate(classes, start=1)
    ]
    parts = [read_volumes(mask.parent), pd.DataFrame(rows, columns=list(COLUMNS))]
    write_csv(pd.concat([part for part in parts if not part.empty]), mask.parent / VOLUMES)
