from __future__ import annotations

import pytest

from shapewise.data.layouts import find_cases
from shapewise.errors import ArgumentError, DataError


def test_layouts_are_recognised(tmp_path, acdc_patient, write_image, texture):
    acdc_patient(tmp_path / "hearts" / "training" / "patient001")
    write_image(tmp_path / "prostates" / "Case00.mhd", texture)
    assert find_cases(tmp_path / "hearts").layout == "acdc"
    assert find_cases(str(tmp_path / "prostates")).layout == "promise12"
    assert find_cases(tmp_path / "hearts").classes == ("RV", "Myo", "LV")


def test_cases_are_sorted_by_patient_and_frame(tmp_path, acdc_patient):
    for name in ("patient010", "patient002"):
        acdc_patient(tmp_path / name)
    keys = [(case.name, case.frame) for case in find_cases(tmp_path).cases]
    assert keys == [("patient002", 1), ("patient002", 7), ("patient010", 1), ("patient010", 7)]


def test_empty_folder(tmp_path):
    with pytest.raises(
        DataError, match="expected the layout of ACDC, PROMISE12 or nnU-Net, found an empty folder"
    ):
        find_cases(tmp_path)


def test_unrecognised_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(DataError, match="found other files"):
        find_cases(tmp_path)


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match="nowhere: expected a data folder, found no such folder"):
        find_cases(tmp_path / "nowhere")


def test_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(DataError, match="data: expected a data folder, found a file"):
        find_cases(tmp_path / "data")


@pytest.mark.parametrize("layout", ["acdc", "promise12"])
def test_no_image_in_the_given_layout(tmp_path, layout):
    with pytest.raises(DataError, match=f"expected images in the layout of {layout}, found none"):
        find_cases(tmp_path, layout)


def test_unknown_layout(tmp_path):
    with pytest.raises(
        ArgumentError, match="`layout` to be auto or one of acdc, promise12, nnunet, but got 'bids'"
    ):
        find_cases(tmp_path, "bids")
