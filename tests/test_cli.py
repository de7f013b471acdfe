"""The commands, run through a real shell in the order in which a person would."""

from __future__ import annotations

import json
import re
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
import torch

from shapewise import cli
from shapewise.data.table import read_table

CLASSES = {"RV", "Myo", "LV"}


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


def test_masks_are_doubted_and_refused_before_any_is_written(
    workshop: Path, phantom: Path, tmp_path: Path, shell
) -> None:
    """A spacing that may be none, and a folder in a mask's place."""
    whole = next(phantom.rglob("*frame01.nii.gz"))
    image = SimpleITK.ReadImage(str(whole))
    image.SetSpacing((1.0, 1.0, 1.0))
    unspaced, masks = tmp_path / "unspaced.nii.gz", tmp_path / "masks"
    SimpleITK.WriteImage(image, str(unspaced))
    done = shell("predict", workshop / "run", whole, unspaced, "--out", masks)
    assert done.returncode == 0, done.stderr
    assert f"mL are right only if voxels are 1 x 1 x 1 mm, as headers say: {unspaced}\n" in done.stderr
    shutil.rmtree(masks)
    (masks / "unspaced.nii.gz").mkdir(parents=True)
    done = shell("predict", workshop / "run", whole, unspaced, "--out", masks)
    assert done.returncode == 2
    assert "unspaced.nii.gz: expected a mask of an earlier call, or nothing, found a folder" in done.stderr
    assert [path.name for path in masks.iterdir()] == ["unspaced.nii.gz"]


def test_no_mask_is_written_among_the_slices_of_a_series(workshop: Path, tmp_path: Path, shell) -> None:
    """It would have been one of the series' files from then on."""
    ramp = np.arange(1600, dtype=np.int16).reshape(1, 40, 40)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(ramp), str(tmp_path / "0.dcm"))
    done = shell("predict", workshop / "run", tmp_path, "--out", tmp_path)
    assert done.returncode == 2
    assert "expected another folder than the images', found the one of" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["0.dcm"]


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


def test_whole_volumes_are_described(phantom: Path, tmp_path: Path, shell) -> None:
    done = shell("describe", phantom, "--out", tmp_path / "whole.csv", "--whole-volume")
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "whole.csv", sorted(CLASSES))
    assert table["slice"].isna().all()
    assert table.groupby("descriptor")["component"].nunique()["covariance"] == 6


def test_a_table_that_cannot_be_written_is_one_line_and_nothing_half_written(
    phantom: Path, tmp_path: Path
) -> None:
    command = Path(sys.executable).with_name("shapewise")
    script = f"ulimit -f 8; exec '{command}' describe '{phantom}' --out '{tmp_path}/table.csv'"
    done = subprocess.run(["bash", "-c", script], capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["predict", "phantom"])
def test_an_image_that_the_disk_has_no_room_for_is_not_kept(
    command: str, workshop: Path, phantom: Path, tmp_path: Path
) -> None:
    shapewise = Path(sys.executable).with_name("shapewise")
    image = next(phantom.rglob("*frame01.nii.gz"))
    arguments = {
        "predict": f"predict '{workshop}/run' '{image}' --out '{tmp_path}/masks'",
        "phantom": f"phantom '{tmp_path}/data' --patients 1",
    }
    script = f"ulimit -f 1; exec '{shapewise}' {arguments[command]}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 2, done.stdout
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


Bad = Callable[[Path, Path, Path], list[str]]


def first(data: Path) -> Path:
    """An image of the phantom."""
    return next(data.rglob("*frame01.nii.gz"))


BAD_COMMANDS: dict[str, tuple[Bad, str]] = {
    "missing data": (
        lambda w, d, t: ["describe", f"{t}/none", "--out", f"{t}/x.csv"],
        "none: expected a data folder",
    ),
    "empty data": (lambda w, d, t: ["describe", str(t), "--out", f"{t}/x.csv"], "expected the layout"),
    "unknown descriptor": (
        lambda w, d, t: ["describe", str(d), "--out", f"{t}/x.csv", "--descriptors", "volum"],
        "did you mean 'volume'",
    ),
    "no descriptors": (
        lambda w, d, t: ["describe", str(d), "--out", f"{t}/x.csv", "--descriptors", ""],
        "at least one name",
    ),
    "a seed below zero": (
        lambda w, d, t: [
            "train",
            f"{w}/tiny.yaml",
            "training.seed=-1",
            "--data",
            str(d),
            "--out",
            f"{t}/r",
        ],
        "training.seed",
    ),
    "unknown unit": (lambda w, d, t: ["describe", str(d), "--out", f"{t}/x.csv", "--unit", "cm"], "cm"),
    "table suffix": (lambda w, d, t: ["describe", str(d), "--out", f"{t}/x.xls"], "x.xls"),
    "missing experiment": (
        lambda w, d, t: ["train", f"{t}/e.yaml"],
        "e.yaml: expected a readable experiment",
    ),
    "no data folder": (lambda w, d, t: ["train", f"{w}/tiny.yaml", "--out", f"{t}/r"], "data.root"),
    "unknown key": (
        lambda w, d, t: ["train", f"{w}/tiny.yaml", "training.epoch=3", "--data", str(d), "--out", f"{t}/r"],
        "did you mean `training.epochs`",
    ),
    "unknown supervision descriptor": (
        lambda w, d, t: [
            "train",
            f"{w}/tiny.yaml",
            "supervision.descriptors=[volum]",
            "--data",
            str(d),
            "--out",
            f"{t}/r",
        ],
        "did you mean 'volume'",
    ),
    "unknown network": (
        lambda w, d, t: [
            "train",
            f"{w}/tiny.yaml",
            "network.name=enett",
            "--data",
            str(d),
            "--out",
            f"{t}/r",
        ],
        "enet",
    ),
    "another experiment": (
        lambda w, d, t: ["train", f"{w}/tiny.yaml", "training.seed=9", "--data", str(d), "--out", f"{w}/run"],
        "training.seed",
    ),
    "evaluate no run": (lambda w, d, t: ["evaluate", str(t)], "expected a run folder"),
    "evaluate unknown split": (lambda w, d, t: ["evaluate", f"{w}/run", "--split", "tests"], "tests"),
    "predict missing image": (
        lambda w, d, t: ["predict", f"{w}/run", f"{t}/a.nii.gz", "--out", f"{t}/m"],
        "a.nii.gz",
    ),
    "predict beside the image": (
        lambda w, d, t: ["predict", f"{w}/run", f"{first(d)}", "--out", f"{first(d).parent}"],
        "another folder than the images'",
    ),
    "compare unevaluated": (lambda w, d, t: ["compare", str(t), "--out", f"{t}/c"], "run"),
    "phantom over other files": (lambda w, d, t: ["phantom", f"{w}"], "an empty folder"),
    "phantom of another scanner": (lambda w, d, t: ["phantom", f"{t}/p", "--scanner", "C"], "scanner"),
}


@pytest.mark.parametrize("name", BAD_COMMANDS)
def test_bad_input_gets_one_line_and_status_2(
    name: str,
    workshop: Path,
    phantom: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    make, hint = BAD_COMMANDS[name]
    monkeypatch.setattr("sys.argv", ["shapewise", *make(workshop, phantom, tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    errors = capfd.readouterr().err.strip().splitlines()
    assert len(errors) == 1, errors
    assert hint in errors[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("allocate", [torch.empty, np.empty])
def test_too_little_memory_is_one_line_with_a_remedy(
    allocate: Callable[[int], object], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["shapewise", "evaluate", "run"])
    monkeypatch.setattr(cli, "evaluate_run", lambda *_, **__: allocate(1 << 46))
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert re.fullmatch(
        r"error: memory: expected enough, found .*allocate.*; lower training.batch_size, .*", line
    )


USAGE_ERRORS = {
    "train": "experiment: expected experiment file, found none",
    "trian": "found no such command 'trian'. Did you mean 'train'?",
    "train e.yaml --dta x": "--dta: expected arguments as in `shapewise train --help`",
    "phantom x --patients 0": "--patients: expected greater than or equal to 1, found '0'",
    "phantom x --seed": "--seed: expected arguments",
    "phantom x y": "shapewise phantom: expected arguments as in `shapewise phantom --help`",
    "describe data": "--out: expected table to write",
}


@pytest.mark.parametrize("arguments", USAGE_ERRORS)
def test_a_usage_error_is_one_line_too(
    arguments: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["shapewise", *arguments.split()])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    screen, errors = capfd.readouterr()
    assert screen == ""
    assert errors.startswith("error: ")
    assert len(errors.splitlines()) == 1
    assert USAGE_ERRORS[arguments] in errors


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
