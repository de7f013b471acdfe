from __future__ import annotations

import pandas as pd
import pytest

from shapewise.data import acdc
from shapewise.data.cases import Case
from shapewise.data.layouts import find_cases
from shapewise.errors import DataError


def test_a_patient_is_two_cases(tmp_path, acdc_patient):
    folder = acdc_patient(tmp_path / "training" / "patient012")
    image = "patient012_frame{:02d}.nii.gz".format
    mask = "patient012_frame{:02d}_gt.nii.gz".format
    assert acdc.find(tmp_path) == [
        Case("patient012", "patient012", 1, folder / image(1), folder / mask(1), "ED"),
        Case("patient012", "patient012", 7, folder / image(7), folder / mask(7), "ES"),
    ]


def test_the_info_file_says_which_frame_is_which(tmp_path, acdc_patient):
    folder = acdc_patient(tmp_path / "patient001")
    (folder / "Info.cfg").write_text("ES: 1\r\nED: 7\r\nGroup: DCM\r\n")
    assert {case.phase: case.frame for case in acdc.find(tmp_path)} == {"ED": 7, "ES": 1}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_info_from_any_editor(tmp_path, acdc_patient, encoding):
    folder = acdc_patient(tmp_path / "patient001")
    (folder / "Info.cfg").write_text("ED: 1\nES: 7\nNote: Böhm\n", encoding=encoding)
    assert [case.frame for case in acdc.find(tmp_path)] == [1, 7]


def test_training_and_testing(tmp_path, acdc_patient):
    acdc_patient(tmp_path / "training" / "patient001")
    acdc_patient(tmp_path / "testing" / "patient101", masks=False)
    everyone = find_cases(tmp_path)
    assert [case.name for case in everyone.cases] == ["patient001"] * 2 + ["patient101"] * 2
    assert [case.mask is None for case in everyone.cases] == [False, False, True, True]
    assert {case.name for case in find_cases(tmp_path / "training").cases} == {"patient001"}
    assert {case.name for case in find_cases(tmp_path / "testing").cases} == {"patient101"}


@pytest.mark.parametrize("above", [".", "database"])
def test_the_folder_may_be_the_one_that_was_unpacked(tmp_path, acdc_patient, above):
    acdc_patient(tmp_path / above / "training" / "patient001")
    acdc_patient(tmp_path / above / "testing" / "patient101")
    assert {case.name for case in find_cases(tmp_path).cases} == {"patient001", "patient101"}


@pytest.mark.parametrize("other", ["testing", "."])
def test_a_patient_in_two_folders(tmp_path, acdc_patient, other):
    first = acdc_patient(tmp_path / "training" / "patient001")
    second = acdc_patient(tmp_path / other / "patient001")
    acdc_patient(tmp_path / "testing" / "patient002")
    with pytest.raises(DataError) as caught:
        find_cases(tmp_path)
    one, two = sorted([first, second])
    assert str(caught.value) == f"{two}: expected each patient once, found another one at {one}"


def test_sequence_and_missing_masks_are_tolerated(tmp_path, acdc_patient):
    folder = acdc_patient(tmp_path / "patient001")
    (folder / "patient001_4d.nii.gz").write_text("not opened")
    (folder / "patient001_frame07_gt.nii.gz").unlink()
    assert [case.mask is None for case in acdc.find(tmp_path)] == [False, True]


def test_finding_and_reading_images_opens_no_mask(tmp_path, acdc_patient):
    folder = acdc_patient(tmp_path / "patient001")
    for path in folder.glob("*_gt.nii.gz"):
        path.write_text("not a mask")
    for case in acdc.find(tmp_path):
        assert case.read_image().image.shape == (3, 8, 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ES: 7\n", "expected a line `ED: <frame>`, found no such line"),
        ("ED: 1\nES: seven\n", "expected a frame number after `ES:`, found 'seven'"),
        ("ED: 1\nES:\n", "expected a frame number after `ES:`, found ''"),
        ("ED: 7\nES: 7\n", "expected two frames, ED and ES, found frame 7 for both"),
        ("", "expected a line `ED: <frame>`, found no such line"),
    ],
)
def test_broken_info(tmp_path, acdc_patient, text, message):
    folder = acdc_patient(tmp_path / "patient001")
    (folder / "Info.cfg").write_text(text)
    with pytest.raises(DataError) as caught:
        acdc.find(tmp_path)
    assert str(caught.value) == f"{folder / 'Info.cfg'}: {message}"


def test_missing_info(tmp_path, acdc_patient):
    (acdc_patient(tmp_path / "patient001") / "Info.cfg").unlink()
    with pytest.raises(DataError, match=r"Info\.cfg: expected ACDC's list of frames, found no such file"):
        acdc.find(tmp_path)


def test_missing_image(tmp_path, acdc_patient):
    (acdc_patient(tmp_path / "patient001") / "patient001_frame07.nii.gz").unlink()
    expected = r"patient001_frame07\.nii\.gz: expected the ES image that Info\.cfg names, found no such file"
    with pytest.raises(DataError, match=expected):
        acdc.find(tmp_path)


def test_real_volumes_agree_with_the_published_biomarkers(real_acdc):
    study = find_cases(real_acdc)
    assert study.layout == "acdc"
    published = pd.read_csv(real_acdc / "reference_biomarkers.csv").set_index("patient")
    for case in study.cases[::31]:
        volume = case.read_image()
        labels = case.read_mask(study.classes, volume)
        depth, row, column = volume.spacing
        lv = (labels == 1 + study.classes.index("LV")).sum() * depth * row * column / 1000
        phase = "lv_edv_ml" if case.phase == "ED" else "lv_esv_ml"
        assert lv == pytest.approx(published.loc[case.patient, phase], abs=6e-4)  # three decimals
