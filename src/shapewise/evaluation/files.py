"""Writing masks and tables, whole or not at all.

Everything is written into a hidden folder beside its destination and moved into place when it is complete, so
that a full disk or a kill leaves nothing that looks finished.
"""

# SimpleITK carries no types.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import SimpleITK

from shapewise.data.images import read_image, write_image
from shapewise.errors import ArgumentError, DataError
from shapewise.whole_file import whole_file

NIFTI = (".nii.gz", ".nii")
METAIMAGE = (".mhd", ".mha")


def mask_name(image: Path) -> str:
    """Name of an image's mask: the image's own name, in its own format as far as masks have one.

    NIfTI gives `.nii.gz`, MetaImage keeps `.mhd` or `.mha`; a DICOM series (a folder) and any other format
    give `.nii.gz`.

    Examples:
        >>> [mask_name(Path(name)) for name in ("a/heart.nii", "b/Case01.mhd", "c/scan.nrrd")]
        ['heart.nii.gz', 'Case01.mhd', 'scan.nii.gz']
    """
    # Made absolute for a name's sake (of "." too), and links kept: what they point at is named for a store.
    name = Path(os.path.abspath(image)).name
    if image.is_dir():
        return f"{name}.nii.gz"
    for suffix in (*NIFTI, *METAIMAGE):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] + (suffix if suffix in METAIMAGE else ".nii.gz")
    return f"{Path(name).stem}.nii.gz"


def mask_path(image: str | Path, out: str | Path) -> Path:
    """Where an image's mask goes: `out` itself if it has a suffix, else into that folder under `mask_name`.

    Examples:
        >>> mask_path("in/heart.nii", "masks").as_posix()
        'masks/heart.nii.gz'
    """
    out = Path(out)
    return out if out.suffix and not out.is_dir() else out / mask_name(Path(image))


def write_mask(labels: npt.NDArray[np.integer], like: str | Path | SimpleITK.Image, path: str | Path) -> Path:
    """Write a label mask as 8-bit integers in the geometry of the image that it belongs to.

    Args:
        labels: (D, H, W), values from 0 to 255.
        like: The image, its file, or the folder of its DICOM series; gives origin, spacing and direction.
        path: The mask's file, whose suffix names the format.

    Returns:
        The file written.

    Raises:
        ArgumentError: The labels have another shape than the image, or do not fit 8 bits.
        DataError: The image cannot be read or the file not written.
    """
    image = like if isinstance(like, SimpleITK.Image) else read_image(like)
    target = Path(path)
    shape = tuple(reversed(image.GetSize()))
    if labels.shape != shape:
        raise ArgumentError("labels", expected=f"labels of the image's shape {shape}", found=labels.shape)
    if labels.size and not 0 <= labels.min() <= labels.max() <= 255:
        found = f"{labels.min()} to {labels.max()}"
        raise ArgumentError("labels", expected="labels from 0 to 255", found=found)
    mask = SimpleITK.GetImageFromArray(labels.astype(np.uint8))
    mask.CopyInformation(image)
    try:
        with whole_file(target) as unfinished:
            write_image(mask, unfinished)
    except RuntimeError as error:  # SimpleITK's
        raise DataError(target, expected="a file that can be written", found=error) from error
    return target


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table without its index; a number that does not exist is an empty cell.

    Raises:
        DataError: The file cannot be written.
    """
    with whole_file(path) as unfinished:
        frame.to_csv(unfinished, index=False, float_format="%.7g")
