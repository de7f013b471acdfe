"""The volumes of predicted masks, in a table beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import SimpleITK

from shapewise.data.images import read_image
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
    return found


def add_volumes(mask: Path, classes: Sequence[str]) -> None:
    """Put a mask's volumes into the table beside it, in place of what it had before.

    Args:
        mask: The file, labels from 1 on in the order of the classes. Its header's spacing counts.
        classes: Their names.

    Raises:
        DataError: The mask or the table cannot be read, or the table not be written.
    """
    image = read_image(mask)
    labels = SimpleITK.GetArrayFromImage(image)
    column, row, depth = image.GetSpacing()
    rows = [
        (mask.name, name, volume_ml(labels == label, (depth, row, column)))
        for label, name in enumerate(classes, start=1)
    ]
    others = read_volumes(mask.parent)
    others = others[others["mask"] != mask.name]
    parts = [part for part in (others, pd.DataFrame(rows, columns=list(COLUMNS))) if not part.empty]
    write_csv(pd.concat(parts), mask.parent / VOLUMES)
