"""A small phantom study and the experiments that learn it in seconds."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch
import yaml

from shapewise import cli
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.phantom import make_phantom
from shapewise.data.table import write_table

if (
    not torch.cuda.is_available()
):  # Triton's own interpreter runs what is for a GPU; asked for before its import
    os.environ.setdefault("TRITON_INTERPRET", "1")

Shell = Callable[..., subprocess.CompletedProcess[str]]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six phantom patients in ACDC's layout; whoever changes files copies the folder first."""
    folder = tmp_path_factory.mktemp("phantom") / "data"
    make_phantom(folder, patients=6, seed=3)
    return folder


@pytest.fixture
def experiment_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes an experiment that trains in seconds; keyword arguments replace whole sections."""

    def write(name: str = "tiny", **sections: object) -> Path:
        content = {
            "name": name,
            "data": {
                "preprocessing": {"spacing": 6.0, "size": [40, 40]},
                "split": {"train": 2, "validation": 2, "test": 2},
            },
            "augmentation": {"blur": 0.5, "shift": 0.05, "scale": 0.05, "rotation": 5},
            "network": {"name": "residual_unet", "options": {"channels": 4, "levels": 3}},
            "training": {"epochs": 2, "learning_rate": 2e-3, "accelerator": "cpu"},
            "supervision": "barrier",
            **sections,
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
def same_weights() -> Callable[[Path, Path], None]:
    """Asserts that two runs have come to the same network, bit by bit."""

    def weights(run: Path) -> dict[str, torch.Tensor]:
        state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        return {key: value for key, value in state.items() if key.startswith("network.")}

    def check(first: Path, second: Path) -> None:
        ours, theirs = weights(first), weights(second)
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert torch.equal(value, theirs[key]), key

    return check


@pytest.fixture(scope="session")
def shell() -> Shell:
    """Runs `shapewise ARGUMENTS` as a person would, in a process of its own."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("shapewise")), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300, **options)  # type: ignore[call-overload,no-any-return]

    return run


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """While it lasts no file grows beyond so many bytes: writing more fails as on a full disk."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs `shapewise ARGUMENTS` in this process: status, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["shapewise", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        finally:
            torch.set_flush_denormal(False)  # what a training asks for would hold for other tests too
        return (status, *capfd.readouterr())

    return run


@pytest.fixture
def table(phantom: Path, tmp_path: Path) -> Path:
    """The descriptor table of all the phantom's masks."""
    path = tmp_path / "table.csv"
    write_table(describe(find_cases(phantom)), path)
    return path


@pytest.fixture
def maskless(phantom: Path, tmp_path: Path) -> Path:
    """The phantom with every mask deleted."""
    copy = tmp_path / "maskless"
    shutil.copytree(phantom, copy)
    for mask in copy.rglob("*_gt.nii.gz"):
        mask.unlink()
    return copy


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, phantom: Path, shell) -> Path:
    """A trained and evaluated run, made by the commands alone."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "tiny.yaml").write_text(
        "name: tiny\n"
        "data: {preprocessing: {spacing: 6.0, size: [40, 40]}, split: {train: 2, validation: 2, test: 2}}\n"
        "network: {name: residual_unet, options: {channels: 4, levels: 3}}\n"
        "training: {epochs: 2, accelerator: cpu}\n"
        "supervision: barrier\n"
    )
    trained = shell("train", folder / "tiny.yaml", "--data", phantom, "--out", folder / "run")
    assert trained.returncode == 0, trained.stderr
    evaluated = shell("evaluate", folder / "run")
    assert evaluated.returncode == 0, evaluated.stderr
    (folder / "screen.txt").write_text(trained.stdout + evaluated.stdout, encoding="utf-8")
    return folder
