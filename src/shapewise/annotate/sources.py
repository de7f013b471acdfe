"""Where the page's images come from: a study in one of the layouts, or a folder of loose images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shapewise.annotate import folder
from shapewise.annotate.schema import LONGEST_NAME, MOST_CLASSES
from shapewise.data import acdc, nnunet, promise12
from shapewise.data.cases import Study
from shapewise.data.layouts import LAYOUTS, find_cases
from shapewise.errors import ArgumentError, DataError

LOOSE = "folder"

TAKEN = ("background", *nnunet.TAKEN)
SCRIPT = (
    *("__proto__", "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable"),
    *("toLocaleString", "toString", "valueOf"),
    *("__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"),
)
"""What every object of the page's language has: there such a class would seem to be drawn already."""


def find_study(root: Path, classes: Sequence[str], layout: str = "auto") -> Study:
    """Find the cases to annotate, and the classes: those asked for, or the layout's own.

    Args:
        root: a study, a folder of images, or one image.
        classes: what to annotate; empty takes what the layout has.
        layout: a layout's name, `folder` for loose images, or `auto`.

    Raises:
        DataError: there are no images, or the layout has no such class.
        ArgumentError: no class is named and the layout has none, one is named twice or cannot be taken, there
            are too many, or the layout is unknown.
    """
    if len(set(classes)) < len(classes) or any(not name or name != name.strip() for name in classes):
        raise ArgumentError("classes", expected="names, each once", found=",".join(classes))
    layouts = (*LAYOUTS, LOOSE)
    if layout not in ("auto", *layouts):
        raise ArgumentError("layout", expected=f"auto or one of {', '.join(layouts)}", found=repr(layout))
    if not root.exists():
        raise DataError(root, expected="a folder of images, or an image", found="no such file")
    if layout == LOOSE or (layout == "auto" and not _is_study(root)):
        if not classes:
            raise ArgumentError("classes", expected="the names of what to annotate", found="none")
        _check_classes(classes)
        return Study(folder.find(root), tuple(classes), LOOSE)
    study = find_cases(root, layout)
    for name in classes:
        if name not in study.classes:
            raise DataError(root, expected=f"classes among {', '.join(study.classes)}", found=name)
    _check_classes(classes or study.classes)
    return Study(study.cases, tuple(classes) or study.classes, study.layout)


def _check_classes(classes: Sequence[str]) -> None:
    """Refuse what the page, or a training, could not do with; before anybody has drawn."""
    if len(classes) > MOST_CLASSES:
        expected = f"at most {MOST_CLASSES} names, as in --classes LV,RV"
        raise ArgumentError("classes", expected=expected, found=f"{len(classes)}")
    for name in classes:
        if name in TAKEN or name in SCRIPT:
            raise ArgumentError("classes", expected="names of objects", found=f"{name}, which is none")
        if len(name) > LONGEST_NAME:
            expected = f"names of at most {LONGEST_NAME} letters"
            raise ArgumentError("classes", expected=expected, found=f"{len(name)} in {name[:20]}…")


def _is_study(root: Path) -> bool:
    return root.is_dir() and any(room.recognise(root) for room in (acdc, promise12, nnunet))
