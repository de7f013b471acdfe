"""Volumes of masks, read from the files and kept beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from shapewise.errors import DataError
from shapewise.evaluation.mask_volumes import VOLUMES, add_volumes, forget_volumes, read_volumes


def write(path: Path, *counts: int) -> Path:
    """A mask with so many voxels of 2 x 5 x 10 mm, a tenth of a millilitre, of every class."""
    labels = np.zeros((2, 6, 6), np.uint8)
    labels.flat[: sum(counts)] = np.repeat(np.arange(1, len(counts) + 1), counts)
    mask = SimpleITK.GetImageFromArray(labels)
    mask.SetSpacing((2.0, 5.0, 10.0))
    SimpleITK.WriteImage(mask, str(path))
    return path


def test_a_row_a_mask_and_class(tmp_path: Path) -> None:
    add_volumes(write(tmp_path / "NA.nii.gz", 10, 0), ["RV", "LV"])
    add_volumes(write(tmp_path / "b.mha", 3, 20), ["RV", "LV"])
    assert read_volumes(tmp_path).to_numpy().tolist() == [
        ["NA.nii.gz", "RV", pytest.approx(1.0)],
        ["NA.nii.gz", "LV", 0.0],
        ["b.mha", "RV", pytest.approx(0.3)],
        ["b.mha", "LV", pytest.approx(2.0)],
    ]


def test_a_mask_that_is_made_again_replaces_its_rows_alone(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        add_volumes(write(tmp_path / name, 10), ["LV"])
    forget_volumes(tmp_path / "a.nii.gz")
    assert list(read_volumes(tmp_path)["mask"]) == ["b.nii.gz"]
    add_volumes(write(tmp_path / "a.nii.gz", 20), ["LV"])
    volumes = read_volumes(tmp_path).set_index("mask")["volume_ml"]
    assert volumes.to_dict() == pytest.approx({"a.nii.gz": 2.0, "b.nii.gz": 1.0})


@pytest.mark.parametrize(
    "content", ["case,volume\n1,2\n", "", "mask,class\na,LV\n", "mask,class,volume_ml\na,LV,much\n"]
)
def test_another_file_of_that_name_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / VOLUMES).write_text(content)
    with pytest.raises(DataError, match=r"volumes\.csv"):
        add_volumes(write(tmp_path / "a.nii.gz", 10), ["LV"])
    assert (tmp_path / VOLUMES).read_text() == content


def test_a_folder_without_one_has_no_rows(tmp_path: Path) -> None:
    assert read_volumes(tmp_path / "none").empty
    assert isinstance(read_volumes(tmp_path), pd.DataFrame)


def test_a_mask_without_anything_has_no_volume(tmp_path: Path) -> None:
    add_volumes(write(tmp_path / "a.nii.gz", 0, 0), ["RV", "LV"])
    assert list(read_volumes(tmp_path)["volume_ml"]) == [0, 0]
