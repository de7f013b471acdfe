"""Predicts every case of a split and writes what there is to say about it into the run folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from shapewise.data.cases import Case, Study, Volume, file_table
from shapewise.data.prepare import Preprocessing
from shapewise.errors import DataError
from shapewise.evaluation import biomarkers as hearts
from shapewise.evaluation import values as numbers
from shapewise.evaluation.files import write_csv, write_mask
from shapewise.evaluation.metrics import dice, surface_distances_mm, volume_ml
from shapewise.evaluation.prediction import predict_volume
from shapewise.evaluation.result_files import PREDICTIONS, prediction_name, staging
from shapewise.progress import watched

METRICS = (
    "case",
    "frame",
    "phase",
    "class",
    "dice",
    "hd95_mm",
    "assd_mm",
    "volume_ml",
    "volume_ml_reference",
    "satisfied",
)
VOLUMES = ("case", "patient", "frame", "phase", "class", "volume_ml", "volume_ml_reference")
logger = logging.getLogger(__name__)

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scan:
    """One case with its prediction: all that the tables are made of."""

    case: Case
    volume: Volume
    predicted: Labels
    annotated: Labels | None

    @property
    def spacing(self) -> tuple[float, float, float] | None:
        """Millimetres along (slice, row, column), None where the header's are a placeholder."""
        return self.volume.spacing if self.case.spacing_known else None


def evaluate_cases(
    network: nn.Module,
    study: Study,
    preprocessing: Preprocessing,
    out_dir: str | Path,
    *,
    split: str = "test",
    root: Path | None = None,
    table: pd.DataFrame | None = None,
    descriptors: Sequence[str] = numbers.DESCRIPTORS,
    margins: numbers.Margins | None = None,
    whole: bool = False,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
) -> pd.DataFrame:
    """Predict cases and write the `RESULTS`: metrics, values, volumes, biomarkers, scans and predicted masks.

    A case without a mask is predicted and its volumes measured, but it has no row in the metrics (the log
    says so); its values are compared if the table has it, its biomarkers if they are published. Where the
    spacing is unknown the columns in mm and mL are empty. Nothing is replaced before every case is done.

    Args:
        network: Slices (B, 1, h, w) to logits (B, K, h, w).
        study: The cases to predict, and the classes.
        preprocessing: What the network was trained with.
        out_dir: The run folder.
        split: What the cases are; `metrics.csv` is the test split's, any other's is `metrics_SPLIT.csv`, and
            so for the rest.
        root: The data folder, whose `reference_biomarkers.csv` is read if it has one.
        table: Descriptor table that annotates the cases; one that it lacks is described from its mask.
        descriptors: Registered names to compare.
        margins: How far a prediction may be from its annotation, as the loss was told.
        whole: Compare the descriptors of whole volumes, not of slices.
        device: Where the network is run.
        batch_size: Slices at once.

    Returns:
        The metrics: one row a case, frame and class, with the columns `METRICS`.

    Raises:
        DataError: There are no cases, an image or mask cannot be read, or the folder not be written; the
            spacing of an image is unknown and the preprocessing resamples by it.
    """
    if not study.cases:
        raise DataError("evaluation", expected="at least one case", found="none")
    _require_spacing(study.cases, preprocessing)
    published = None if root is None else hearts.find_published(root)
    references = None if published is None else hearts.read_published(published)
    classes = study.classes
    metrics, values, volumes = [], [], []
    with staging(Path(out_dir), split) as stage:
        for case in watched(study.cases, "Evaluating"):
            scan = _predict(network, case, classes, preprocessing, device, batch_size)
            mask = stage / PREDICTIONS / prediction_name(case.name, case.frame)
            write_mask(scan.predicted, case.image, mask)
            annotation = _annotation(scan, table, classes, descriptors, whole)
            rows = _values(scan, annotation, classes, descriptors, margins, preprocessing)
            values.append(rows)
            volumes.append(_volumes(scan, classes))
            metrics.append(_metrics(scan, volumes[-1], rows))
        measured = _join(metrics, METRICS)
        write_csv(file_table(study.cases), stage / "scans.csv")
        write_csv(_join(values, numbers.COLUMNS), stage / "values.csv")
        found = pd.concat(volumes, ignore_index=True)
        write_csv(found, stage / "volumes.csv")
        write_csv(hearts.biomarkers(found, references), stage / "biomarkers.csv")
        write_csv(measured, stage / "metrics.csv")
    _report_unmeasured(study.cases)
    return measured


def _require_spacing(cases: Sequence[Case], preprocessing: Preprocessing) -> None:
    """Refuse what training refuses: to resample by a header's placeholder."""
    unknown = [case for case in cases if not case.spacing_known]
    if preprocessing.spacing is not None and unknown:
        expected = f"a known spacing, to resample to {preprocessing.spacing} mm"
        raise DataError(unknown[0].image, expected=expected, found="none")


def _predict(
    network: nn.Module,
    case: Case,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    device: torch.device | str,
    batch_size: int,
) -> Scan:
    volume = case.read_image()
    spacing = volume.spacing if case.spacing_known else None
    annotated = None if case.mask is None else case.read_mask(classes, volume)
    predicted = predict_volume(
        network, volume.image, spacing, preprocessing, device=device, batch_size=batch_size
    )
    return Scan(case, volume, predicted, annotated)


def _values(
    scan: Scan,
    annotation: numbers.Annotation | None,
    classes: Sequence[str],
    descriptors: Sequence[str],
    margins: numbers.Margins | None,
    preprocessing: Preprocessing,
) -> pd.DataFrame:
    if annotation is None:
        return pd.DataFrame(columns=list(numbers.COLUMNS))
    height, width = scan.predicted.shape[1:]
    frame = preprocessing.frame((height, width), scan.spacing and scan.spacing[1:])
    key = scan.case.name, scan.case.frame
    return numbers.compare_values(
        scan.predicted,
        annotation,
        key=key,
        frame=frame,
        classes=classes,
        descriptors=descriptors,
        margins=margins,
    )


def _annotation(
    scan: Scan, table: pd.DataFrame | None, classes: Sequence[str], descriptors: Sequence[str], whole: bool
) -> numbers.Annotation | None:
    """From the table where it has the case, else from the mask."""
    if table is not None:
        depth, height, width = scan.predicted.shape
        key = scan.case.name, scan.case.frame
        found = numbers.annotation_from_table(
            table, key, (depth, height, width), scan.spacing, classes, descriptors, whole=whole
        )
        if found is not None:
            return found
    if scan.annotated is None:
        return None
    return numbers.annotation_from_labels(scan.annotated, classes, descriptors, whole=whole)


def _metrics(scan: Scan, volumes: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """One row a class, as the volumes have; none where there is no mask."""
    if scan.annotated is None:
        return pd.DataFrame(columns=list(METRICS))
    satisfied = values.groupby("class")["satisfied"].mean()
    rows = volumes.assign(satisfied=volumes["class"].map(satisfied).astype(float))
    pairs = [(scan.predicted == k, scan.annotated == k) for k in range(1, len(rows) + 1)]
    rows["dice"] = [dice(*pair) for pair in pairs]
    unknown = (np.nan, np.nan)
    spacing = scan.spacing
    distances = [unknown if spacing is None else surface_distances_mm(*pair, spacing) for pair in pairs]
    rows[["hd95_mm", "assd_mm"]] = distances
    return rows[list(METRICS)]


def _volumes(scan: Scan, classes: Sequence[str]) -> pd.DataFrame:
    """Predicted and annotated volume of each class, NaN where the spacing or the mask is missing."""
    rows = [
        (
            scan.case.name,
            scan.case.patient,
            scan.case.frame,
            scan.case.phase,
            name,
            _volume(scan.predicted, k, scan),
            _volume(scan.annotated, k, scan),
        )
        for k, name in enumerate(classes, start=1)
    ]
    return pd.DataFrame(rows, columns=list(VOLUMES))


def _volume(labels: Labels | None, label: int, scan: Scan) -> float:
    if labels is None or scan.spacing is None:
        return float("nan")
    return volume_ml(labels == label, scan.spacing)


def _join(parts: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """One table of many; empty parts have no types and would take those of the others away."""
    filled = [part for part in parts if not part.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))


def _report_unmeasured(cases: Sequence[Case]) -> None:
    unmeasured = sorted({f"{case.name} frame {case.frame}" for case in cases if case.mask is None})
    if unmeasured:
        logger.warning("no mask, so predicted but not measured: %s", ", ".join(unmeasured))
