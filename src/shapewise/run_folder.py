"""The run folder: one place for what a run was told, what it did and what it found.

A person can read it, move it, and go on from it. `run.json` carries the format's version.
"""

from __future__ import annotations

import errno
import json
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from shapewise.config import Experiment, dump_experiment, load_experiment
from shapewise.errors import RunError
from shapewise.whole_file import UNFINISHED, whole_file

FORMAT = 1
RECORD, LOCK = "run.json", ".lock"


class Record(BaseModel):
    """What `run.json` holds."""

    model_config = ConfigDict(extra="allow", frozen=True)

    format: int = FORMAT
    data_root: str
    evaluated_root: str | None = None
    classes: tuple[str, ...]
    seed: int | None = None
    versions: dict[str, str]
    train_seconds: float = 0.0
    epochs: int = 0


@dataclass(frozen=True)
class RunFolder:
    """Names the files of a run."""

    path: Path

    @property
    def experiment_file(self) -> Path:
        """The resolved configuration."""
        return self.path / "experiment.yaml"

    @property
    def record_file(self) -> Path:
        """Versions, seed, classes, times and data folder."""
        return self.path / RECORD

    @property
    def split_file(self) -> Path:
        """Patient and split."""
        return self.path / "split.csv"

    @property
    def cases_file(self) -> Path:
        """Case, frame, phase, files and split."""
        return self.path / "cases.csv"

    @property
    def table_file(self) -> Path:
        """The descriptor table that the run learns from: a copy of the one given, or made from masks."""
        return self.path / "descriptors.csv"

    @property
    def log_file(self) -> Path:
        """One row an epoch."""
        return self.path / "log.csv"

    @property
    def checkpoints(self) -> Path:
        """Holds `last.ckpt` and `best.ckpt`."""
        return self.path / "checkpoints"

    def read_record(self) -> Record:
        """Read `run.json`.

        Raises:
            RunError: it is missing or broken, or a package with another format wrote it.
        """
        try:
            record = json.loads(self.record_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(self.path, expected="a run folder with run.json", found="none") from None
        except (OSError, ValueError) as error:
            raise RunError(self.record_file, expected="a readable record of the run", found=error) from None
        if not isinstance(record, dict):
            raise RunError(self.record_file, expected="a mapping", found=type(record).__name__)
        if record.get("format") != FORMAT:
            writer = record["versions"].get("shapewise") if isinstance(record.get("versions"), dict) else "?"
            found = f"format {record.get('format')} of shapewise {writer}"
            expected = f"run format {FORMAT}, which shapewise {version('shapewise')} reads"
            raise RunError(self.record_file, expected=expected, found=found)
        try:
            return Record.model_validate(record)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise RunError(self.record_file, expected=f"a valid `{key}`", found=first["msg"]) from None

    def update_record(self, **entries: Any) -> None:
        """Set entries of `run.json`, whole or not at all."""
        record = json.loads(self.record_file.read_text()) if self.record_file.exists() else {}
        write_text(self.record_file, json.dumps({"format": FORMAT, **record, **entries}, indent=2) + "\n")

    def read_experiment(self) -> Experiment:
        """Read the resolved configuration of a run that exists."""
        self.read_record()
        return load_experiment(self.experiment_file)

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Raise `RunError` unless a data folder has the run's classes, in the order of its labels."""
        if (began := self.read_record().classes) != classes:
            expected = f"the classes that the run began with, {', '.join(began)}"
            raise RunError(self.path, expected=expected, found=", ".join(classes))

    def start(self, experiment: Experiment, *, data_root: Path, classes: tuple[str, ...]) -> None:
        """Create the folder, or check that what it holds is this experiment, to be resumed.

        Raises:
            RunError: the folder holds another experiment, or files that are no run; or the data have other
                classes than they had.
        """
        if self.record_file.exists():
            self.check_classes(classes)
            # A kill between the first two files left the record alone: nothing was begun.
            if self.experiment_file.exists() or self.split_file.exists():
                self._check_same(experiment)
        elif holds_files(self.path):
            raise RunError(
                self.path, expected="an empty or new folder, or a run to resume", found="other files"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self.update_record(
            data_root=str(data_root.resolve()),
            classes=classes,
            seed=experiment.training.seed,
            versions=versions(),
        )
        write_text(self.experiment_file, dump_experiment(experiment))

    def _check_same(self, experiment: Experiment) -> None:
        earlier, now = (flatten(e.model_dump(mode="json")) for e in (self.read_experiment(), experiment))
        changed = sorted(key for key in earlier.keys() | now.keys() if earlier.get(key) != now.get(key))
        if experiment.training.learning_rate_decay == "none":  # more epochs would be another decay
            changed = [key for key in changed if key != "training.epochs"]
        if changed:
            key = changed[0]
            raise RunError(
                self.path,
                expected=f"the run that it holds, to be resumed: {key}={earlier.get(key)}",
                found=f"{key}={now.get(key)} (choose another --out for another experiment)",
            )


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give nested keys their dotted names.

    >>> flatten({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= (
            flatten(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {prefix + key: value}
        )
    return flat


def versions() -> dict[str, str]:
    """Say which packages a run used."""
    found = {"python": platform.python_version()}
    for package in ("shapewise", "torch", "numpy", "pytorch-lightning", "monai", "SimpleITK"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a run folder until this block, or this process, ends.

    The operating system holds the lock: whatever a process dies of, it leaves none behind.

    Raises:
        RunError: another training is at work in the folder.
    """
    existed = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / LOCK
    with file.open("a") as opened:
        if not lock(opened):
            expected = "a run folder with no other training at work in it"
            raise RunError(folder, expected=expected, found="one (wait for its end, or stop it)")
        try:
            yield
        finally:
            if not holds_files(folder):
                _remove(folder, itself=not existed)
            elif not (folder / RECORD).exists():
                file.unlink()  # somebody else's folder


def lock(file: IO[str]) -> bool:
    """Lock a file until this process ends; False if another has it. Not every file system can do that."""
    if sys.platform != "win32":
        import fcntl

        try:
            # Not `flock`: workers that load slices inherit that, and outlive a killed training by seconds.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


def holds_files(folder: Path) -> bool:
    """Say whether there is anything in a folder but the lock, and what a kill left of a file's writing."""
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return any(name != LOCK and not name.startswith(UNFINISHED) for name in names)


@contextmanager
def discarded_on_error(folder: Path) -> Iterator[None]:
    """Remove what came into being in a folder in this block, if the block fails; leave older files alone."""
    existed, older = folder.exists(), holds_files(folder)
    try:
        yield
    except BaseException:
        if not older:
            _remove(folder, itself=not existed)
        raise


def _remove(folder: Path, *, itself: bool) -> None:
    """Remove what is in a folder, and the folder itself if nobody had made it before."""
    for path in folder.iterdir() if folder.exists() else ():
        with suppress(OSError):  # what went wrong before is the error to tell
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if itself:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; raises `RunError` where it cannot be written."""
    with whole_file(path, RunError) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
