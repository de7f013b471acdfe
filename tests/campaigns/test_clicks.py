"""The simulated annotator leaves a table that describes what the masks do, as far as four clicks can tell."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.phantom import make_phantom
from shapewise.data.table import read_table

SCRIPT = Path(__file__).parents[2] / "campaigns" / "clicks.py"
KEYS = ["case", "frame", "slice", "class", "descriptor", "component"]


def clicks(data: Path, out: Path, error: float) -> str:
    command = [sys.executable, SCRIPT, data, "--out", out, "--error", str(error)]
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, encoding="utf-8").stdout


def test_clicks_without_an_error_nearly_describe_the_masks(phantom: Path, tmp_path: Path) -> None:
    said = clicks(phantom, tmp_path / "clicks.csv", 0.0)
    objects, presses = map(int, re.findall(r"(\d+) objects, (\d+) clicks, 6\.8 s an object", said)[0])
    assert presses == 4 * objects
    study = find_cases(phantom)
    told = read_table(tmp_path / "clicks.csv", study.classes)
    assert set(told["source"]) == {"click"}
    both = told.merge(describe(study), on=KEYS, suffixes=("", "_mask"))
    volumes = both[both["descriptor"] == "volume"]
    assert ((volumes["value"] == 0) == (volumes["value_mask"] == 0)).all()
    for name in ("LV", "Myo"):
        there = volumes[(volumes["class"] == name) & (volumes["value_mask"] > 50)]
        ratio = there["value"] / there["value_mask"]
        assert abs(ratio.median() - 1) < 0.1, (name, ratio.median())
    centres = both[(both["descriptor"] == "centroid") & (both["class"] == "LV") & (both["value"].notna())]
    assert np.abs(centres["value"] - centres["value_mask"]).median() < 1


def test_an_error_moves_the_clicks_and_a_seed_repeats_them(tmp_path: Path) -> None:
    make_phantom(tmp_path / "one", patients=1)
    tables = {}
    for name, error in (("exact", 0.0), ("off", 2.0), ("again", 2.0)):
        clicks(tmp_path / "one", tmp_path / f"{name}.csv", error)
        tables[name] = (tmp_path / f"{name}.csv").read_text()
    assert tables["off"] == tables["again"]
    assert tables["off"] != tables["exact"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--error", "nan"], "--error: expected a number from 0 to 100, found nan"),
        (["--error", "-1"], "--error: expected a number from 0 to 100, found -1"),
        (["--error", "much"], "--error: expected a number from 0 to 100, found much"),
        (["--error", "1e6"], "--error: expected a number from 0 to 100, found 1e6"),
        (["--seed", "-1"], "--seed: expected a whole number of at least 0, found -1"),
        (["--out", "clicks.txt"], "to be a .csv or .parquet file"),
        (["--out", "/dev/null/clicks.csv"], "/dev/null"),
        (["--out", "."], "to be a .csv or .parquet file"),
    ],
)
def test_bad_arguments_are_refused_in_a_line(script, phantom: Path, tmp_path: Path, arguments, hint) -> None:
    before = [] if "--out" in arguments else ["--out", tmp_path / "clicks.csv"]
    status, out, error = script("clicks", phantom, *before, *arguments)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert hint in error
    assert list(tmp_path.iterdir()) == []


def test_bad_data_are_refused_in_a_line(script, phantom: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(phantom, tmp_path / "bare")
    for mask in bare.rglob("*_gt.nii.gz"):
        mask.unlink()
    broken = shutil.copytree(phantom, tmp_path / "broken")
    mask = min(broken.rglob("*_gt.nii.gz"))
    mask.write_bytes(mask.read_bytes()[:100])
    (tmp_path / "empty").mkdir()
    for data, where in [
        (bare, f"{bare}: expected masks beside the images, found none"),
        (broken, str(mask)),
        (tmp_path / "empty", f"{tmp_path / 'empty'}: expected the layout"),
        (tmp_path / "gone", f"{tmp_path / 'gone'}: expected a data folder"),
    ]:
        status, out, error = script("clicks", data, "--out", tmp_path / "clicks.csv")
        assert (status, out, error.count("\n")) == (2, "", 1), error
        assert error.startswith(f"error: {where}")
    assert not (tmp_path / "clicks.csv").exists()


def test_cases_without_a_mask_are_left_out(script, phantom: Path, tmp_path: Path) -> None:
    some = shutil.copytree(phantom, tmp_path / "some")
    keep, *others = sorted(some.rglob("*_gt.nii.gz"))
    for mask in others:
        mask.unlink()
    assert script("clicks", some, "--out", tmp_path / "clicks.csv", "--error", "100")[::2] == (0, "")
    told = read_table(tmp_path / "clicks.csv", find_cases(phantom).classes)
    assert {keep.name.partition("_")[0]} == set(told["case"])
