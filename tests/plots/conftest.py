"""Run folders as training and evaluation leave them: synthetic hearts, and predictions that err."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from shapewise.config import parse_experiment
from shapewise.data.cases import Case, file_table
from shapewise.evaluation.biomarkers import biomarkers
from shapewise.evaluation.evaluate import VOLUMES
from shapewise.evaluation.metrics import dice, surface_distances_mm, volume_ml
from shapewise.run_folder import RunFolder

CLASSES = ("RV", "Myo", "LV")
SPACING = (10.0, 1.8, 1.4)
SHAPE = (7, 72, 88)
PHASES = {1: "ED", 9: "ES"}


@dataclass(frozen=True)
class Heart:
    """Centre and radii in mm of a left ventricle in its wall, beside a right ventricle."""

    row: float
    column: float
    cavity: float
    wall: float
    right: float


def labels_of(heart: Heart) -> np.ndarray:
    """Paint a heart that narrows towards its apex: (slice, row, column), labels as ACDC's."""
    row, column = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(SHAPE[1:], SPACING[1:], strict=True)), indexing="ij"
    )
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for index in range(1, SHAPE[0] - 1):
        size = 1.0 - 0.1 * (index - 1)
        distance = np.hypot(row - heart.row, column - heart.column)
        beside = np.hypot((row - heart.row) / 1.25, column - (heart.column - heart.cavity * 1.25))
        if index < SHAPE[0] - 2:
            labels[index][beside < heart.right * size] = 1
        labels[index][distance < (heart.cavity + heart.wall) * size] = 2
        labels[index][distance < heart.cavity * size] = 3
    return labels


def image_of(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give labels the look of a scan: bright blood, dark wall, grey body, dark lungs, noise."""
    row, column = np.meshgrid(*(np.linspace(-1, 1, n) for n in labels.shape[1:]), indexing="ij")
    body = np.where((row / 0.95) ** 2 + (column / 0.9) ** 2 < 1, 260.0, 20.0)
    body[np.hypot((row + 0.1) / 0.6, (column - 0.55) / 0.25) < 1] = 60.0
    image = np.broadcast_to(body, labels.shape).copy()
    for label, intensity in enumerate((620.0, 170.0, 680.0), start=1):
        image[labels == label] = intensity
    return image * (1 + 0.15 * column) + rng.normal(0, 25, labels.shape)


def write_volume(array: np.ndarray, path: Path) -> None:
    volume = SimpleITK.GetImageFromArray(array)
    volume.SetSpacing(SPACING[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(volume, str(path))


def make_study(folder: Path, patients: int, seed: int = 0) -> dict[tuple[str, int], Heart]:
    """Write images and masks in ACDC's layout; returns the heart of each scan."""
    rng = np.random.default_rng(seed)
    hearts = {}
    for number in range(1, patients + 1):
        name = f"patient{number:03d}"
        heart = Heart(*rng.normal((64, 66, 22, 9, 20), (5, 5, 3, 1.2, 2.5)))
        squeezed = replace(
            heart,
            cavity=heart.cavity * rng.uniform(0.62, 0.85),
            wall=heart.wall * 1.25,
            right=heart.right * 0.8,
        )
        for frame, scan in ((1, heart), (9, squeezed)):
            labels = labels_of(scan)
            stem = folder / name / f"{name}_frame{frame:02d}"
            write_volume(image_of(labels, rng).astype(np.float32), stem.with_suffix(".nii.gz"))
            write_volume(labels, stem.with_name(stem.name + "_gt.nii.gz"))
            hearts[name, frame] = scan
    return hearts


def mistaken(heart: Heart, error: float, rng: np.random.Generator) -> Heart:
    """What a network with this error, in mm, takes a heart for."""
    off = rng.normal(0, error, 5)
    return Heart(
        heart.row + off[0],
        heart.column + off[1],
        heart.cavity + off[2],
        max(3.0, heart.wall + 0.7 * off[3]),
        heart.right + 1.2 * off[4],
    )


def make_run(
    folder: Path,
    study: Path,
    hearts: dict[tuple[str, int], Heart],
    *,
    name: str,
    supervision: str | dict[str, Any] = "barrier",
    error: float = 1.5,
    epochs: int = 12,
    seed: int = 0,
) -> Path:
    """Write a run folder as `shapewise train` and `shapewise evaluate` would."""
    rng = np.random.default_rng(seed + 1)
    experiment = parse_experiment(
        {
            "name": name,
            "supervision": supervision,
            "training": {"epochs": epochs, "seed": seed},
            "data": {"root": str(study), "preprocessing": {"size": [128, 128]}},
        },
        where="a test",
    )
    RunFolder(folder).start(experiment, data_root=study, classes=CLASSES)
    scans, metrics, values = [], [], []
    for (case, frame), heart in hearts.items():
        stem = study / case / f"{case}_frame{frame:02d}"
        image, mask = stem.with_suffix(".nii.gz"), stem.with_name(stem.name + "_gt.nii.gz")
        scans.append(Case(case, case, frame, image, mask, PHASES[frame]))
        truth, predicted = labels_of(heart), labels_of(mistaken(heart, error, rng))
        write_volume(predicted, folder / "predictions" / f"{case}_frame{frame:02d}.nii.gz")
        metrics += metric_rows(case, frame, predicted, truth)
        values += value_rows(case, frame, predicted, truth)
    write_tables(folder, scans, metrics, values)
    training_log(metrics, epochs, rng).to_csv(folder / "log.csv", index=False)
    return folder


def metric_rows(case: str, frame: int, predicted: np.ndarray, truth: np.ndarray) -> list[dict[str, Any]]:
    rows = []
    for label, name in enumerate(CLASSES, start=1):
        one, other = predicted == label, truth == label
        hd95, assd = surface_distances_mm(one, other, SPACING)
        rows.append(
            {"case": case, "frame": frame, "phase": PHASES[frame], "class": name, "dice": dice(one, other)}
            | {"hd95_mm": hd95, "assd_mm": assd}
            | {"volume_ml": volume_ml(one, SPACING), "volume_ml_reference": volume_ml(other, SPACING)}
        )
    return rows


def value_rows(case: str, frame: int, predicted: np.ndarray, truth: np.ndarray) -> list[dict[str, Any]]:
    rows = []
    for index in range(len(truth)):
        for label, name in enumerate(CLASSES, start=1):
            found, annotated = (describe(volume[index] == label) for volume in (predicted, truth))
            for (descriptor, component), value in annotated.items():
                got = found[descriptor, component]
                margin = 0.1 * (annotated["spread", component] if descriptor == "centroid" else abs(value))
                rows.append(
                    {"case": case, "frame": frame, "slice": index, "class": name, "descriptor": descriptor}
                    | {"component": component, "predicted": got, "annotated": value}
                    | {"lower": value - margin, "upper": value + margin}
                    | {"satisfied": abs(got - value) <= margin if np.isfinite(value) else np.nan}
                )
    return rows


def describe(mask: np.ndarray) -> dict[tuple[str, int], float]:
    points = np.argwhere(mask)
    centre = points.mean(0) if len(points) else np.full(2, np.nan)
    spread = points.std(0) if len(points) else np.full(2, np.nan)
    length = (
        sum(np.abs(np.diff(mask.astype(int), axis=axis)).sum() for axis in (0, 1)) if len(points) else np.nan
    )
    numbers = {"volume": [mask.sum()], "centroid": centre, "spread": spread, "length": [length]}
    return {(name, i): float(v) for name, vs in numbers.items() for i, v in enumerate(vs)}


def write_tables(folder: Path, scans: list[Case], metrics: list[Any], values: list[Any]) -> None:
    file_table(scans).to_csv(folder / "scans.csv", index=False)
    table = pd.DataFrame(metrics)
    table.to_csv(folder / "metrics.csv", index=False)
    pd.DataFrame(values).to_csv(folder / "values.csv", index=False)
    table.assign(patient=table["case"])[list(VOLUMES)].to_csv(folder / "volumes.csv", index=False)
    biomarkers(table.rename(columns={"case": "patient"})).to_csv(folder / "biomarkers.csv", index=False)


def training_log(metrics: list[dict[str, Any]], epochs: int, rng: np.random.Generator) -> pd.DataFrame:
    """Validation Dice that climbs towards what the run reached."""
    reached = pd.DataFrame(metrics).groupby("class")["dice"].mean()
    climb = 1 - np.exp(-np.linspace(0, 4, epochs))
    log = pd.DataFrame({"epoch": range(epochs), "seconds": rng.uniform(20, 25, epochs)})
    for name in CLASSES:
        log[f"val_dice_{name}"] = np.clip(reached[name] * climb + rng.normal(0, 0.015, epochs), 0, 1)
    return log.assign(val_dice=log[[f"val_dice_{name}" for name in CLASSES]].mean(axis=1))


def make_runs(folder: Path, patients: int, epochs: int = 12) -> list[Path]:
    """A study and two runs on it: pixels, and a barrier that errs more."""
    study = folder / "study"
    hearts = make_study(study, patients)
    kinds = {"pixels": 0.9, "barrier": 2.0}
    return [
        make_run(
            folder / kind, study, hearts, name=f"acdc {kind}", supervision=kind, error=error, epochs=epochs
        )
        for kind, error in kinds.items()
    ]


@pytest.fixture(scope="session")
def finished_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs that no test may change."""
    return make_runs(tmp_path_factory.mktemp("runs"), patients=4)


@pytest.fixture
def two_runs(finished_runs: list[Path], tmp_path: Path) -> list[Path]:
    """Copies of the two runs, to be changed at will; they share the study with the originals."""
    return [Path(shutil.copytree(run, tmp_path / run.name)) for run in finished_runs]


@pytest.fixture
def bare_runs(two_runs: list[Path]) -> list[Path]:
    """The same without a mask: nothing was measured against one."""
    for run in two_runs:
        tables = {
            name: pd.read_csv(run / f"{name}.csv") for name in ("metrics", "scans", "biomarkers", "log")
        }
        tables["metrics"] = tables["metrics"].head(0)
        tables["scans"]["mask"] = None
        tables["biomarkers"]["reference"] = None
        epochs = len(tables["log"])
        volume, spread = np.linspace(0.5, 0.9, epochs), np.linspace(0.6, 0.8, epochs)
        tables["log"] = tables["log"][["epoch", "seconds"]].assign(
            val_satisfied=(volume + spread) / 2, val_satisfied_volume=volume, val_satisfied_spread=spread
        )
        for name, table in tables.items():
            table.to_csv(run / f"{name}.csv", index=False)
    return two_runs
