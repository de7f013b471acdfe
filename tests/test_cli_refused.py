"""What the commands refuse: one line, an exit status, nothing half-written."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch

from shapewise import cli


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


def test_memory_that_ran_out_without_a_word_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["shapewise", "evaluate", "run"])
    monkeypatch.setattr("shapewise.runs.evaluate", lambda *_, **__: [0] * (1 << 60))
    with pytest.raises(SystemExit):
        cli.main()
    assert capfd.readouterr().err.startswith("error: memory: expected enough, found none left; lower ")


@pytest.mark.parametrize("allocate", [torch.empty, np.empty])
def test_too_little_memory_is_one_line_with_a_remedy(
    allocate: Callable[[int], object], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["shapewise", "evaluate", "run"])
    monkeypatch.setattr("shapewise.runs.evaluate", lambda *_, **__: allocate(1 << 46))
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
