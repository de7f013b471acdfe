from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

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


def place(case, write_image, **changes):
    """Write an empty mask whose geometry is the image's but for some changes."""
    image = SimpleITK.ReadImage(str(case.image))
    mask = SimpleITK.Image(image.GetSize(), SimpleITK.sitkUInt8)
    mask.CopyInformation(image)
    for name, value in changes.items():
        getattr(mask, f"Set{name}")(value)
    SimpleITK.WriteImage(mask, str(case.mask))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"Spacing": (1, 1, 1)}, "corners 12.8 mm away, a spacing of 1 x 1 x 1 mm instead of 5 x 2 x 1.5 mm"),
        ({"Spacing": (1.5, 2, 6)}, "corners 2.5 mm away, a spacing of 6 x 2 x 1.5 mm instead of"),
        ({"Origin": (0, 0, 5)}, "corners 5 mm away$"),
        ({"Direction": (1, 0, 0, 0, 1, 0, 0, 0, -1)}, "corners 25 mm away$"),
        ({"Direction": (-1, 0, 0, 0, -1, 0, 0, 0, 1)}, "corners 34.2 mm away$"),
    ],
)
def test_mask_that_lies_elsewhere(case, write_image, changes, found):
    place(case, write_image, **changes)
    with pytest.raises(
        DataError, match=rf"mask\.nii\.gz: expected a mask where its image lies, found {found}"
    ):
        case.read_mask(("LV",), case.read_image())


@pytest.mark.parametrize("changes", [{"Spacing": (1.50001, 2.00001, 5.0001)}, {"Origin": (1e-3, 0, -1e-3)}])
def test_mask_whose_geometry_is_rounded(case, write_image, changes):
    place(case, write_image, **changes)
    assert case.read_mask(("LV",), case.read_image()).sum() == 0


def test_mask_that_differs_in_the_thickness_of_its_one_slice(tmp_path, write_image, texture):
    image, mask = (tmp_path / name for name in ("image.nii.gz", "mask.nii.gz"))
    case = Case("heart", "heart", 0, write_image(image, texture[:1]), mask)
    place(case, write_image, Spacing=(1.5, 2, 9))
    with pytest.raises(DataError, match="expected a mask where its image lies, found corners 2 mm away"):
        case.read_mask(("LV",), case.read_image())


def test_mask_whose_place_is_no_number(case, write_image):
    place(case, write_image, Origin=(float("nan"), 0, 0))
    with pytest.raises(DataError, match=r"mask\.nii\.gz: expected"):
        case.read_mask(("LV",), case.read_image())


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
    volume = Volume(np.zeros((1, 2, 2), np.float32), (1.0, 1.0, 1.0), np.zeros((8, 3)))
    with pytest.raises(DataError, match=r"image\.nii\.gz: expected a mask beside the image, found none"):
        case.read_mask(("LV",), volume)


def test_one_unknown_spacing_makes_a_study_unknown():
    real = Case("a", "a", 0, Path("a"), None)
    placeholder = Case("b", "b", 0, Path("b"), None, spacing_known=False)
    assert Study([real], ("LV",), "promise12").spacing_known
    assert not Study([real, placeholder], ("LV",), "promise12").spacing_known
