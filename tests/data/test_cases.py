from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shapewise.data.cases import Case, Study, Volume
from shapewise.errors import DataError


@pytest.fixture
def case(tmp_path, write_image, texture):
    image = write_image(tmp_path / "image.nii.gz", texture)
    return Case("heart", "heart", 3, image, tmp_path / "mask.nii.gz")


def write_mask(case, write_image, labels):
    write_image(case.mask, labels)
    return case.read_image()


def test_image_and_spacing_in_array_order(case, texture):
    volume = case.read_image()
    assert volume.image.dtype == np.float32
    np.testing.assert_array_equal(volume.image, texture)
    assert volume.spacing == (5.0, 2.0, 1.5)


def test_image_is_read_without_its_mask(case):
    assert not case.mask.exists()
    assert case.read_image().image.shape == (3, 8, 6)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_mask(case, write_image, kind):
    labels = np.random.default_rng(1).integers(0, 3, (3, 8, 6)).astype(kind)
    volume = write_mask(case, write_image, labels)
    mask = case.read_mask(("RV", "LV"), volume)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, labels)


def test_empty_mask(case, write_image):
    volume = write_mask(case, write_image, np.zeros((3, 8, 6), np.uint8))
    assert case.read_mask(("LV",), volume).sum() == 0


def test_mask_of_another_shape(case, write_image):
    volume = write_mask(case, write_image, np.zeros((3, 6, 8), np.uint8))
    expected = r"mask\.nii\.gz: expected a mask of the image's shape \(3, 8, 6\), found \(3, 6, 8\)"
    with pytest.raises(DataError, match=expected):
        case.read_mask(("LV",), volume)


@pytest.mark.parametrize(
    ("label", "kind"), [(3, np.uint8), (255, np.uint8), (-1, np.int16), (0.5, np.float32)]
)
def test_label_outside_the_classes(case, write_image, label, kind):
    labels = np.zeros((3, 8, 6), kind)
    labels[2, 7, 5] = label
    volume = write_mask(case, write_image, labels)
    with pytest.raises(DataError, match=rf"mask\.nii\.gz: expected labels from 0 to 2, found label {label}"):
        case.read_mask(("RV", "LV"), volume)


def test_mask_that_is_not_there(case):
    with pytest.raises(DataError, match=r"mask\.nii\.gz: expected an image, found no such file"):
        case.read_mask(("LV",), case.read_image())


def test_case_without_mask(tmp_path):
    case = Case("heart", "heart", 0, tmp_path / "image.nii.gz", None)
    volume = Volume(np.zeros((1, 2, 2), np.float32), (1.0, 1.0, 1.0))
    with pytest.raises(DataError, match=r"image\.nii\.gz: expected a mask beside the image, found none"):
        case.read_mask(("LV",), volume)


def test_one_unknown_spacing_makes_a_study_unknown():
    real = Case("a", "a", 0, Path("a"), None)
    placeholder = Case("b", "b", 0, Path("b"), None, spacing_known=False)
    assert Study([real], ("LV",), "promise12").spacing_known
    assert not Study([real, placeholder], ("LV",), "promise12").spacing_known
