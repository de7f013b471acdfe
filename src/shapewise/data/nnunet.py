"""nnU-Net's raw layout, for one's own data.

``imagesTr/{name}_0000.nii.gz``, optional ``labelsTr/{name}.nii.gz`` and ``dataset.json``, whose
``channel_names`` has one channel, ``labels`` maps each class to an integer with background 0, and
``file_ending`` names the format. A name that ends in ``_frameNN`` belongs to the patient named before it, so
that the frames of one patient stay together in a split. Source: nnU-Net v2, `dataset_format.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from shapewise.data.cases import Case
from shapewise.errors import DataError

DESCRIPTION = "dataset.json"
TAKEN = ("Overall", "mean", "ignore")
"""No class names: two are rows of result tables about all classes, the last nnU-Net's label of no object."""


def recognise(root: Path) -> bool:
    """Say whether `root` holds ``dataset.json`` or ``imagesTr``."""
    return (root / DESCRIPTION).exists() or (root / "imagesTr").is_dir()


def find(root: Path) -> tuple[list[Case], tuple[str, ...]]:
    """Find one case an image, frame 0, and the foreground classes in label order."""
    path = root / DESCRIPTION
    description = _read_description(path)
    _check_one_channel(path, _mapping(path, description, "channel_names"))
    classes = _classes(path, _mapping(path, description, "labels"))
    return _cases(root, _file_ending(path, description)), classes


def _cases(root: Path, ending: str) -> list[Case]:
    images = _visible(root / "imagesTr", ending)
    for image in images:
        if not image.name.endswith(f"_0000{ending}"):
            raise DataError(image, expected=f"a name that ends in _0000{ending}", found=image.name)
    cases = [_case(root, image, ending) for image in images]
    _check_no_other_format(root / "imagesTr", cases, ending)
    _check_labels_have_images(root, cases, ending)
    return cases


def _visible(folder: Path, ending: str) -> list[Path]:
    # Archives packed on a Mac carry a hidden "._" twin of every file.
    return sorted(path for path in folder.glob(f"*{ending}") if not path.name.startswith("."))


def _case(root: Path, image: Path, ending: str) -> Case:
    name = image.name.removesuffix(f"_0000{ending}")
    _check_name(image, name)
    mask = root / "labelsTr" / f"{name}{ending}"
    return Case(name, re.sub(r"_frame\d+$", "", name), 0, image, mask if mask.exists() else None)


def _check_name(path: Path, name: str) -> None:
    if not name or name != name.strip():  # a table would not keep them
        raise DataError(path, expected="names without spaces around them", found=repr(name))


def _check_no_other_format(folder: Path, cases: list[Case], ending: str) -> None:
    """Refuse an image that would be left out; what lies beside one, such as `.mhd`'s voxels, has its name."""
    names = {case.name for case in cases}
    for path in _visible(folder, ""):
        name, zeros, _ = path.name.rpartition("_0000.")
        if zeros and name not in names:
            expected = f"an image in {ending}, as {DESCRIPTION} says"
            raise DataError(path, expected=expected, found="another ending")


def _check_labels_have_images(root: Path, cases: list[Case], ending: str) -> None:
    names = {case.name for case in cases}
    for mask in _visible(root / "labelsTr", ending):
        if mask.name.removesuffix(ending) not in names:
            raise DataError(mask, expected="an image of the same name in imagesTr", found="none")


def _read_description(path: Path) -> dict[str, object]:
    if not path.exists():
        raise DataError(path, expected="nnU-Net's description of the data", found="no such file")
    try:
        description = json.loads(path.read_text(encoding="utf-8-sig"))  # as Windows writes it
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(path, expected="valid JSON", found=error) from None
    if not isinstance(description, dict):
        raise DataError(path, expected="a JSON object", found=type(description).__name__)
    return description


def _mapping(path: Path, description: Mapping[str, object], key: str) -> dict[str, object]:
    value = description.get(key)
    if not isinstance(value, dict):
        raise DataError(path, expected=f"an object under `{key}`", found="none" if value is None else value)
    return value


def _file_ending(path: Path, description: Mapping[str, object]) -> str:
    ending = description.get("file_ending")
    if not (isinstance(ending, str) and ending.startswith(".")):
        raise DataError(path, expected="a `file_ending` such as .nii.gz", found=ending or "none")
    return ending


def _check_one_channel(path: Path, channels: Mapping[str, object]) -> None:
    if len(channels) != 1:
        raise DataError(path, expected="one channel in `channel_names`", found=f"{len(channels)}")


def _classes(path: Path, labels: Mapping[str, object]) -> tuple[str, ...]:
    names: dict[int, str] = {}
    for name, label in labels.items():
        if type(label) is not int:
            raise DataError(path, expected=f"an integer as label of {name!r}", found=label)
        _check_name(path, name)
        if name in TAKEN:
            raise DataError(path, expected=f"class names other than {', '.join(TAKEN)}", found=name)
        names[label] = name
    in_order = [names.get(label) for label in range(len(labels))]
    classes = tuple(name for name in in_order[1:] if name is not None)
    if in_order[:1] != ["background"] or not classes or len(classes) != len(labels) - 1:
        wanted = "`background` as label 0 and the classes numbered from 1 without gaps"
        raise DataError(path, expected=wanted, found=dict(labels))
    return classes
