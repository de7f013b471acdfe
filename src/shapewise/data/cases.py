"""One image of one patient, where its files lie, and the study that it belongs to."""

# SimpleITK carries no types.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK
from numpy.typing import NDArray

from shapewise.data.images import bytes_of, corners, read_image, read_voxels
from shapewise.errors import DataError

__all__ = ["Case", "Study", "Volume", "read_image"]


@dataclass(frozen=True)
class Volume:
    """The voxels of an image, (slice, row, column), and where they are.

    Attributes:
        image: the intensities.
        spacing: distance between voxel centres along each axis, in mm.
        corners: see `images.corners`.
    """

    image: NDArray[np.float32]
    spacing: tuple[float, float, float]
    corners: NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One 3-D image, with a mask or without. Making one opens no mask.

    Attributes:
        name: what a descriptor table calls it; with `frame` it is unique in a study.
        patient: who it belongs to; a split never parts the cases of one patient.
        frame: time frame as the file names count it, 0 where the data have no frames.
        image: the image's file, or the folder of its DICOM series.
        mask: the label mask's file, where there is one.
        phase: "ED" (end-diastole) or "ES" (end-systole) in cardiac data.
        spacing_known: False where the header's spacing is a placeholder, so that mm mean nothing.
    """

    name: str
    patient: str
    frame: int
    image: Path
    mask: Path | None
    phase: str | None = None
    spacing_known: bool = True

    def read_image(self) -> Volume:
        """Read the image; raises `DataError` as `read_image` does."""
        image = read_image(self.image)
        column, row, depth = image.GetSpacing()
        voxels = SimpleITK.GetArrayFromImage(image).astype(np.float32)
        return Volume(voxels, (depth, row, column), corners(image))

    def read_mask(self, classes: Sequence[str], volume: Volume) -> NDArray[np.uint8]:
        """Read the mask: 0 is background, k is ``classes[k - 1]``.

        Args:
            classes: the foreground classes in label order.
            volume: the case's image, whose shape and place the mask must have.

        Returns:
            Labels of shape (slice, row, column).

        Raises:
            DataError: there is no mask, it cannot be read, its shape or its place is another than the
                image's, or it holds a label outside the classes.
        """
        if self.mask is None:
            raise DataError(self.image, expected="a mask beside the image", found="none")
        mask = read_voxels(self.mask)
        labels: NDArray[np.integer] = SimpleITK.GetArrayFromImage(mask)
        if labels.shape != volume.image.shape:
            expected = f"a mask of the image's shape {volume.image.shape}"
            raise DataError(self.mask, expected=expected, found=labels.shape)
        _check_place(self.mask, mask, volume)
        _check_labels(self.mask, labels, len(classes))
        return labels.astype(np.uint8)


@dataclass(frozen=True)
class Study:
    """The cases of one folder, the foreground classes in label order, and the layout they lie in."""

    cases: list[Case]
    classes: tuple[str, ...]
    layout: str

    @property
    def spacing_known(self) -> bool:
        """Whether every case's spacing is real, so that distances and volumes have units."""
        return all(case.spacing_known for case in self.cases)


def file_table(cases: Sequence[Case]) -> pd.DataFrame:
    """One row a case: what it is called, its files, and the bytes of its image."""
    rows = [
        (
            case.name,
            case.patient,
            case.frame,
            case.phase,
            str(case.image.resolve()),
            None if case.mask is None else str(case.mask.resolve()),
            bytes_of(case.image),
        )
        for case in cases
    ]
    return pd.DataFrame(rows, columns=["case", "patient", "frame", "phase", "image", "mask", "bytes"])


def _check_place(path: Path, mask: SimpleITK.Image, volume: Volume) -> None:
    """Half a pixel is more than any file format rounds off."""
    away = np.linalg.norm(corners(mask) - volume.corners, axis=1).max()
    if not away <= min(volume.spacing) / 2:  # NaN too
        found = f"corners {away:.3g} mm away"
        spacing = tuple(reversed(mask.GetSpacing()))
        if not np.allclose(spacing, volume.spacing, rtol=1e-3):
            here, there = (" x ".join(f"{step:.3g}" for step in steps) for steps in (spacing, volume.spacing))
            found += f", a spacing of {here} mm instead of {there} mm"
        raise DataError(path, expected="a mask where its image lies", found=found)


def _check_labels(path: Path, labels: np.ndarray, last: int) -> None:
    present = np.unique(labels)
    outside = present[~np.isin(present, np.arange(last + 1))]
    if outside.size:
        raise DataError(path, expected=f"labels from 0 to {last}", found=f"label {outside[0]}")
