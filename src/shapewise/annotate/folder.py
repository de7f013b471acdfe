"""Images that lie in a folder as they came: NIfTI, MetaImage, NRRD, DICOM series, PNG."""

# SimpleITK carries no types.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from shapewise.data.cases import Case, Volume
from shapewise.errors import DataError

VOLUMES = (".nii.gz", ".nii", ".mhd", ".mha", ".nrrd", ".nhdr", ".hdr")
PICTURES = (".png",)


@dataclass(frozen=True)
class Pictures(Case):
    """One PNG, or a folder of them as the slices of one image; how large its pixels are it does not say."""

    def read_image(self) -> Volume:
        """Read the pictures, in the order of their names.

        Raises:
            DataError: one cannot be read, or has another size than the first.
        """
        slices = [_read_picture(path) for path in _pictures(self.image)]
        for path, pixels in zip(_pictures(self.image), slices, strict=True):
            if pixels.shape != slices[0].shape:
                raise DataError(path, expected=f"a picture of {slices[0].shape} pixels", found=pixels.shape)
        return Volume(np.stack(slices), (1.0, 1.0, 1.0), np.zeros((8, 3)))


def find(root: Path) -> list[Case]:
    """Find the images in a folder and in the folders in it, by their names; or the one that `root` is.

    A folder of DICOM files is one image, and so is a folder of PNGs below `root`, in the order of the numbers
    in their names; PNGs in `root`, or beside volumes, are an image each.

    Raises:
        DataError: there is none, or two have one name.
    """
    cases = _in_folder(root) if root.is_dir() else _image(root) or _single(root)
    first: dict[str, Path] = {}
    for case in cases:
        if first.setdefault(case.name, case.image) != case.image:
            found = f"another one at {first[case.name]}"
            raise DataError(case.image, expected=f"one image of the name {case.name}", found=found)
    if not cases:
        raise DataError(root, expected="images (NIfTI, MetaImage, NRRD, DICOM, PNG)", found="none")
    return sorted(cases, key=lambda case: case.name)


def _in_folder(root: Path) -> list[Case]:
    if _is_series(root):
        return [_whole(Case, root)]
    return [case for path in _visible(root) for case in (_below(path) if path.is_dir() else _image(path))]


def _below(folder: Path) -> list[Case]:
    if _pictures(folder) and not any(path.name.lower().endswith(VOLUMES) for path in _visible(folder)):
        return [_whole(Pictures, folder)]
    if _is_series(folder):
        return [_whole(Case, folder)]
    return [case for path in _visible(folder) if path.is_file() for case in _image(path)]


def _image(path: Path) -> list[Case]:
    for ending in (*VOLUMES, *PICTURES):
        if path.name.lower().endswith(ending):
            name = path.name[: -len(ending)].strip()  # as tables have it
            kind = Pictures if ending in PICTURES else Case
            return [kind(name, name, 0, path, None, spacing_known=kind is Case)] if name else []
    return []


def _single(path: Path) -> list[Case]:
    """A file of DICOM that was asked for by itself."""
    return [Case(path.stem, path.stem, 0, path, None, spacing_known=True)] if _is_dicom(path) else []


def _whole(kind: type[Case], folder: Path) -> Case:
    name = folder.resolve().name.strip()
    return kind(name, name, 0, folder, None, spacing_known=kind is Case)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _pictures(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = [each for each in _visible(path) if each.is_file() and each.name.lower().endswith(PICTURES)]
    return sorted(found, key=lambda each: _counted(each.name))


def _counted(name: str) -> list[tuple[str, int]]:
    """What names are sorted by as a person would: slice10 comes after slice9."""
    parts = re.split(r"([0-9]+)", name)
    return [(text, int(number or 0)) for text, number in zip(parts[::2], [*parts[1::2], ""], strict=True)]


def _is_series(folder: Path) -> bool:
    """Whether any file says that it is DICOM; files of other kinds are seldom many, so few are opened."""
    others = (path for path in _visible(folder) if not path.name.lower().endswith((*VOLUMES, *PICTURES)))
    return any(path.is_file() and _is_dicom(path) for path in others)


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132).endswith(b"DICM")


def _read_picture(path: Path) -> NDArray[np.float32]:
    try:
        pixels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).astype(np.float32)
    except RuntimeError:
        raise DataError(path, expected="a complete PNG, grey, RGB or RGBA", found="another file") from None
    return np.asarray(pixels if pixels.ndim == 2 else pixels[..., :3].mean(axis=-1), np.float32)
