"""The commands, run through a real shell in the order in which a person would."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from shapewise.data.describe import DESCRIPTORS
from shapewise.data.table import read_table

CLASSES = {"RV", "Myo", "LV"}


def test_help_teaches_every_command(shell) -> None:
    shown = shell("--help")
    assert shown.returncode == 0
    for command in ("phantom", "describe", "train", "evaluate", "predict", "compare"):
        assert command in shown.stdout


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("train", "runs/NAME-OF-THE-FILE"),
        ("evaluate", "the training's"),
        ("annotate", "the layout's"),
        ("annotate", "8471, or one that is free"),
    ],
)
def test_help_says_what_holds_by_default(
    name: str, default: str, command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    status, shown, _ = command(name, "--help")
    assert status == 0
    assert f"[default: ({default})]" in shown


def test_describe_measures_the_same_by_default_here_and_in_python(
    command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert f"[default: {','.join(DESCRIPTORS)}]" in command("describe", "--help")[1]


def test_a_run_folder_holds_what_a_person_needs(workshop: Path) -> None:
    run = workshop / "run"
    for name in (
        "experiment.yaml",
        "run.json",
        "split.csv",
        "cases.csv",
        "descriptors.csv",
        "log.csv",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
        "metrics.csv",
        "values.csv",
        "biomarkers.csv",
        "volumes.csv",
        "scans.csv",
    ):
        assert (run / name).is_file(), name
    assert list((run / "tensorboard").glob("events*"))
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["epochs"] == 2
    assert record["classes"] == ["RV", "Myo", "LV"]
    assert set(pd.read_csv(run / "log.csv")) >= {
        "epoch",
        "seconds",
        "train_loss",
        "val_dice",
        "val_satisfied",
        "val_violation",
    }


def test_every_test_case_frame_and_class_has_a_row(workshop: Path) -> None:
    metrics = pd.read_csv(workshop / "run" / "metrics.csv")
    split = pd.read_csv(workshop / "run" / "split.csv")
    assert set(metrics["case"]) == set(split.loc[split["split"] == "test", "patient"])
    assert len(metrics) == 2 * 2 * 3
    assert set(metrics["class"]) == CLASSES
    assert metrics[["dice", "hd95_mm", "assd_mm"]].notna().all(axis=None)


def test_the_screen_shows_the_table(workshop: Path) -> None:
    screen = (workshop / "screen.txt").read_text(encoding="utf-8")
    assert "epoch 2/2" in screen
    assert "HD95 (mm)" in screen


def test_predict_keeps_the_geometry(workshop: Path, phantom: Path, tmp_path: Path, shell) -> None:
    image = next(phantom.rglob("*frame01.nii.gz"))
    done = shell("predict", workshop / "run", image, "--out", tmp_path / "masks")
    assert done.returncode == 0, done.stderr
    mask = SimpleITK.ReadImage(str(tmp_path / "masks" / image.name))
    original = SimpleITK.ReadImage(str(image))
    assert mask.GetSize() == original.GetSize()
    assert mask.GetSpacing() == original.GetSpacing()
    assert mask.GetDirection() == original.GetDirection()
    volumes = pd.read_csv(tmp_path / "masks" / "volumes.csv").set_index("class")["volume_ml"]
    voxel = np.prod(mask.GetSpacing()) / 1000
    counts = np.bincount(SimpleITK.GetArrayFromImage(mask).ravel(), minlength=4)
    assert list(volumes) == pytest.approx(list(counts[1:] * voxel))
    assert list(volumes.index) == ["RV", "Myo", "LV"]


def test_compare_writes_one_self_contained_report(workshop: Path, tmp_path: Path, shell) -> None:
    done = shell("compare", workshop / "run", "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    html = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in html
    assert "http://" not in html.replace("http://www.w3.org", "")


def test_a_finished_run_is_not_trained_again(workshop: Path, phantom: Path, shell) -> None:
    before = (workshop / "run" / "checkpoints" / "last.ckpt").read_bytes()
    again = shell("train", workshop / "tiny.yaml", "--data", phantom, "--out", workshop / "run")
    assert again.returncode == 0, again.stderr
    assert (workshop / "run" / "checkpoints" / "last.ckpt").read_bytes() == before


def test_a_moved_run_still_evaluates(workshop: Path, tmp_path: Path, phantom: Path, shell) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(workshop / "run", moved)
    before = (moved / "metrics.csv").read_bytes()
    done = shell("evaluate", moved, "--data", phantom, "--split", "validation")
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(moved / "metrics_validation.csv")) == 12
    assert (moved / "metrics.csv").read_bytes() == before, "the test split's stay"


def test_new_patients_are_measured_and_compared(
    workshop: Path,
    tmp_path: Path,
    phantom: Path,
    command: Callable[..., tuple[int, str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    run, data = tmp_path / "run", tmp_path / "clinic"
    shutil.copytree(workshop / "run", run)
    for name in ("patient901", "patient902"):
        old = phantom / "training" / name.replace("90", "00")
        shutil.copytree(old, data / name)
        for file in (data / name).glob("patient*"):
            file.rename(file.with_name(file.name.replace(old.name, name)))
    status, screen, errors = command("evaluate", run, "--data", data)
    assert (status, "run, test split" in screen) == (0, True), errors
    assert "the run knows none of these patients: all 2 are tested on" in caplog.text
    assert set(pd.read_csv(run / "metrics.csv")["case"]) == {"patient901", "patient902"}
    others = (run / "metrics.csv").read_bytes()
    shutil.copytree(phantom / "training" / "patient003", data / "patient003")
    status, screen, errors = command("evaluate", run, "--data", data, "--split", "new")
    assert (status, "run, new patients" in screen) == (0, True), errors
    assert set(pd.read_csv(run / "metrics_new.csv")["case"]) == {"patient901", "patient902"}
    assert (run / "metrics.csv").read_bytes() == others
    assert command("compare", run, "--out", tmp_path / "report")[0] == 0
    assert f"evaluate NEW --data {data}" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_whole_volumes_are_described(phantom: Path, tmp_path: Path, shell) -> None:
    done = shell("describe", phantom, "--out", tmp_path / "whole.csv", "--whole-volume")
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "whole.csv", sorted(CLASSES))
    assert table["slice"].isna().all()
    assert table.groupby("descriptor")["component"].nunique()["covariance"] == 6


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_is_one_line_and_nothing_half_written(
    number: int, status: int, tmp_path: Path
) -> None:
    command = [Path(sys.executable).with_name("shapewise"), "phantom", tmp_path / "data", "--patients", "999"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        # A shell lets its background jobs ignore Ctrl-C, and their children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*_gt.nii.gz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    for _ in range(2):  # a second one does not stop the tidying up
        process.send_signal(number)
    screen, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert (screen, errors) == ("", "interrupted; nothing is left half-written\n")
    assert not list(tmp_path.iterdir())


def test_a_training_counts_denormal_numbers_as_0_in_all_threads(
    shell, phantom: Path, tmp_path: Path, experiment_file: Callable[..., Path]
) -> None:
    """Convolutions take a CPU hundreds of times as long over them."""
    (tmp_path / "look.py").write_text(
        "import torch\ntorch.set_num_threads(2)\n"
        "raise RuntimeError(f'{(torch.full((4_000_000,), 1e-39) * 1).count_nonzero()} are left')"
    )
    done = shell("train", experiment_file(plugins=["look.py"]), "--data", phantom, "--out", tmp_path / "run")
    assert "RuntimeError('0 are left')" in done.stderr
