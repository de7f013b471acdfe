from __future__ import annotations

import json

import numpy as np
import pytest

from shapewise.data import nnunet
from shapewise.data.cases import Case
from shapewise.data.layouts import find_cases
from shapewise.errors import DataError

DESCRIPTION = {
    "channel_names": {"0": "MRI"},
    "labels": {"background": 0, "left": 2, "right": 1},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


@pytest.fixture
def dataset(tmp_path, write_image, texture):
    (tmp_path / "dataset.json").write_text(json.dumps(DESCRIPTION))
    for name in ("b", "a"):
        write_image(tmp_path / "imagesTr" / f"{name}_0000.nii.gz", texture)
    write_image(tmp_path / "labelsTr" / "a.nii.gz", np.zeros(texture.shape, np.uint8))
    return tmp_path


def describe(dataset, **changes):
    (dataset / "dataset.json").write_text(json.dumps(DESCRIPTION | changes))


def test_cases_and_classes_in_label_order(dataset):
    study = find_cases(dataset)
    assert study.cases == [
        Case("a", "a", 0, dataset / "imagesTr" / "a_0000.nii.gz", dataset / "labelsTr" / "a.nii.gz"),
        Case("b", "b", 0, dataset / "imagesTr" / "b_0000.nii.gz", None),
    ]
    assert (study.classes, study.layout) == (("right", "left"), "nnunet")


def test_other_file_ending(tmp_path, write_image, texture):
    describe(tmp_path, file_ending=".mha")
    image = write_image(tmp_path / "imagesTr" / "a_0000.mha", texture)
    (tmp_path / "imagesTr" / "a_0000.zraw").write_text("voxels that a format keeps beside it")
    assert [case.image for case in find_cases(tmp_path).cases] == [image]


def test_frames_of_a_patient_stay_together(dataset, write_image, texture):
    for frame in (1, 12):
        write_image(dataset / "imagesTr" / f"p7_frame{frame:02d}_0000.nii.gz", texture)
    cases = [case for case in find_cases(dataset).cases if case.patient == "p7"]
    assert [(case.name, case.frame) for case in cases] == [("p7_frame01", 0), ("p7_frame12", 0)]


def test_hidden_twins_are_no_images(dataset):
    (dataset / "imagesTr" / "._a_0000.nii.gz").write_text("written by an archiver")
    assert [case.name for case in find_cases(dataset).cases] == ["a", "b"]


@pytest.mark.parametrize("name", ["c_0000.mha", "c_0000.nii"])
def test_image_of_another_format(dataset, write_image, texture, name):
    """It was left out without a word, and its patient with it."""
    write_image(dataset / "imagesTr" / name, texture)
    with pytest.raises(
        DataError, match=rf"{name}: expected an image in \.nii\.gz, as dataset\.json says, found"
    ):
        nnunet.find(dataset)


def test_what_is_no_image_is_not_read(dataset):
    for name in ("readme.txt", "Thumbs.db", "a_0000.json"):
        (dataset / "imagesTr" / name).write_text("about the images")
    assert len(nnunet.find(dataset)[0]) == 2


def test_second_channel_file(dataset, write_image, texture):
    write_image(dataset / "imagesTr" / "a_0001.nii.gz", texture)
    with pytest.raises(DataError, match=r"a_0001\.nii\.gz: expected a name that ends in _0000\.nii\.gz"):
        nnunet.find(dataset)


def test_mask_without_image(dataset, write_image, texture):
    write_image(dataset / "labelsTr" / "c.nii.gz", np.zeros(texture.shape, np.uint8))
    with pytest.raises(DataError, match=r"c\.nii\.gz: expected an image of the same name in imagesTr"):
        nnunet.find(dataset)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "expected an object under `labels`, found none"),
        ({"labels": ["LV"]}, "expected an object under `labels`, found ['LV']"),
        (
            {"labels": {"background": 0, "whole": [1, 2]}},
            "expected an integer as label of 'whole', found [1, 2]",
        ),
        ({"labels": {"0": "background", "1": "LV"}}, "expected an integer as label of '0', found background"),
        ({"labels": {"background": 0, "LV": 2}}, "the classes numbered from 1 without gaps"),
        ({"labels": {"LV": 0, "background": 1}}, "expected `background` as label 0"),
        ({"labels": {"background": 0, "LV": 1, "RV": 1}}, "the classes numbered from 1 without gaps"),
        ({"labels": {"background": 0}}, "the classes numbered from 1"),
        ({"labels": {}}, "the classes numbered from 1"),
        ({"channel_names": {"0": "T1", "1": "T2"}}, "expected one channel in `channel_names`, found 2"),
        ({"channel_names": None}, "expected an object under `channel_names`, found none"),
        ({"file_ending": None}, "expected a `file_ending` such as .nii.gz, found none"),
    ],
)
def test_broken_description(dataset, changes, message):
    describe(dataset, **changes)
    with pytest.raises(DataError) as caught:
        nnunet.find(dataset)
    assert str(caught.value).startswith(f"{dataset / 'dataset.json'}: expected")
    assert message in str(caught.value)


def test_description_from_a_windows_editor(dataset):
    path = dataset / "dataset.json"
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert len(nnunet.find(dataset)[0]) == 2


@pytest.mark.parametrize("name", ["", " ", "LV "])
def test_class_that_a_table_cannot_name(dataset, name):
    describe(dataset, labels={"background": 0, name: 1})
    with pytest.raises(DataError, match=r"dataset\.json: expected names without spaces around them, found"):
        nnunet.find(dataset)


@pytest.mark.parametrize("name", ["Overall", "mean", "ignore"])
def test_class_whose_name_has_another_meaning(dataset, name):
    """Two are rows of tables about all classes; nnU-Net's `ignore` is no object, and was trained as one."""
    describe(dataset, labels={"background": 0, "LV": 1, name: 2})
    expected = rf"dataset\.json: expected class names other than Overall, mean, ignore, found {name}$"
    with pytest.raises(DataError, match=expected):
        nnunet.find(dataset)


def test_case_that_a_table_cannot_name(dataset, write_image, texture):
    write_image(dataset / "imagesTr" / "c _0000.nii.gz", texture)
    with pytest.raises(
        DataError, match=r"c _0000\.nii\.gz: expected names without spaces around them, found"
    ):
        nnunet.find(dataset)


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_description_that_is_no_object(dataset, text):
    (dataset / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"dataset\.json: expected (valid JSON|a JSON object)"):
        nnunet.find(dataset)


def test_missing_description(dataset):
    (dataset / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"dataset\.json: expected nnU-Net's description of the data"):
        find_cases(dataset)
