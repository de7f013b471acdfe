"""Synthetic cardiac MRI in ACDC's layout, for demonstrations and tests that may not ship patients.

The hearts come from `phantom_anatomy`, their pictures from `phantom_scanner`; here a study is put together.
"""

# SimpleITK carries no types.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from shapewise.data.images import write_image
from shapewise.data.phantom_anatomy import GROUPS, Patient, Phase, draw_patient, heart_distances, labels
from shapewise.data.phantom_scanner import (
    SCANNERS,
    Examination,
    acquire,
    draw_examination,
    grid,
    paint_surroundings,
)
from shapewise.errors import ArgumentError, DataError
from shapewise.progress import watched

_MARK = "phantom.json"
_SMALLEST = 128  # pixels; below that the heart may leave the image


def make_phantom(
    out: Path,
    *,
    patients: int = 10,
    scanner: str = "A",
    seed: int = 0,
    size: tuple[int, int] | None = None,
) -> None:
    """Write a study of cine-MRI-like hearts: ED and ES of every patient, masks and biomarkers.

    The layout is ACDC's: `training/patientNNN/` with `Info.cfg`, `patientNNN_frameFF.nii.gz` and
    `patientNNN_frameFF_gt.nii.gz`, and `reference_biomarkers.csv`, whose volumes (mL) are those of the masks.
    Labels: 1 RV, 2 Myo, 3 LV. A patient depends on the seed and its own number alone: a larger study begins
    with the smaller one, and the same hearts lie in either scanner. Where the same arguments have made one
    before, it is left as it is; nothing is ever replaced.

    Args:
        out: folder to make; must be absent, empty, or hold the phantom of these arguments.
        patients: how many, at least 1.
        scanner: "A" (sharp, good contrast) or "B" (coarser, noisier, strong shading, other intensities).
        seed: a non-negative integer.
        size: rows and columns of the images; by default each patient has its scanner's choice of 144 to 176.

    Raises:
        ArgumentError: a bad argument, or `out` holds anything else.
        DataError: the folder cannot be written.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_phantom(Path(folder) / "study", patients=1)
    ...     sorted(path.name for path in (Path(folder) / "study").iterdir())
    ['phantom.json', 'reference_biomarkers.csv', 'training']
    """
    out = Path(out)
    _check(patients, scanner, seed, size)
    made = {"patients": patients, "scanner": scanner, "seed": seed} | ({"size": list(size)} if size else {})
    folders = [Path("training", f"patient{number:03d}") for number in range(1, patients + 1)]
    if _already_made(out, made, folders):
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as partial:
            _write_study(Path(partial), folders, scanner, seed, size)
            (Path(partial) / _MARK).write_text(json.dumps(made) + "\n", encoding="utf-8")
            _move(Path(partial), out)
    except (OSError, RuntimeError, DataError) as error:
        raise DataError(out, expected="a folder that can be written", found=str(error)) from error


def _check(patients: int, scanner: str, seed: int, size: tuple[int, int] | None) -> None:
    if patients < 1:
        raise ArgumentError("patients", expected="at least 1", found=patients)
    if scanner not in SCANNERS:
        raise ArgumentError("scanner", expected=f"one of {', '.join(SCANNERS)}", found=repr(scanner))
    if seed < 0:
        raise ArgumentError("seed", expected="a non-negative integer", found=seed)
    if size is not None and (len(size) != 2 or min(size) < _SMALLEST):
        raise ArgumentError("size", expected=f"two numbers of pixels, at least {_SMALLEST}", found=size)


def _already_made(out: Path, made: dict[str, object], folders: Sequence[Path]) -> bool:
    """Whether this very phantom lies there; a folder with anything else in it is somebody's data."""
    if out.exists() and not out.is_dir():
        raise ArgumentError("out", expected="a folder", found=f"the file {out}")
    if not out.exists() or not any(out.iterdir()):
        return False
    there = _read_mark(out / _MARK)
    gone = [folder for folder in folders if not (out / folder).is_dir()]
    if there == made and not gone:
        return True
    held = "other files"
    if there == made:
        held = f"this phantom without {gone[0]}"
    elif there:
        held = f"a phantom of {', '.join(f'{key} {value}' for key, value in there.items())}"
    expected = "a new folder, an empty folder, or this very phantom, whole"
    raise ArgumentError("out", expected=expected, found=f"{out}, which holds {held}")


def _read_mark(path: Path) -> dict[str, object]:
    """What made a phantom, as its mark says; nothing where the mark is missing or no mark of ours."""
    try:
        mark = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}


def _write_study(
    out: Path, folders: Sequence[Path], scanner: str, seed: int, size: tuple[int, int] | None
) -> None:
    rows = [
        _write_patient(out / folder, number, scanner, seed, size)
        for number, folder in enumerate(watched(folders, "Drawing hearts"), start=1)
    ]
    with (out / "reference_biomarkers.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _move(partial: Path, out: Path) -> None:
    """Put the finished study in place, last of all the mark that says so."""
    out.mkdir(exist_ok=True)
    for name in ("training", "reference_biomarkers.csv", _MARK):
        (partial / name).replace(out / name)


def _write_patient(
    folder: Path, number: int, scanner: str, seed: int, size: tuple[int, int] | None
) -> dict[str, object]:
    """Write one patient's files and return its row of biomarkers."""
    patient = draw_patient(np.random.default_rng([seed, number, 0]), GROUPS[(number - 1) % len(GROUPS)])
    rng = np.random.default_rng([seed, number, 1])
    examination = draw_examination(rng, SCANNERS[scanner], patient.slices, size)
    folder.mkdir(parents=True)
    surroundings = paint_surroundings(patient, examination)
    volumes: list[NDArray[np.float64]] = []
    for frame, phase in ((1, patient.heart.ed), (patient.es_frame, patient.heart.es)):
        stem = folder / f"{folder.name}_frame{frame:02d}"
        mask = draw_mask(patient, examination, phase)
        picture = np.rint(acquire(rng, patient, examination, phase, surroundings)).astype(np.int16)
        _write_volume(stem.with_suffix(".nii.gz"), picture, patient, examination)
        _write_volume(stem.with_name(f"{stem.name}_gt.nii.gz"), mask, patient, examination)
        volumes.append(_volumes(mask, patient, examination))
    _write_info(folder / "Info.cfg", patient)
    return _biomarkers(folder.name, patient, examination, *volumes)


def draw_mask(patient: Patient, examination: Examination, phase: Phase) -> NDArray[np.uint8]:
    """Label the pixels `(D, H, W)` of one phase by where their centres lie."""
    points = grid(patient, examination)
    return labels(heart_distances(patient.heart, phase, points.z, points.y, points.x))


def _write_volume(
    path: Path, voxels: NDArray[np.int16] | NDArray[np.uint8], patient: Patient, examination: Examination
) -> None:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((examination.pixel, examination.pixel, patient.slice_distance))
    image.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    write_image(image, path)


def _write_info(path: Path, patient: Patient) -> None:
    entries = {
        "ED": 1,
        "ES": patient.es_frame,
        "Group": patient.group,
        "Height": patient.height_cm,
        "NbFrame": patient.frames,
        "Weight": patient.weight_kg,
    }
    path.write_text("".join(f"{key}: {value}\n" for key, value in entries.items()), encoding="utf-8")


def _volumes(mask: NDArray[np.uint8], patient: Patient, examination: Examination) -> NDArray[np.float64]:
    """Millilitres of every label."""
    voxel_ml = examination.pixel**2 * patient.slice_distance / 1000
    return np.bincount(mask.ravel(), minlength=4).astype(np.float64) * voxel_ml


def _biomarkers(
    name: str, patient: Patient, examination: Examination, ed: NDArray[np.float64], es: NDArray[np.float64]
) -> dict[str, object]:
    """Make a row of `reference_biomarkers.csv`, with the columns and units of the challenge's."""
    row: dict[str, object] = {
        "patient": name,
        "group": patient.group,
        "n_frames": patient.frames,
        "ed_frame": 1,
        "es_frame": patient.es_frame,
        "n_slices": patient.slices,
        "height_cm": patient.height_cm,
        "weight_kg": patient.weight_kg,
        "spacing_x_mm": examination.pixel,
        "spacing_y_mm": examination.pixel,
        "spacing_z_mm": patient.slice_distance,
    }
    for ventricle, label in (("lv", 3), ("rv", 1)):
        row[f"{ventricle}_edv_ml"] = round(float(ed[label]), 3)
        row[f"{ventricle}_esv_ml"] = round(float(es[label]), 3)
        row[f"{ventricle}_ef"] = round(1 - float(es[label] / ed[label]), 5)
    return row
