"""Lengths of predictions and of what targets are made of, as fractions of the masks'."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from campaigns.conftest import Script
from shapewise.config import load_experiment
from shapewise.runs import train

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "demo_projection.yaml"


def test_a_projection_has_the_masks_lengths_whatever_its_sharpness(
    script: Script, phantom: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(load_experiment(EXPERIMENT, ["training.epochs=1"]), phantom, tmp_path / "run")
    capfd.readouterr()  # what the training said
    status, out, error = script("lengths", tmp_path / "run", "--data", phantom, "--cases", "2")
    assert status == 0, error
    header, *lines = out.splitlines()
    assert header.split() == ["RV", "Myo", "LV"]
    assert [line.split(" ")[0] for line in lines] == ["prediction", "projection"] + 4 * ["sharpened"]
    medians = [[float(each) for each in re.findall(r"(\d\.\d{3}) \(", line)] for line in lines]
    assert all(len(each) == 3 for each in medians)
    ventricles = [each[2] for each in medians]  # an ellipse: its moments leave it no other length
    assert abs(ventricles[0] - 1) > 0.1
    assert max(abs(each - 1) for each in ventricles[2:]) < 0.1


def test_a_folder_without_a_run_is_one_line(script: Script, phantom: Path, tmp_path: Path) -> None:
    status, out, error = script("lengths", tmp_path, "--data", phantom)
    assert (status, out, error.count("\n")) == (2, "", 1)
