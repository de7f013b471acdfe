"""What ITK mends in silence in a damaged NIfTI or Analyze file, found in the bytes and refused.

ITK fills the missing end of a file with zeros, puts zero for NaN, and 1 mm for a pixel size that is none.
Source: the NIfTI-1 standard, https://nifti.nimh.nih.gov/nifti-1.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from shapewise.errors import DataError

ENDINGS = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz")
FLOATS = {16: "f4", 64: "f8"}
"""The standard's numbers for the types of voxel that can be NaN, as NumPy calls them."""

HEADER = np.dtype(
    {
        "names": ["dim", "datatype", "bitpix", "pixdim", "vox_offset"],
        "formats": ["8i2", "i2", "i2", "8f4", "f4"],
        "offsets": [40, 70, 72, 76, 108],
        "itemsize": 348,
    }
)
Order = Literal["=", "S"]

SPACINGS = 1e-6, 1e6
"""Smallest and largest distance of pixels in mm; beyond lies a mistake."""


def check_nifti(path: Path) -> None:
    """Refuse what ITK would not.

    Raises:
        DataError: the file is truncated, holds NaN or infinity, or has an absurd spacing.
    """
    head, voxels = _files(path)
    stored = _bytes(head)
    header, order = _header(stored)
    ndim = int(header["dim"][0])
    check_spacings(path, header["pixdim"][1 : ndim + 1])
    stored = stored if voxels == head else _bytes(voxels)
    start = max(0, int(header["vox_offset"]))
    count = int(np.prod(header["dim"][1 : ndim + 1], dtype=np.int64))
    expected = start + count * int(header["bitpix"]) // 8
    if len(stored) < expected:
        raise DataError(path, expected=f"a complete image of {expected} bytes", found=f"{len(stored)} bytes")
    if (kind := FLOATS.get(int(header["datatype"]))) is not None:
        check_finite(path, np.frombuffer(stored, np.dtype(kind).newbyteorder(order), count, start))


def check_spacings(path: Path, spacings: Sequence[float]) -> None:
    """Refuse pixel sizes that no scanner has; time, the fourth axis, may be anything."""
    low, high = SPACINGS
    for spacing in spacings[:3]:
        if not low <= spacing <= high:
            raise DataError(path, expected=f"spacings from {low:g} to {high:g} mm", found=f"{spacing:g}")


def check_finite(path: Path, voxels: np.ndarray) -> None:
    """Refuse NaN and infinity."""
    if not np.isfinite(voxels).all():
        raise DataError(path, expected="finite voxels", found="NaN or infinity")


def _files(path: Path) -> tuple[Path, Path]:
    """Where the header is, and where the voxels are: in one file, or in a pair of which `path` is one."""
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    if name.suffix.lower() == ".nii":
        return path, path
    return _half(name, ".hdr"), _half(name, ".img")


def _half(name: Path, ending: str) -> Path:
    spell = str.upper if name.suffix.isupper() else str.lower
    half, packed = (name.with_suffix(spell(ending + more)) for more in ("", ".gz"))
    return packed if packed.exists() and not half.exists() else half


def _header(stored: bytes) -> tuple[np.void, Order]:
    """The header, and whether its bytes are swapped: it begins with its own size."""
    order: Order = "=" if int.from_bytes(stored[:4], sys.byteorder) == HEADER.itemsize else "S"
    return np.frombuffer(stored, HEADER.newbyteorder(order), 1)[0], order


def _bytes(path: Path) -> bytes:
    try:
        stored = path.read_bytes()
        return gzip.decompress(stored) if path.suffix.lower() == ".gz" else stored
    except FileNotFoundError:
        raise DataError(path, expected="the other half of an image", found="no such file") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(path, expected="a complete gzip file", found=f"an error: {error}") from None
