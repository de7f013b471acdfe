from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from shapewise.errors import ArgumentError, DataError
from shapewise.evaluation.files import mask_name, mask_path, write_csv, write_mask

SHAPE = (3, 5, 4)
TURN = np.radians(30)
OBLIQUE = (np.cos(TURN), -np.sin(TURN), 0.0, np.sin(TURN), np.cos(TURN), 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, SHAPE)


def oblique_image() -> SimpleITK.Image:
    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((1.25, 1.5, 8.0))
    image.SetOrigin((-20.5, 31.0, 7.25))
    image.SetDirection(OBLIQUE)
    return image


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (".nii.gz", "scan.nii.gz"),
        (".nii", "scan.nii.gz"),
        (".mhd", "scan.mhd"),
        (".mha", "scan.mha"),
        (".nrrd", "scan.nii.gz"),
    ],
)
def test_a_mask_lies_on_its_image(kind: str, name: str, labels: np.ndarray, tmp_path: Path) -> None:
    source = tmp_path / f"scan{kind}"
    SimpleITK.WriteImage(oblique_image(), str(source))
    written = write_mask(labels, source, mask_path(source, tmp_path / "out"))
    assert written == tmp_path / "out" / name
    image, mask = oblique_image(), SimpleITK.ReadImage(str(written))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(mask), labels)
    assert mask.GetPixelID() == SimpleITK.sitkUInt8
    np.testing.assert_allclose(mask.GetSpacing(), image.GetSpacing(), rtol=1e-5)
    np.testing.assert_allclose(mask.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(mask.GetDirection(), image.GetDirection(), atol=1e-5)


def test_an_image_in_memory_gives_its_geometry(labels: np.ndarray, tmp_path: Path) -> None:
    written = write_mask(labels, oblique_image(), tmp_path / "mask.mhd")
    assert SimpleITK.ReadImage(str(written)).GetOrigin() == pytest.approx(oblique_image().GetOrigin())


def test_a_metaimage_survives_a_move_of_its_folder(labels: np.ndarray, tmp_path: Path) -> None:
    write_mask(labels, oblique_image(), tmp_path / "here" / "mask.mhd")
    (tmp_path / "here").rename(tmp_path / "there")
    np.testing.assert_array_equal(
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "there" / "mask.mhd"))), labels
    )


def test_a_mask_written_again_replaces_the_first(labels: np.ndarray, tmp_path: Path) -> None:
    for content in (np.zeros(SHAPE, dtype=int), labels):
        written = write_mask(content, oblique_image(), tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(written))), labels)
    assert [path.name for path in tmp_path.iterdir()] == ["mask.nii.gz"]


@pytest.mark.parametrize("bad", [np.zeros((3, 4, 5), dtype=int), np.full(SHAPE, 256), np.full(SHAPE, -1)])
def test_labels_that_do_not_fit_leave_nothing(bad: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="labels"):
        write_mask(bad, oblique_image(), tmp_path / "mask.nii.gz")
    assert not list(tmp_path.iterdir())


def test_a_format_that_nobody_writes_is_named(labels: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mask\.unknown"):
        write_mask(labels, oblique_image(), tmp_path / "mask.unknown")
    assert not list(tmp_path.iterdir())


def test_a_number_that_does_not_exist_is_an_empty_cell(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"case": ["a"], "hd95_mm": [np.nan]}), tmp_path / "sub" / "metrics.csv")
    assert (tmp_path / "sub" / "metrics.csv").read_text(encoding="utf-8") == "case,hd95_mm\na,\n"


def test_a_folder_with_a_dot_names_its_mask(tmp_path: Path) -> None:
    series = tmp_path / "scan.v2"
    series.mkdir()
    assert mask_name(series) == "scan.v2.nii.gz"


def test_an_image_behind_a_link_lends_its_mask_the_links_name(tmp_path: Path) -> None:
    """Data sets are often folders of links into a store whose file names say nothing."""
    stored, link = tmp_path / "0b5c9f", tmp_path / "patient1.nii.gz"
    stored.touch()
    link.symlink_to(stored)
    assert mask_name(link) == "patient1.nii.gz"


def test_here_is_a_folder_with_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "series").mkdir()
    monkeypatch.chdir(tmp_path / "series")
    assert mask_name(Path()) == "series.nii.gz"
