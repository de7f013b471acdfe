from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shapewise.errors import DataError
from shapewise.evaluation.biomarkers import agreement, biomarkers, find_published, read_published

VOLUMES = ["patient", "phase", "class", "volume_ml", "volume_ml_reference"]


def heart(patient: str = "p1") -> list[tuple[object, ...]]:
    return [
        (patient, "ED", "LV", 150.0, 160.0),
        (patient, "ES", "LV", 60.0, 80.0),
        (patient, "ED", "RV", 100.0, 100.0),
        (patient, "ES", "RV", 75.0, 50.0),
        (patient, "ED", "Myo", 100.0, 120.0),
        (patient, "ES", "Myo", 90.0, 110.0),
    ]


def lookup(frame: pd.DataFrame, column: str) -> dict[str, float]:
    return dict(zip(frame["quantity"], frame[column], strict=True))


def test_by_hand() -> None:
    frame = biomarkers(pd.DataFrame(heart(), columns=VOLUMES))
    assert list(frame.columns) == ["patient", "quantity", "predicted", "reference"]
    assert lookup(frame, "predicted") == pytest.approx(
        {
            "lv_edv_ml": 150,
            "lv_esv_ml": 60,
            "lv_ef": 0.6,
            "rv_edv_ml": 100,
            "rv_esv_ml": 75,
            "rv_ef": 0.25,
            "myo_mass_g": 105,
        }
    )
    assert lookup(frame, "reference")["lv_ef"] == pytest.approx(0.5)
    assert lookup(frame, "reference")["myo_mass_g"] == pytest.approx(126)


def test_published_numbers_win_and_the_masks_fill_the_rest() -> None:
    published = pd.DataFrame({"lv_edv_ml": [170.0], "lv_ef": [np.nan]}, index=["p1"])
    reference = lookup(biomarkers(pd.DataFrame(heart(), columns=VOLUMES), published), "reference")
    assert reference["lv_edv_ml"] == 170
    assert reference["lv_ef"] == pytest.approx(0.5)
    assert reference["myo_mass_g"] == pytest.approx(126)


def test_no_mask_and_no_published_number_is_unknown() -> None:
    volumes = pd.DataFrame(heart(), columns=VOLUMES).assign(volume_ml_reference=np.nan)
    assert biomarkers(volumes)["reference"].isna().all()


def test_a_ventricle_that_was_missed_at_ed_has_no_ejection_fraction() -> None:
    volumes = pd.DataFrame([("p1", "ED", "LV", 0.0, 1.0), ("p1", "ES", "LV", 0.0, 1.0)], columns=VOLUMES)
    assert lookup(biomarkers(volumes), "predicted") == pytest.approx(
        {"lv_edv_ml": 0, "lv_esv_ml": 0, "lv_ef": np.nan}, nan_ok=True
    )


def test_what_is_no_heart_has_no_biomarkers() -> None:
    prostate = pd.DataFrame([("p1", None, "Prostate", 40.0, 42.0)], columns=VOLUMES)
    assert biomarkers(prostate).empty
    assert list(biomarkers(prostate).columns) == ["patient", "quantity", "predicted", "reference"]
    assert agreement(biomarkers(prostate)).empty


def test_agreement_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "patient": list("abcd"),
            "quantity": "lv_edv_ml",
            "predicted": [101.0, 98.0, 104.0, np.nan],
            "reference": [100.0, 100.0, 100.0, 90.0],
        }
    )
    found = agreement(frame).loc["lv_edv_ml"]
    assert found["n"] == 3
    assert found["missing"] == 1
    assert found["bias"] == pytest.approx(1)  # differences 1, -2, 4
    assert found["sd"] == pytest.approx(3)
    assert found["lower_limit"] == pytest.approx(1 - 1.96 * 3)
    assert found["upper_limit"] == pytest.approx(1 + 1.96 * 3)
    assert found["mean_absolute_error"] == pytest.approx(7 / 3)
    assert np.isnan(found["correlation"])  # the reference is constant


def test_correlation_agrees_with_numpy() -> None:
    predicted, reference = np.random.default_rng(0).normal(size=(2, 12))
    frame = pd.DataFrame({"quantity": "lv_ef", "predicted": predicted, "reference": reference})
    assert agreement(frame).loc["lv_ef", "correlation"] == pytest.approx(
        np.corrcoef(predicted, reference)[0, 1]
    )


def test_two_pairs_always_lie_on_a_line() -> None:
    frame = pd.DataFrame({"quantity": "lv_ef", "predicted": [0.5, 0.9], "reference": [0.4, 0.3]})
    found = agreement(frame).loc["lv_ef"]
    assert np.isnan(found["correlation"])
    assert found["sd"] > 0


def test_one_pair_has_no_spread() -> None:
    found = agreement(pd.DataFrame({"quantity": "lv_ef", "predicted": [0.5], "reference": [0.4]})).loc[
        "lv_ef"
    ]
    assert found["bias"] == pytest.approx(0.1)
    assert found[["sd", "lower_limit", "upper_limit", "correlation"]].isna().all()


def test_published_file_is_found_beside_the_data(tmp_path: Path) -> None:
    root = tmp_path / "acdc"
    (root / "training").mkdir(parents=True)
    assert find_published(root) is None
    table = root / "reference_biomarkers.csv"
    table.write_text("patient,lv_ef\npatient001,0.5\n", encoding="utf-8")
    assert find_published(root) == table
    assert find_published(root / "training") == table
    assert read_published(table).loc["patient001", "lv_ef"] == 0.5


def test_a_published_patient_may_be_called_na(tmp_path: Path) -> None:
    table = tmp_path / "reference_biomarkers.csv"
    table.write_text("patient,lv_ef\nNA,0.5\n007,\n", encoding="utf-8")
    assert list(read_published(table).index) == ["NA", "007"]
    assert read_published(table)["lv_ef"].isna().tolist() == [False, True]


@pytest.mark.parametrize("text", ["", "name,lv_ef\na,0.5\n", "patient,lv_ef\na,0.5\na,0.6\n"])
def test_a_bad_published_file_is_named(tmp_path: Path, text: str) -> None:
    table = tmp_path / "reference_biomarkers.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="reference_biomarkers"):
        read_published(table)
