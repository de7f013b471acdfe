"""The files that an evaluation leaves in a run folder: their names, and how they get there and go."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shapewise.data.splits import NEW, SPLITS
from shapewise.errors import DataError

PREDICTIONS = "predictions"
RESULTS = ("metrics.csv", "biomarkers.csv", "volumes.csv", "values.csv", "scans.csv", PREDICTIONS)
"""What an evaluation leaves, the file that says that it is whole first."""

logger = logging.getLogger(__name__)


def prediction_name(name: str, frame: int) -> str:
    """File name of a scan's predicted mask.

    Examples:
        >>> prediction_name("patient001", 1)
        'patient001_frame01.nii.gz'
    """
    return f"{name}_frame{frame:02d}.nii.gz"


def result_path(folder: Path, name: str, split: str) -> Path:
    """Where a split's results lie; the test split's have the plain names.

    Examples:
        >>> [result_path(Path("run"), "metrics.csv", split).name for split in ("test", "validation")]
        ['metrics.csv', 'metrics_validation.csv']
    """
    plain = Path(name)
    return folder / (name if split == "test" else f"{plain.stem}_{split}{plain.suffix}")


def discard_results(folder: Path) -> None:
    """Remove what earlier evaluations left in a run folder, before its training goes on and they are past.

    Metrics go first, so that no half of an evaluation looks whole.
    """
    found = [
        path
        for split in (*SPLITS, NEW)
        for name in RESULTS
        if (path := result_path(folder, name, split)).exists()
    ]
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if found:
        logger.warning("removed the results of fewer epochs: %s", ", ".join(path.name for path in found))


@contextmanager
def staging(out_dir: Path, split: str) -> Iterator[Path]:
    """Lend a folder, and move what was written there into the run folder once the block is done."""
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=out_dir) as folder:
            yield Path(folder)
            _move(Path(folder), out_dir, split)
    except OSError as error:
        raise DataError(out_dir, expected="a folder that can be written", found=error) from error


def _move(stage: Path, out_dir: Path, split: str) -> None:
    """Replace earlier results; metrics go first and come last, so that what lies beside them is theirs."""
    result_path(out_dir, RESULTS[0], split).unlink(missing_ok=True)
    predictions = result_path(out_dir, PREDICTIONS, split)
    if predictions.exists():
        os.replace(predictions, stage / "earlier")
    for name in reversed(RESULTS):
        os.replace(stage / name, result_path(out_dir, name, split))
