from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK
import torch
from torch import nn

from shapewise.data.cases import Study
from shapewise.data.layouts import find_cases
from shapewise.data.prepare import Preprocessing, prepare_images
from shapewise.errors import DataError
from shapewise.evaluation.evaluate import METRICS, evaluate_cases

SPACING = (8.0, 1.5, 1.25)  # slice, row, column
SHAPE = (3, 24, 20)
PREPROCESSING = Preprocessing((32, 32))


class Threshold(nn.Module):
    """Separates four intensities: a network that segments these phantoms as well as their grid allows."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
        levels = torch.arange(4.0).reshape(1, 4, 1, 1) / 3
        return -200 * self.scale * ((image - low) / (high - low) - levels).abs()


def heart(lv: int) -> np.ndarray:
    """Labels with an LV of 4 x `lv` pixels in a Myo frame, and an RV beside it, on every slice."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 4:18, 6:16] = 2
    labels[:, 8:12, 8 : 8 + lv] = 3
    labels[:, 8:16, 1:4] = 1
    return labels


def write(voxels: np.ndarray, path: Path) -> None:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin((5.0, -3.0, 2.0))
    SimpleITK.WriteImage(image, str(path))


def write_patient(root: Path, name: str, *, masks: bool = True) -> None:
    folder = root / "training" / name
    folder.mkdir(parents=True)
    (folder / "Info.cfg").write_text("ED: 1\nES: 7\n", encoding="utf-8")
    for frame, lv in ((1, 6), (7, 3)):
        labels = heart(lv)
        write(labels.astype(np.float32) * 100, folder / f"{name}_frame{frame:02d}.nii.gz")
        if masks:
            write(labels, folder / f"{name}_frame{frame:02d}_gt.nii.gz")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    root = tmp_path / "data"
    write_patient(root, "patient001")
    write_patient(root, "patient002")
    return find_cases(root)


def test_a_perfect_network_end_to_end(study: Study, tmp_path: Path) -> None:
    metrics = evaluate_cases(Threshold(), study, Preprocessing(SHAPE[1:]), tmp_path / "run")
    assert list(metrics.columns) == list(METRICS)
    assert len(metrics) == 2 * 2 * 3
    assert (metrics[["dice", "satisfied"]] == 1).all(axis=None)
    assert (metrics[["hd95_mm", "assd_mm"]] == 0).all(axis=None)
    assert metrics["phase"].tolist()[:6] == ["ED"] * 3 + ["ES"] * 3
    lv = metrics[(metrics["class"] == "LV") & (metrics["frame"] == 1)]
    assert lv["volume_ml"].tolist() == pytest.approx([3 * 4 * 6 * 15 / 1000] * 2)
    assert lv["volume_ml_reference"].tolist() == pytest.approx([3 * 4 * 6 * 15 / 1000] * 2)
    written = pd.read_csv(tmp_path / "run" / "metrics.csv")
    pd.testing.assert_frame_equal(written, metrics, check_dtype=False, rtol=1e-6)


def test_a_coarser_grid_costs_overlap(study: Study, tmp_path: Path) -> None:
    metrics = evaluate_cases(Threshold(), study, Preprocessing((16, 16)), tmp_path / "run")
    assert metrics["dice"].between(0.5, 0.99).all()
    assert (metrics["assd_mm"] > 0).all()


def test_biomarkers_and_values_are_written(study: Study, tmp_path: Path) -> None:
    evaluate_cases(Threshold(), study, PREPROCESSING, tmp_path / "run", descriptors=("volume", "centroid"))
    biomarkers = pd.read_csv(tmp_path / "run" / "biomarkers.csv")
    assert len(biomarkers) == 2 * 7
    fraction = biomarkers[biomarkers["quantity"] == "lv_ef"]
    assert fraction["reference"].tolist() == pytest.approx([0.5, 0.5])
    values = pd.read_csv(tmp_path / "run" / "values.csv")
    assert len(values) == 4 * 3 * 3 * (1 + 2)  # scans, slices, classes, components
    assert set(values["satisfied"]) <= {True, False}
    centroid = values[(values["class"] == "RV") & (values["descriptor"] == "centroid")]
    assert centroid["annotated"].tolist() == pytest.approx([11.5, 2.0] * 12)


def test_predictions_lie_on_their_images(study: Study, tmp_path: Path) -> None:
    evaluate_cases(Threshold(), study, PREPROCESSING, tmp_path / "run")
    names = sorted(path.name for path in (tmp_path / "run" / "predictions").iterdir())
    assert names == [f"patient00{p}_frame0{f}.nii.gz" for p in (1, 2) for f in (1, 7)]
    mask = SimpleITK.ReadImage(str(tmp_path / "run" / "predictions" / names[0]))
    image = SimpleITK.ReadImage(str(study.cases[0].image))
    assert mask.GetOrigin() == pytest.approx(image.GetOrigin())
    assert mask.GetSpacing() == pytest.approx(image.GetSpacing())
    assert mask.GetPixelID() == SimpleITK.sitkUInt8


def test_published_biomarkers_win(study: Study, tmp_path: Path) -> None:
    (tmp_path / "data" / "reference_biomarkers.csv").write_text(
        "patient,lv_ef\npatient001,0.61\n", encoding="utf-8"
    )
    evaluate_cases(Threshold(), study, PREPROCESSING, tmp_path / "run", root=tmp_path / "data")
    biomarkers = pd.read_csv(tmp_path / "run" / "biomarkers.csv").set_index(["patient", "quantity"])
    assert biomarkers.loc[("patient001", "lv_ef"), "reference"] == 0.61
    assert biomarkers.loc[("patient002", "lv_ef"), "reference"] == pytest.approx(0.5)


def test_a_case_without_a_mask_is_predicted_and_said_to_be_unmeasured(
    study: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_patient(tmp_path / "data", "patient000", masks=False)
    with caplog.at_level(logging.WARNING):
        metrics = evaluate_cases(Threshold(), find_cases(tmp_path / "data"), PREPROCESSING, tmp_path / "run")
    assert set(metrics["case"]) == {"patient001", "patient002"}
    assert metrics["dice"].dtype == np.float64
    assert (tmp_path / "run" / "predictions" / "patient000_frame01.nii.gz").is_file()
    assert "patient000 frame 1, patient000 frame 7" in caplog.text
    biomarkers = pd.read_csv(tmp_path / "run" / "biomarkers.csv")
    unmeasured = biomarkers[biomarkers["patient"] == "patient000"]
    assert unmeasured["predicted"].notna().all()
    assert unmeasured["reference"].isna().all()
    volumes = pd.read_csv(tmp_path / "run" / "volumes.csv").set_index(["case", "phase", "class"])["volume_ml"]
    assert len(volumes) == 3 * 2 * 3
    scans = pd.read_csv(tmp_path / "run" / "scans.csv").set_index(["case", "frame"])
    assert scans["mask"].isna().tolist() == [True, True, False, False, False, False]
    image = Path(scans.loc[("patient001", 7), "image"])
    assert image == tmp_path / "data" / "training" / "patient001" / "patient001_frame07.nii.gz"
    assert scans.loc[("patient001", 7), "bytes"] == image.stat().st_size
    ventricle = unmeasured.set_index("quantity")["predicted"]["lv_edv_ml"]
    assert volumes["patient000", "ED", "LV"] == ventricle


def test_nothing_but_unmeasured_cases_still_writes_every_table(tmp_path: Path) -> None:
    write_patient(tmp_path / "data", "patient001", masks=False)
    metrics = evaluate_cases(Threshold(), find_cases(tmp_path / "data"), PREPROCESSING, tmp_path / "run")
    assert metrics.empty
    assert list(pd.read_csv(tmp_path / "run" / "metrics.csv").columns) == list(METRICS)
    assert pd.read_csv(tmp_path / "run" / "values.csv").empty


def write_promise(folder: Path) -> Study:
    """A case whose header says nothing about its spacing."""
    folder.mkdir()
    image = SimpleITK.GetImageFromArray(heart(6).astype(np.int16) // 3 * 100)
    SimpleITK.WriteImage(image, str(folder / "Case00.mhd"))
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(heart(6) // 3), str(folder / "Case00_segmentation.mhd"))
    return find_cases(folder)


def test_unknown_spacing_leaves_the_millimetres_empty(tmp_path: Path) -> None:
    study = write_promise(tmp_path / "promise")
    metrics = evaluate_cases(TwoClasses(), study, PREPROCESSING, tmp_path / "run")
    assert metrics["dice"].iloc[0] > 0.9
    assert metrics[["hd95_mm", "assd_mm", "volume_ml", "volume_ml_reference"]].isna().all(axis=None)
    assert metrics["satisfied"].iloc[0] > 0.5
    assert pd.read_csv(tmp_path / "run" / "biomarkers.csv").empty


def test_a_placeholder_is_no_spacing_to_resample_by(tmp_path: Path) -> None:
    """Training refuses it in the same words."""
    study = write_promise(tmp_path / "promise")
    preprocessing = Preprocessing((32, 32), spacing=0.5)
    with pytest.raises(DataError, match=r"Case00.*known spacing") as evaluating:
        evaluate_cases(TwoClasses(), study, preprocessing, tmp_path / "run")
    with pytest.raises(DataError) as preparing:
        prepare_images(study.cases, preprocessing, tmp_path / "cache")
    assert str(evaluating.value) == str(preparing.value)
    assert not (tmp_path / "run").exists()


class TwoClasses(nn.Module):
    """Foreground where the image is bright."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        middle = (image.amin((1, 2, 3), keepdim=True) + image.amax((1, 2, 3), keepdim=True)) / 2
        return torch.cat([middle - image, image - middle], dim=1) * 50


def test_a_damaged_case_leaves_earlier_results_alone(study: Study, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate_cases(Threshold(), study, PREPROCESSING, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    damaged = study.cases[-1].image
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(DataError, match=damaged.name):
        evaluate_cases(Threshold(), study, PREPROCESSING, run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def test_another_split_has_results_of_its_own(study: Study, tmp_path: Path) -> None:
    for split in ("test", "train"):
        evaluate_cases(Threshold(), study, PREPROCESSING, tmp_path / "run", split=split)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("metrics.csv", "values.csv", "volumes.csv", "biomarkers.csv", "scans.csv", "predictions"),
        *("metrics_train.csv", "values_train.csv", "volumes_train.csv", "biomarkers_train.csv"),
        *("scans_train.csv", "predictions_train"),
    }


def test_another_evaluation_replaces_the_predictions(study: Study, tmp_path: Path) -> None:
    for case in (study.cases[0], study.cases[-1]):
        evaluate_cases(
            Threshold(), Study([case], study.classes, study.layout), PREPROCESSING, tmp_path / "run"
        )
    assert [path.name for path in (tmp_path / "run" / "predictions").iterdir()] == [
        "patient002_frame07.nii.gz"
    ]


def test_an_empty_split_is_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one case"):
        evaluate_cases(Threshold(), Study([], study.classes, study.layout), PREPROCESSING, tmp_path / "run")
    assert not (tmp_path / "run").exists()
