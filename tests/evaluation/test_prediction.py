from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from torch import nn

from shapewise.data.prepare import Preprocessing
from shapewise.errors import ArgumentError, DataError
from shapewise.evaluation.prediction import predict_file, predict_probabilities, predict_volume

SPACING = (8.0, 1.5, 1.25)


class Bright(nn.Module):
    """Two classes: dark and bright; remembers how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.9)
        self.batches: list[torch.Size] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.batches.append(image.shape)
        assert torch.is_inference_mode_enabled()
        score = self.dropout(torch.ones_like(image)) * image
        return torch.cat([-score, score], dim=1)


def smooth_volume() -> np.ndarray:
    """A bright ellipsoid on dark, with values that no two slices share."""
    z, y, x = np.indices((5, 40, 36), dtype=np.float32)
    return np.exp(-((z - 2) ** 2) / 20 - ((y - 15) / 9) ** 2 - ((x - 20) / 7) ** 2).astype(np.float32)


def truth(volume: np.ndarray) -> np.ndarray:
    low, high = np.percentile(volume, (0.5, 99.5))
    clipped = volume.clip(low, high)
    return clipped > clipped.mean()


def test_the_native_grid_comes_back_exactly() -> None:
    volume = smooth_volume()
    labels = predict_volume(Bright(), volume, SPACING, Preprocessing((40, 36)))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, truth(volume))


@pytest.mark.parametrize("size", [(64, 64), (31, 29)])
def test_another_grid_moves_no_boundary_by_a_pixel(size: tuple[int, int]) -> None:
    volume = smooth_volume()
    labels = predict_volume(Bright(), volume, SPACING, Preprocessing(size))
    assert (labels != truth(volume)).mean() < 0.01


def test_what_was_cropped_away_is_background() -> None:
    bright_border = 2 - smooth_volume()
    labels = predict_volume(Bright(), bright_border, SPACING, Preprocessing((40, 36), crop=(20, 18)))
    outside = np.ones((40, 36), bool)
    outside[10:30, 9:27] = False
    assert (labels[:, outside] == 0).all()
    assert labels[0, 10, 9] == 1


def test_the_batch_size_changes_memory_and_nothing_else() -> None:
    volume, network = smooth_volume(), Bright()
    labels = [
        predict_volume(network, volume, None, Preprocessing((24, 24)), batch_size=size) for size in (1, 2, 8)
    ]
    np.testing.assert_array_equal(labels[0], labels[1])
    np.testing.assert_array_equal(labels[0], labels[2])
    assert [shape[0] for shape in network.batches] == [1, 1, 1, 1, 1, 2, 2, 1, 5]


def test_probabilities_stay_on_the_simplex() -> None:
    parts = list(
        predict_probabilities(Bright(), smooth_volume(), None, Preprocessing((24, 24)), batch_size=2)
    )
    assert [part.shape for part in parts] == [(2, 2, 40, 36), (2, 2, 40, 36), (1, 2, 40, 36)]
    np.testing.assert_allclose(np.concatenate(parts).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_comes_back_in_the_mode_it_came_in(training: bool) -> None:
    network = Bright().train(training)
    predict_volume(network, smooth_volume(), None, Preprocessing((24, 24)))
    assert network.training is training
    assert network.dropout.training is training
    assert not torch.is_inference_mode_enabled()


def test_refuses_what_is_no_volume_or_lacks_a_spacing() -> None:
    with pytest.raises(ArgumentError, match="image"):
        predict_volume(Bright(), smooth_volume()[0], SPACING, Preprocessing((24, 24)))
    with pytest.raises(ArgumentError, match="native_spacing"):
        predict_volume(Bright(), smooth_volume(), None, Preprocessing((24, 24), spacing=2.0))


def oblique(voxels: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin((-20.5, 31.0, 7.25))
    image.SetDirection((0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    return image


def write_series(image: SimpleITK.Image, folder: Path) -> None:
    folder.mkdir()
    direction = image.GetDirection()
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(image.GetDepth()):
        part = image[:, :, index]
        part.SetMetaData("0020|000e", "1.2.826.0.1.3680043.2.1125.1")
        part.SetMetaData("0020|0037", "\\".join(str(direction[i]) for i in (0, 3, 6, 1, 4, 7)))
        position = image.TransformIndexToPhysicalPoint((0, 0, index))
        part.SetMetaData("0020|0032", "\\".join(map(str, position)))
        part.SetMetaData("0020|0013", str(index + 1))
        writer.SetFileName(str(folder / f"{index}.dcm"))
        writer.Execute(part)


@pytest.mark.parametrize(
    ("name", "mask"),
    [("a.nii.gz", "a.nii.gz"), ("a.nii", "a.nii.gz"), ("a.mhd", "a.mhd"), ("series", "series.nii.gz")],
)
def test_a_files_mask_has_its_geometry(name: str, mask: str, tmp_path: Path) -> None:
    volume = (smooth_volume() * 1000).astype(np.int16)
    image, source = oblique(volume), tmp_path / "in" / name
    source.parent.mkdir()
    if name == "series":
        write_series(image, source)
    else:
        SimpleITK.WriteImage(image, str(source))
    written = predict_file(Bright(), source, Preprocessing((40, 36)), tmp_path / "out")
    assert written == tmp_path / "out" / mask
    found = SimpleITK.ReadImage(str(written))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(found), truth(volume.astype(np.float32)))
    np.testing.assert_allclose(found.GetSpacing(), image.GetSpacing(), rtol=1e-5)
    np.testing.assert_allclose(found.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(found.GetDirection(), image.GetDirection(), atol=1e-5)


def test_a_mask_never_overwrites_its_image(tmp_path: Path) -> None:
    source = tmp_path / "a.nii.gz"
    SimpleITK.WriteImage(oblique(smooth_volume()), str(source))
    before = source.read_bytes()
    with pytest.raises(ArgumentError, match="out"):
        predict_file(Bright(), source, Preprocessing((24, 24)), tmp_path)
    assert source.read_bytes() == before


def test_a_missing_image_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        predict_file(Bright(), tmp_path / "nowhere.nii.gz", Preprocessing((24, 24)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
