"""Which commits of this checkout have trained a run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import shapewise
from shapewise.errors import RunError
from shapewise.run_folder import RunFolder


def commits(folder: RunFolder) -> list[str]:
    """What a run's `run.json` says of them; raises `RunError` where that is no list of names."""
    found = (folder.read_record().model_extra or {}).get("commits", [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise RunError(folder.record_file, expected="a list of names as `commits`", found=repr(found))
    return found


def note_commit(folder: RunFolder, now: str) -> None:
    """Add the commit that a training began with to those in `run.json` that worked on the run."""
    if now and folder.record_file.exists():
        folder.update_record(commits=list(dict.fromkeys([*commits(folder), now])))


def commit() -> str:
    """The commit of the checkout that this script and the package lie in; empty where that is unknown."""
    root = Path(__file__).resolve().parents[1]
    if not Path(shapewise.__file__).resolve().is_relative_to(root / "src"):
        return ""
    git = ["git", "--git-dir=.git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(git, cwd=root, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git
        return ""
