from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

WriteImage = Callable[..., Path]


@pytest.fixture
def write_image() -> WriteImage:
    """Write an array (slice, row, column) with its spacing in the same order."""

    def write(path: Path, voxels: np.ndarray, spacing: tuple[float, ...] = (5.0, 2.0, 1.5)) -> Path:
        image = SimpleITK.GetImageFromArray(voxels)
        image.SetSpacing(spacing[::-1][: image.GetDimension()])
        path.parent.mkdir(parents=True, exist_ok=True)
        SimpleITK.WriteImage(image, str(path), useCompression=True)
        return path

    return write


@pytest.fixture
def texture() -> np.ndarray:
    """A small image without meaning: 3 slices of 8 rows and 6 columns."""
    return np.random.default_rng(0).normal(size=(3, 8, 6)).astype(np.float32)


@pytest.fixture
def acdc_patient(write_image: WriteImage, texture: np.ndarray) -> Callable[..., Path]:
    """Write one patient in ACDC's layout, frames 1 (ED) and 7 (ES), masks empty, and return the folder."""

    def write(folder: Path, *, masks: bool = True) -> Path:
        for frame in (1, 7):
            stem = folder / f"{folder.name}_frame{frame:02d}"
            write_image(stem.with_name(f"{stem.name}.nii.gz"), texture)
            if masks:
                write_image(stem.with_name(f"{stem.name}_gt.nii.gz"), np.zeros(texture.shape, np.uint8))
        (folder / "Info.cfg").write_text("ED: 1\nES: 7\nGroup: NOR\nNbFrame: 30\n")
        return folder

    return write


@pytest.fixture
def real_acdc() -> Path:
    return _real("acdc")


@pytest.fixture
def real_promise12() -> Path:
    return _real("promise12")


def _real(name: str) -> Path:
    repository = Path(__file__).parents[2]
    folder = Path(os.environ.get("SHAPEWISE_DATA", repository.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"no {name} data at {folder}: set SHAPEWISE_DATA")
    return folder
