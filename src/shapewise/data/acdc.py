"""ACDC's layout: one folder a patient, end-diastole and end-systole named in `Info.cfg`.

``training/patientNNN/{Info.cfg, patientNNN_frameFF.nii.gz, patientNNN_frameFF_gt.nii.gz}``, and the same
under ``testing/``; both may lie in ``database/``, as in the archive. The cine sequence
``patientNNN_4d.nii.gz`` is not read. Source: Bernard et al., IEEE TMI 2018.
"""

from __future__ import annotations

from pathlib import Path

from shapewise.data.cases import Case
from shapewise.errors import DataError

CLASSES = ("RV", "Myo", "LV")
PHASES = ("ED", "ES")


def recognise(root: Path) -> bool:
    """Say whether `root`, or a folder that the archive has below it, holds patient folders."""
    return bool(_patients(root))


def find(root: Path) -> list[Case]:
    """Find two cases a patient; a mask may be missing, an image or `Info.cfg` may not.

    Raises:
        DataError: a file is missing or malformed, or a patient has two folders.
    """
    folders = _patients(root)
    _check_unique(folders)
    return [case for folder in folders for case in _patient_cases(folder)]


def _patients(root: Path) -> list[Path]:
    parents = (base / part for base in (root, root / "database") for part in ("", "training", "testing"))
    return sorted(folder for parent in parents for folder in parent.glob("patient*") if folder.is_dir())


def _check_unique(folders: list[Path]) -> None:
    first: dict[str, Path] = {}
    for folder in folders:
        if first.setdefault(folder.name, folder) != folder:
            raise DataError(
                folder, expected="each patient once", found=f"another one at {first[folder.name]}"
            )


def _patient_cases(folder: Path) -> list[Case]:
    frames = _read_frames(folder / "Info.cfg")
    return [_case(folder, frame, phase) for phase, frame in frames.items()]


def _case(folder: Path, frame: int, phase: str) -> Case:
    image = folder / f"{folder.name}_frame{frame:02d}.nii.gz"
    mask = folder / f"{folder.name}_frame{frame:02d}_gt.nii.gz"
    if not image.exists():
        raise DataError(image, expected=f"the {phase} image that Info.cfg names", found="no such file")
    return Case(folder.name, folder.name, frame, image, mask if mask.exists() else None, phase)


def _read_frames(path: Path) -> dict[str, int]:
    if not path.exists():
        raise DataError(path, expected="ACDC's list of frames", found="no such file")
    entries = dict(_entries(path))
    frames = {phase: _frame(path, entries, phase) for phase in PHASES}
    if frames["ED"] == frames["ES"]:
        raise DataError(path, expected="two frames, ED and ES", found=f"frame {frames['ED']} for both")
    return frames


def _entries(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return [(key.strip(), value.strip()) for key, _, value in pairs]


def _frame(path: Path, entries: dict[str, str], phase: str) -> int:
    text = entries.get(phase)
    if text is None:
        raise DataError(path, expected=f"a line `{phase}: <frame>`", found="no such line")
    if not (text.isascii() and text.isdigit()):
        raise DataError(path, expected=f"a frame number after `{phase}:`", found=repr(text))
    return int(text)
