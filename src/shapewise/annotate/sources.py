"""Where the page's images come from: a study in one of the layouts, or a folder of loose images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shapewise.annotate import folder
from shapewise.data import acdc, nnunet, promise12
from shapewise.data.cases import Study
from shapewise.data.layouts import LAYOUTS, find_cases
from shapewise.errors import ArgumentError, DataError

LOOSE = "folder"


def find_study(root: Path, classes: Sequence[str], layout: str = "auto") -> Study:
    """Find the cases to annotate, and the classes: those asked for, or the layout's own.

    Args:
        root: a study, a folder of images, or one image.
        classes: what to annotate; empty takes what the layout has.
        layout: a layout's name, `folder` for loose images, or `auto`.

    Raises:
        DataError: there are no images, or the layout has no such class.
        ArgumentError: no class is named and the layout has none, one is named twice, or the layout is
            unknown.
    """
    if len(set(classes)) < len(classes) or any(not name or name != name.strip() for name in classes):
        raise ArgumentError("classes", expected="names, each once", found=",".join(classes))
    if "background" in classes:
        raise ArgumentError("classes", expected="names of objects", found="background, which is all the rest")
    layouts = (*LAYOUTS, LOOSE)
    if layout not in ("auto", *layouts):
        raise ArgumentError("layout", expected=f"auto or one of {', '.join(layouts)}", found=repr(layout))
    if not root.exists():
        raise DataError(root, expected="a folder of images, or an image", found="no such file")
    if layout == LOOSE or (layout == "auto" and not _is_study(root)):
        if not classes:
            raise ArgumentError("classes", expected="the names of what to annotate", found="none")
        return Study(folder.find(root), tuple(classes), LOOSE)
    study = find_cases(root, layout)
    for name in classes:
        if name not in study.classes:
            raise DataError(root, expected=f"classes among {', '.join(study.classes)}", found=name)
    return Study(study.cases, tuple(classes) or study.classes, study.layout)


def _is_study(root: Path) -> bool:
    return root.is_dir() and any(room.recognise(root) for room in (acdc, promise12, nnunet))
