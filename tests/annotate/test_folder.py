"""Loose images: every kind that the issue names, found by name and read whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from shapewise.annotate.schema import MOST_CLASSES
from shapewise.annotate.sources import find_study
from shapewise.errors import ArgumentError, DataError

VOXELS = np.random.default_rng(0).integers(0, 1000, (3, 8, 6)).astype(np.int16)


def write(path: Path, voxels: np.ndarray = VOXELS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((1.5, 2.0, 5.0)[: image.GetDimension()])
    SimpleITK.WriteImage(image, str(path))
    return path


def write_series(folder: Path) -> None:
    folder.mkdir(parents=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index, plane in enumerate(VOXELS):
        image = SimpleITK.GetImageFromArray(plane[None])
        tags = {"0008|0060": "MR", "0020|000e": "1.2.3", "0020|0037": "1\\0\\0\\0\\1\\0"}
        for key, value in (tags | {"0020|0032": f"0\\0\\{5 * index}"}).items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{index}.dcm"))
        writer.Execute(image)
        (folder / f"{index}.dcm").rename(folder / f"IM{index}")  # as scanners name them


def test_every_kind_of_image_is_found_and_read(tmp_path: Path) -> None:
    write(tmp_path / "a.nii.gz")
    write(tmp_path / "b.mhd")
    write(tmp_path / "below" / "c.nrrd")
    write(tmp_path / "d.png", VOXELS[0].astype(np.uint8))
    for index, plane in enumerate(VOXELS):
        write(tmp_path / "pictures" / f"{index:03d}.png", plane.astype(np.uint16))
    write_series(tmp_path / "series")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.nii").write_text("no image")
    study = find_study(tmp_path, ["LV"])
    assert study.layout == "folder"
    assert [case.name for case in study.cases] == ["a", "b", "c", "d", "pictures", "series"]
    for case in study.cases:
        volume = case.read_image()
        expected = VOXELS[:1].astype(np.uint8) if case.name == "d" else VOXELS
        assert np.array_equal(volume.image, expected), case.name
        assert case.spacing_known == (case.name not in ("d", "pictures"))


def test_one_image_or_one_series_is_enough(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz")
    assert [case.name for case in find_study(path, ["LV"]).cases] == ["a"]
    write_series(tmp_path / "series")
    assert [case.name for case in find_study(tmp_path / "series", ["LV"]).cases] == ["series"]


def test_one_file_of_dicom_is_enough(tmp_path: Path) -> None:
    write_series(tmp_path / "series")
    (case,) = find_study(tmp_path / "series" / "IM1", ["LV"]).cases
    assert case.name == "IM1"
    assert np.array_equal(case.read_image().image, VOXELS[1:2])


def test_pictures_are_slices_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 9, 10, 11):
        write(tmp_path / "p" / f"slice{number}.png", np.full((4, 5), number, np.uint8))
    (case,) = find_study(tmp_path, ["LV"]).cases
    assert case.read_image().image[:, 0, 0].tolist() == [1, 2, 9, 10, 11]


def test_a_picture_beside_a_volume_does_not_hide_it(tmp_path: Path) -> None:
    write(tmp_path / "both" / "scan.nii.gz")
    write(tmp_path / "both" / "preview.png", np.zeros((4, 5), np.uint8))
    assert [case.name for case in find_study(tmp_path, ["LV"]).cases] == ["preview", "scan"]


def test_names_are_as_tables_have_them(tmp_path: Path) -> None:
    """A reader strips what is around a name: with blanks there, no row would be its case's."""
    write(tmp_path / "scan .nii.gz")
    write(tmp_path / " pictures " / "0.png", np.zeros((4, 5), np.uint8))
    assert [case.name for case in find_study(tmp_path, ["LV"]).cases] == ["pictures", "scan"]
    write(tmp_path / "scan.nii.gz")
    with pytest.raises(DataError, match="expected one image of the name scan"):
        find_study(tmp_path, ["LV"])


@pytest.mark.parametrize("channels", [None, 2], ids=["no picture", "grey with opacity"])
def test_a_picture_that_cannot_be_read_is_said(tmp_path: Path, channels: int | None) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no picture")
    if channels:
        pixels = SimpleITK.GetImageFromArray(np.zeros((4, 5, channels), np.uint8), isVector=True)
        SimpleITK.WriteImage(pixels, str(path))
    (case,) = find_study(tmp_path, ["LV"]).cases
    with pytest.raises(DataError, match=r"a.png: expected a complete PNG, grey, RGB or RGBA"):
        case.read_image()


def test_a_coloured_picture_is_its_brightness(tmp_path: Path) -> None:
    colours = np.zeros((4, 5, 3), np.uint8)
    colours[1, 2] = 30, 60, 90
    image = SimpleITK.GetImageFromArray(colours, isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.png"))
    (case,) = find_study(tmp_path, ["LV"]).cases
    assert case.read_image().image[0, 1, 2] == 60


def test_pictures_of_two_sizes_are_no_image(tmp_path: Path) -> None:
    write(tmp_path / "p" / "0.png", np.zeros((4, 5), np.uint8))
    write(tmp_path / "p" / "1.png", np.zeros((5, 4), np.uint8))
    (case,) = find_study(tmp_path, ["LV"]).cases
    with pytest.raises(DataError, match=r"1.png: expected a picture of \(4, 5\) pixels"):
        case.read_image()


def test_a_layout_is_recognised_and_has_its_own_classes(hearts: Path) -> None:
    assert find_study(hearts, []).classes == ("RV", "Myo", "LV")
    assert find_study(hearts, ["LV"]).classes == ("LV",)
    with pytest.raises(DataError, match="expected classes among RV, Myo, LV, found MYO"):
        find_study(hearts, ["RV", "MYO"])
    names = {path.name.removesuffix(".nii.gz") for path in hearts.glob("training/*/*.nii.gz")}
    assert {case.name for case in find_study(hearts / "training", ["LV"], "folder").cases} == names


@pytest.mark.parametrize(
    ("make", "classes", "hint"),
    [
        (lambda root: None, ["LV"], "expected images (NIfTI, MetaImage, NRRD, DICOM, PNG), found none"),
        (lambda root: write(root / "a.nii"), [], "the names of what to annotate"),
        (lambda root: write(root / "a.nii"), ["LV", "LV"], "names, each once"),
        (
            lambda root: (write(root / "x" / "a.nii"), write(root / "y" / "a.nii")),
            ["LV"],
            "expected one image of the name a",
        ),
        (lambda root: (root / "notes.txt").write_text("x"), ["LV"], "found none"),
    ],
)
def test_bad_folders_are_refused(tmp_path: Path, make, classes: list[str], hint: str) -> None:
    make(tmp_path)
    with pytest.raises((DataError, ArgumentError)) as caught:
        find_study(tmp_path, classes)
    assert hint in str(caught.value)


@pytest.mark.parametrize("name", ["constructor", "__proto__", "background", "mean", "ignore"])
def test_names_with_a_meaning_of_their_own_are_no_classes(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.nii")
    with pytest.raises(ArgumentError, match=f"got {name}"):
        find_study(tmp_path, ["LV", name])


def test_more_classes_than_a_slice_may_hold_are_refused_before_anybody_draws(tmp_path: Path) -> None:
    write(tmp_path / "imagesTr" / "a_0000.nii.gz")
    names = {f"organ{index}": index for index in range(1, MOST_CLASSES + 2)}
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **names},
        "file_ending": ".nii.gz",
    }
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(ArgumentError, match="at most 64 names, as in --classes LV,RV, but got 65"):
        find_study(tmp_path, [])
    assert len(find_study(tmp_path, list(names)[:MOST_CLASSES]).classes) == MOST_CLASSES


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        find_study(tmp_path / "gone", ["LV"])
