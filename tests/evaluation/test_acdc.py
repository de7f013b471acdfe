"""On the challenge's own data, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from shapewise.data.cases import Case
from shapewise.data.layouts import find_cases
from shapewise.evaluation.biomarkers import QUANTITIES, agreement, biomarkers, find_published, read_published
from shapewise.evaluation.metrics import volume_ml

DATA = Path(os.environ.get("SHAPEWISE_DATA", Path(__file__).parents[3] / "shared" / "data"))
ACDC = DATA / "acdc"

pytestmark = pytest.mark.skipif(not ACDC.is_dir(), reason=f"no ACDC data in {ACDC}; set SHAPEWISE_DATA")


def mask_volumes(case: Case, classes: tuple[str, ...]) -> list[tuple[object, ...]]:
    volume = case.read_image()
    labels = case.read_mask(classes, volume)
    found = [(name, volume_ml(labels == k, volume.spacing)) for k, name in enumerate(classes, start=1)]
    return [(case.patient, case.phase, name, ml, float("nan")) for name, ml in found]


def test_reference_masks_give_the_published_biomarkers() -> None:
    """Every ventricle, ED and ES by Info.cfg: the published volumes are the masks' own."""
    study = find_cases(ACDC)
    patients = sorted({case.patient for case in study.cases})[::10]
    rows = [
        row for case in study.cases if case.patient in patients for row in mask_volumes(case, study.classes)
    ]
    volumes = pd.DataFrame(rows, columns=["patient", "phase", "class", "volume_ml", "volume_ml_reference"])
    path = find_published(ACDC)
    assert path is not None
    frame = biomarkers(volumes, read_published(path))
    published = frame[frame["quantity"] != "myo_mass_g"]
    assert len(published) == len(patients) * (len(QUANTITIES) - 1)
    error = (published["predicted"] / published["reference"] - 1).abs()
    assert error.max() < 1e-4
    assert frame.loc[frame["quantity"] == "myo_mass_g", "predicted"].between(50, 400).all()
    assert (agreement(published)["correlation"] > 0.9999).all()
