"""PROMISE12's layout: ``CaseNN.mhd`` and ``CaseNN_segmentation.mhd``, each with its voxels beside it.

Source: Litjens et al., Medical Image Analysis 2014. The challenge's archives unpack into one folder a part:
the files may lie in `root` or one folder below.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from shapewise.data.cases import Case
from shapewise.data.images import PLACEHOLDER, read_spacing
from shapewise.errors import DataError

CLASSES = ("prostate",)
MASK_SUFFIX = "_segmentation"


def recognise(root: Path) -> bool:
    """Say whether `root`, or a folder in it, holds ``Case*.mhd``."""
    return bool(_images(root))


def find(root: Path) -> list[Case]:
    """Find one case an image, frame 0; a mask may be missing."""
    images = _images(root)
    _check_unique(images)
    return [_case(image) for image in images]


def _images(root: Path) -> list[Path]:
    paths = [*root.glob("Case*.mhd"), *root.glob("*/Case*.mhd")]
    return sorted((path for path in paths if not path.stem.endswith(MASK_SUFFIX)), key=lambda path: path.name)


def _case(image: Path) -> Case:
    mask = image.with_name(f"{image.stem}{MASK_SUFFIX}.mhd")
    # Copies of the data that were resampled without care say 1 mm along every axis; no scanner did.
    known = read_spacing(image) != PLACEHOLDER
    return Case(image.stem, image.stem, 0, image, mask if mask.exists() else None, spacing_known=known)


def _check_unique(images: list[Path]) -> None:
    for first, second in pairwise(images):
        if first.name == second.name:
            raise DataError(second, expected="each case once", found=f"another one at {first}")
