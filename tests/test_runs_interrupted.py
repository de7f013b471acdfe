"""Runs that are cut off: what survives a kill, and how they go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from shapewise.config import load_experiment
from shapewise.errors import RunError
from shapewise.run_folder import RunFolder, taken
from shapewise.runs import train

ExperimentFile = Callable[..., Path]
SameWeights = Callable[[Path, Path], None]


@pytest.mark.parametrize(
    ("supervision", "weight_average"),
    [
        ("augmented_lagrangian", 0.0),
        ({"kind": "projection", "teacher": True}, 0.9),
        ({"kind": "projection", "renew": "epoch", "extent": "volume"}, 0.0),
    ],
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    supervision: object,
    weight_average: float,
    phantom: Path,
    tmp_path: Path,
    experiment_file: ExperimentFile,
    same_weights: SameWeights,
    command: Callable[..., Any],
) -> None:
    path = experiment_file(supervision=supervision, network={"name": "enet"})
    settings = ["training.epochs=4", f"training.weight_average={weight_average}"]

    def training(out: str) -> list[object]:
        return ["train", path, *settings, "--data", phantom, "--out", tmp_path / out]

    log = tmp_path / "killed" / "log.csv"
    last = tmp_path / "killed" / "checkpoints" / "last.ckpt"
    shapewise = Path(sys.executable).with_name("shapewise")
    process = subprocess.Popen(
        [shapewise, *map(str, training("killed"))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (log.exists() and last.exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(pd.read_csv(log)) < 4, "killed too late to show anything"
    for out in ("killed", "whole"):
        status, _, errors = command(*training(out))
        assert status == 0, errors
    same_weights(tmp_path / "killed", tmp_path / "whole")
    logs = [pd.read_csv(tmp_path / out / "log.csv").drop(columns="seconds") for out in ("killed", "whole")]
    pd.testing.assert_frame_equal(*logs)


@pytest.fixture
def start(phantom: Path, experiment_file: ExperimentFile) -> Callable[..., subprocess.Popen[str]]:
    """Starts a long `shapewise train` in the background."""

    def train_in_background(run: Path) -> subprocess.Popen[str]:
        command = [Path(sys.executable).with_name("shapewise"), "train", experiment_file()]
        return subprocess.Popen(
            [*command, "training.epochs=500", "--data", phantom, "--out", run],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            # A shell lets its background jobs ignore Ctrl-C, and their children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    return train_in_background


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on(
    number: int, status: int, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = tmp_path / "run"
    process = start(run)
    wait_for(run / "checkpoints" / "last.ckpt")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert errors == f"interrupted; the same command resumes {run}\n"
    assert RunFolder(run).read_record().train_seconds > 0


def test_a_run_interrupted_before_it_trains_leaves_nothing(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = tmp_path / "run"
    process = start(run)
    wait_for(run / "run.json")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert errors == f"interrupted; the same command starts {run}\n"
    assert not run.exists()
    assert not list((tmp_path / ".shapewise-cache").glob(".unfinished-*"))


def test_two_trainings_never_share_a_folder(
    tmp_path: Path, phantom: Path, command: Callable[..., Any], start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = tmp_path / "run"
    first = start(run)
    wait_for(run / "run.json")
    settings = [tmp_path / "tiny.yaml", "training.epochs=500"]
    status, _, errors = command("train", *settings, "--data", phantom, "--out", run)
    assert status == 2
    assert errors.startswith(f"error: {run}: expected a run folder with no other training")
    assert len(errors.splitlines()) == 1
    assert first.poll() is None, "the first one trains on"
    first.kill()
    first.communicate()
    with taken(run):
        assert (run / "run.json").exists()


def test_a_training_outlives_whoever_reads_its_screen(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    shapewise, run = Path(sys.executable).with_name("shapewise"), tmp_path / "run"
    script = f"'{shapewise}' train '{experiment_file()}' training.epochs=4 --data '{phantom}' --out '{run}'"
    command = ["bash", "-c", f"{script} | head -1; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("epoch 1/4")
    assert len(pd.read_csv(run / "log.csv")) == 4


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_broken_checkpoint_is_named_before_training(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    experiment = load_experiment(experiment_file(), ["training.epochs=1"])
    train(experiment, phantom, tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    for content in (last.read_bytes()[:1000], b"", b"not a checkpoint"):
        last.write_bytes(content)
        expected = (
            rf"last\.ckpt: expected a whole checkpoint, found a damaged file of {len(content)} bytes; copy"
        )
        with pytest.raises(RunError, match=expected):
            train(experiment, phantom, tmp_path / "run")
    # What the message says helps.
    shutil.copyfile(last.with_name("best.ckpt"), last)
    train(load_experiment(experiment_file(), ["training.epochs=2"]), phantom, tmp_path / "run")
    assert list(pd.read_csv(tmp_path / "run" / "log.csv")["epoch"]) == [0, 1]


@pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:.*does not have many workers")
def test_processes_that_read_slices_begin_where_a_resumed_run_is(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile, same_weights: SameWeights
) -> None:
    """They read ahead: the first batches of a resumed run were those of its first epoch."""

    def some(run: str, epochs: int) -> None:
        settings = ["training.workers=1", f"training.epochs={epochs}", "training.batch_size=4"]
        train(load_experiment(experiment_file(), settings), phantom, tmp_path / run)

    some("resumed", 1)
    for run in ("resumed", "whole"):
        some(run, 2)
    same_weights(tmp_path / "resumed", tmp_path / "whole")


def test_a_run_folder_that_is_moved_ends_the_training_with_one_line(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = tmp_path / "run"
    process = start(run)
    wait_for(run / "checkpoints" / "last.ckpt")
    run.rename(tmp_path / "moved")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert len(errors.splitlines()) == 1
    assert errors.startswith(f"error: {run}: expected the run folder of this training, found none")
    assert not run.exists()
