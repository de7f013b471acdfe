"""Reading one 3-D image from disk, whole or not at all."""

# SimpleITK carries no types.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from threading import Lock

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from shapewise.data.nifti import ENDINGS, check_finite, check_nifti, check_spacings
from shapewise.errors import DataError

LARGEST, SMALLEST = 1e15, 1e-15
"""Within these an image's intensities and their range can be squared and summed in single precision."""

_stderr_lock = Lock()


def read_image(path: str | Path) -> SimpleITK.Image:
    """Read a 3-D image with one finite, varying intensity a voxel.

    Args:
        path: a file of any format that SimpleITK reads, or a folder that holds one DICOM series.

    Returns:
        The image with its geometry; ``SimpleITK.GetArrayFromImage`` gives its voxels as (slice, row, column).

    Raises:
        DataError: the file is missing, truncated or in no known format, not 3-D, has an absurd spacing, holds
            NaN, infinite or huge values or the same value everywhere; the folder holds no DICOM series,
            several, or one with slices missing or repeated.
    """
    image = read_voxels(path)
    _check_intensities(Path(path), SimpleITK.GetArrayViewFromImage(image))
    return image


def read_voxels(path: str | Path) -> SimpleITK.Image:
    """Read a 3-D image or label mask, whatever its values; see `read_image` for the rest."""
    path = Path(path)
    _check_openable(path)
    with _native_stderr_silenced():
        image = _read_series(path) if path.is_dir() else _read_file(path)
    if image.GetDimension() != 3:
        raise DataError(path, expected="a 3-D image", found=f"{image.GetDimension()} dimensions")
    if image.GetNumberOfComponentsPerPixel() != 1:
        found = f"{image.GetNumberOfComponentsPerPixel()} values"
        raise DataError(path, expected="one value a voxel", found=found)
    if "complex" in image.GetPixelIDTypeAsString():
        raise DataError(path, expected="real voxels", found="complex numbers")
    if image.GetNumberOfPixels() == 0:
        raise DataError(path, expected="at least one voxel", found=f"a size of {image.GetSize()}")
    return image


def files_of(path: Path) -> list[Path]:
    """The files that an image is in: a folder's, or one, with its others where header and voxels are two.

    >>> files_of(Path("heart.nii.gz"))
    [PosixPath('heart.nii.gz')]
    """
    if path.is_dir():
        return sorted(path.iterdir())
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    if name.suffix.lower() not in (".mhd", ".hdr", ".img", ".nhdr"):
        return [path]
    return sorted(path.parent.glob(f"{glob.escape(name.stem)}.*"))


PLACEHOLDER = (1.0, 1.0, 1.0)
"""The spacing in mm that files say which know none."""


def bytes_of(path: Path) -> int:
    """Size of an image's files: cheap, and seldom the same for two images of compressed files."""
    return sum(file.stat().st_size for file in files_of(path) if file.exists())


def corners(image: SimpleITK.Image) -> NDArray[np.float64]:
    """Where the eight outer corners of a 3-D image lie in the scanner, (8, 3) as (x, y, z) in mm."""
    ends = product(*((-0.5, size - 0.5) for size in image.GetSize()))
    return np.array([image.TransformContinuousIndexToPhysicalPoint(end) for end in ends])


def write_image(image: SimpleITK.Image, path: Path) -> None:
    """Write an image, and read it back: ITK says nothing of a disk that is full.

    Raises:
        DataError: the file does not hold the image.
    """
    try:
        with _native_stderr_silenced():
            SimpleITK.WriteImage(image, str(path), useCompression=True)
        found = SimpleITK.GetArrayFromImage(read_voxels(path))
        whole = np.array_equal(found, SimpleITK.GetArrayFromImage(image))
    except (RuntimeError, DataError):
        whole = False
    if not whole:
        raise DataError(path, expected="room for a whole image", found="a file cut short")


def read_spacing(path: str | Path) -> tuple[float, ...]:
    """Read the (slice, row, column) spacing in mm from an image's header, and none of its voxels."""
    _check_openable(Path(path))
    with _native_stderr_silenced():
        return tuple(reversed(_read_header(Path(path)).GetSpacing()))


def _check_openable(path: Path) -> None:
    try:
        if path.is_dir():
            paths = [path, *path.iterdir()]
        else:
            path.open("rb").close()
            paths = [path]
    except FileNotFoundError:
        raise DataError(path, expected="an image", found="no such file") from None
    except OSError as error:
        raise DataError(path, expected="an image", found=error.strerror) from None
    for part in paths:
        if any(0xD800 <= ord(letter) <= 0xDFFF for letter in str(part)):  # SimpleITK would end the process
            raise DataError(part, expected="a name in UTF-8", found=ascii(part.name))


def _read_file(path: Path) -> SimpleITK.Image:
    reader = _read_header(path)
    if path.name.lower().endswith(ENDINGS) and "Nifti" in reader.GetImageIOFromFileName(str(path)):
        check_nifti(path)
    return _execute(reader, path)


def _read_header(path: Path) -> SimpleITK.ImageFileReader:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    check_spacings(path, reader.GetSpacing())
    return reader


def _read_series(folder: Path) -> SimpleITK.Image:
    series = SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        raise DataError(folder, expected="a folder with one DICOM series", found=f"{len(series)} series")
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    _check_all_there(folder, names)
    _check_positions(folder, names)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(names)
    return _execute(reader, folder)


def _check_all_there(folder: Path, names: Sequence[str]) -> None:
    # GDCM leaves out what it cannot read: a series cut short at its ends would look whole.
    known = {Path(name).name for name in names}
    for path in sorted(folder.iterdir()):
        if path.name not in known and _is_dicom(path):
            raise DataError(path, expected="a complete DICOM slice", found="one that cannot be read")


def _is_dicom(path: Path) -> bool:
    if path.name.startswith(".") or path.name == "DICOMDIR" or not path.is_file():
        return False
    with path.open("rb") as file:
        return path.suffix.lower() == ".dcm" or file.read(132).endswith(b"DICM")


def _check_positions(folder: Path, names: Sequence[str]) -> None:
    # ITK takes one slice distance for all: it would close the gap of a missing slice, and stack time frames.
    positions = np.array([_read_header(Path(name)).GetOrigin() for name in names])
    distances = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    if len(distances) and not 0 < distances.max() <= 1.1 * distances.min():
        found = f"distances from {distances.min():g} to {distances.max():g} mm"
        raise DataError(folder, expected="a series of slices at equal distances", found=found)


def _execute(reader: SimpleITK.ImageFileReader | SimpleITK.ImageSeriesReader, path: Path) -> SimpleITK.Image:
    try:
        image: SimpleITK.Image = reader.Execute()
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    check_spacings(path, image.GetSpacing())
    return image


def _unreadable(path: Path, error: RuntimeError) -> DataError:
    # SimpleITK wraps the one telling sentence in source locations and object addresses.
    reasons = re.findall(r"ERROR: (?:\w+\(0x[0-9a-f]+\): )?(.+)", str(error))
    reason = reasons[-1] if reasons else str(error).strip().splitlines()[-1]
    return DataError(path, expected="a complete image that SimpleITK reads", found=f"an error: {reason}")


def _check_intensities(path: Path, voxels: np.ndarray) -> None:
    check_finite(path, voxels)
    low, high = float(voxels.min()), float(voxels.max())
    if max(-low, high) > LARGEST:
        found = f"{low if -low > high else high:g}"
        raise DataError(path, expected=f"intensities up to {LARGEST:g}", found=found)
    if np.float32(high) - np.float32(low) < SMALLEST:
        raise DataError(path, expected="intensities that vary", found=f"the constant {voxels.flat[0]}")


@contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    # ITK's C++ readers print their own complaints past `sys.stderr`; the error raised here says it once.
    # The descriptor belongs to the whole process: two threads must not restore it in the wrong order.
    with _stderr_lock, open(os.devnull, "w") as nowhere:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
