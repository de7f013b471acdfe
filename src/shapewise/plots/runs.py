"""What the figures and the report know of a run: the tables in its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from shapewise.config import Experiment
from shapewise.data.cases import Case
from shapewise.errors import RunError
from shapewise.evaluation.result_files import PREDICTIONS, prediction_name
from shapewise.plots.tables import check_metrics, check_scans, read_result, require_result
from shapewise.run_folder import RunFolder


@dataclass(frozen=True)
class Run:
    """One run to compare: how it is called, how it was made, and its tables (None: it has no such file).

    `evaluated` has a row a scan; where none of them has a mask the metrics have no row, and there are the
    predictions to look at.
    """

    folder: Path
    label: str
    experiment: Experiment
    record: dict[str, Any]
    metrics: pd.DataFrame
    evaluated: pd.DataFrame
    log: pd.DataFrame | None
    values: pd.DataFrame | None
    volumes: pd.DataFrame | None
    biomarkers: pd.DataFrame | None

    @property
    def measured(self) -> bool:
        """Whether a test case has a mask."""
        return not self.metrics.empty

    @property
    def classes(self) -> list[str]:
        """Foreground classes in label order."""
        return [str(name) for name in pd.unique(self.metrics["class"])] or list(self.record["classes"])

    @property
    def scans(self) -> set[tuple[str, int]]:
        """Case and frame of every volume that was evaluated."""
        return _keys(self.evaluated)

    @property
    def unmasked(self) -> set[tuple[str, int]]:
        """Those of the scans that nothing was measured against."""
        return _keys(self.evaluated[self.evaluated["mask"].isna()])

    @property
    def seconds(self) -> float | None:
        """Time spent in training, None where no file says.

        The log counts every epoch; the record only the sessions that reached their end.
        """
        if self.log is not None and "seconds" in self.log:
            return float(self.log["seconds"].sum())
        return float(self.record["train_seconds"]) or None

    def case(self, name: str, frame: int) -> Case | None:
        """The image and mask of a scan, as `scans.csv` names them; None where it does not."""
        rows = self.evaluated[(self.evaluated["case"] == name) & (self.evaluated["frame"] == frame)]
        if rows.empty:
            return None
        row = rows.iloc[0]
        mask, phase = row["mask"], row["phase"]
        return Case(
            name=name,
            patient=str(row["patient"]),
            frame=frame,
            image=Path(row["image"]),
            mask=Path(mask) if pd.notna(mask) else None,
            phase=str(phase) if pd.notna(phase) else None,
        )

    def prediction(self, name: str, frame: int) -> Path:
        """Where the predicted mask of a scan lies."""
        return self.folder / PREDICTIONS / prediction_name(name, frame)


def load_runs(folders: Sequence[Path]) -> list[Run]:
    """Read the runs to compare, label them, and see that they were evaluated on the same scans.

    Args:
        folders: Run folders, each trained and evaluated.

    Returns:
        The runs in the same order. A label is the experiment's name, with the folder's name added where two
        experiments share one.

    Raises:
        RunError: There is no run, a folder is no run, or lacks metrics.csv, scans.csv or a part of them, or
            two runs were evaluated on different scans or classes.
    """
    if not folders:
        raise RunError("compare", expected="at least one run folder", found="none")
    runs = [load_run(Path(folder)) for folder in folders]
    labels = distinct([(run.experiment.name, run.folder.resolve().name) for run in runs])
    runs = [replace(run, label=label) for run, label in zip(runs, labels, strict=True)]
    for run in runs[1:]:
        _check_same(runs[0], run)
    return runs


def load_run(folder: Path) -> Run:
    """Read one run folder; see `load_runs`."""
    files = RunFolder(folder)
    record, experiment = files.read_record().model_dump(), files.read_experiment()
    metrics, evaluated = (require_result(folder, name) for name in ("metrics", "scans"))
    check_metrics(folder / "metrics.csv", metrics, evaluated)
    tables = {name: read_result(folder, name) for name in ("log", "values", "volumes", "biomarkers")}
    if (volumes := tables["volumes"]) is not None:
        check_scans(folder / "volumes.csv", volumes, evaluated, len(record["classes"]))
    return Run(folder, experiment.name, experiment, record, metrics, evaluated, **tables)


def reference_run(runs: Sequence[Run]) -> Run | None:
    """The first run that was supervised with pixels: what the others are measured against."""
    return next((run for run in runs if run.experiment.supervision.kind == "pixels"), None)


def distinct(names: Sequence[tuple[str, str]]) -> list[str]:
    """Labels from (name, folder) pairs: the name alone where it is enough.

    >>> distinct([("acdc", "a"), ("acdc", "b"), ("mine", "c"), ("mine", "c")])
    ['acdc (a)', 'acdc (b)', 'mine (c)', 'mine (c, 2)']
    """
    shared = Counter(name for name, _ in names)
    labels = [(name, None if shared[name] == 1 else folder) for name, folder in names]
    seen: Counter[tuple[str, str | None]] = Counter()
    result = []
    for name, folder in labels:
        seen[name, folder] += 1
        again = f", {seen[name, folder]}" if seen[name, folder] > 1 else ""
        result.append(name if folder is None else f"{name} ({folder}{again})")
    return result


def _check_same(first: Run, other: Run) -> None:
    if first.classes != other.classes:
        raise RunError(
            other.folder,
            expected=f"the classes of {first.folder}, {', '.join(first.classes)}",
            found=", ".join(other.classes),
        )
    if first.measured != other.measured:
        bare = other if first.measured else first
        raise RunError(
            bare.folder,
            expected="measured test cases, as the other runs have (once there are masks, evaluate it again)",
            found="none with a mask",
        )
    _check_same_scans(first, other)
    if (scan := _first_apart(first.evaluated, other.evaluated, "bytes", ["case", "frame"], 0.0)) is not None:
        raise RunError(
            other.folder,
            expected=f"the images that {first.folder} was evaluated on",
            found=f"another of {_name([scan])}",
        )
    column, key = "volume_ml_reference", ["case", "frame", "class"]
    if (scan := _first_apart(first.metrics, other.metrics, column, key, 1e-3)) is not None:
        raise RunError(
            other.folder,
            expected=f"the same masks behind it as behind {first.folder}",
            found=f"another reference volume of {_name([scan])}",
        )


def _check_same_scans(first: Run, other: Run) -> None:
    """Both the same scans, and masks of the same ones."""
    for here, there, what in (
        (_keys(first.metrics), _keys(other.metrics), "cases with masks"),
        (first.scans, other.scans, "cases"),
    ):
        lacking, added = sorted(here - there), sorted(there - here)
        if lacking or added:
            parts = [f"without {_name(lacking)}"] * bool(lacking) + [f"with {_name(added)}"] * bool(added)
            raise RunError(
                other.folder,
                expected=f"the evaluated {what} of {first.folder} (the same data and split)",
                found=f"{len(there)} scans " + " and ".join(parts),
            )


def _name(scans: Sequence[tuple[str, int]], most: int = 5) -> str:
    names = ", ".join(f"{case} frame {frame}" for case, frame in scans[:most])
    return names + (f" and {len(scans) - most} more" if len(scans) > most else "")


def _first_apart(
    one: pd.DataFrame, other: pd.DataFrame, column: str, key: list[str], tolerance: float
) -> tuple[str, int] | None:
    """A scan of which two tables have another number: equal case names of different data."""
    if column not in one or column not in other:
        return None
    pairs = one.merge(other, on=key, suffixes=("", "_other"))
    apart = (pairs[column] - pairs[f"{column}_other"]).abs() > tolerance * (1 + pairs[column].abs())
    found = pairs[apart]
    return None if found.empty else (str(found.iloc[0]["case"]), int(found.iloc[0]["frame"]))


def _keys(table: pd.DataFrame) -> set[tuple[str, int]]:
    return set(zip(table["case"], table["frame"], strict=True))
