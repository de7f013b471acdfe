"""The door to every layout of files that the package reads."""

from __future__ import annotations

from pathlib import Path

from shapewise.data import acdc, nnunet, promise12
from shapewise.data.cases import Case, Study
from shapewise.errors import ArgumentError, DataError

__all__ = ["LAYOUTS", "Study", "find_cases"]

LAYOUTS = ("acdc", "promise12", "nnunet")
"""The layouts by name; a phantom is written in ACDC's."""


def find_cases(root: str | Path, layout: str = "auto") -> Study:
    """Find the cases of a data set; looks at names and headers only, and never opens a mask.

    Args:
        root: the data set's folder. For ACDC the folder that holds ``training`` (and ``testing``), one of
            these, or the one above; for PROMISE12 the folder with the ``.mhd`` files, or the one above; for
            nnU-Net the raw data set with ``imagesTr`` and ``dataset.json``.
        layout: "acdc", "promise12" or "nnunet", or "auto" to recognise which.

    Returns:
        The study, its cases sorted by patient, frame and name.

    Raises:
        ArgumentError: `layout` is none of these.
        DataError: the folder is missing, empty, or in none of these layouts; a file that the layout
            promises is missing or malformed.
    """
    root = Path(root)
    if layout not in ("auto", *LAYOUTS):
        raise ArgumentError("layout", expected=f"auto or one of {', '.join(LAYOUTS)}", found=repr(layout))
    if not root.is_dir():
        found = "a file" if root.exists() else "no such folder"
        raise DataError(root, expected="a data folder", found=found)
    name = _recognise(root) if layout == "auto" else layout
    cases, classes = _find(root, name)
    if not cases:
        raise DataError(root, expected=f"images in the layout of {name}", found="none")
    return Study(sorted(cases, key=_order), classes, name)


def _find(root: Path, layout: str) -> tuple[list[Case], tuple[str, ...]]:
    if layout == "acdc":
        return acdc.find(root), acdc.CLASSES
    if layout == "promise12":
        return promise12.find(root), promise12.CLASSES
    return nnunet.find(root)


def _recognise(root: Path) -> str:
    rooms = {"acdc": acdc, "promise12": promise12, "nnunet": nnunet}
    for name, room in rooms.items():
        if room.recognise(root):
            return name
    found = "an empty folder" if not any(root.iterdir()) else "other files"
    raise DataError(root, expected="the layout of ACDC, PROMISE12 or nnU-Net", found=found)


def _order(case: Case) -> tuple[str, int, str]:
    return case.patient, case.frame, case.name
