"""The simulated annotator leaves a table that describes what the masks do, as far as four clicks can tell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.table import read_table

SCRIPT = Path(__file__).parents[2] / "campaigns" / "clicks.py"
KEYS = ["case", "frame", "slice", "class", "descriptor", "component"]


def clicks(data: Path, out: Path, error: float) -> str:
    command = [sys.executable, SCRIPT, data, "--out", out, "--error", str(error)]
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def test_clicks_without_an_error_nearly_describe_the_masks(phantom: Path, tmp_path: Path) -> None:
    assert "clicks" in clicks(phantom, tmp_path / "clicks.csv", 0.0)
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


def test_an_error_moves_the_clicks_and_a_seed_repeats_them(phantom: Path, tmp_path: Path) -> None:
    tables = {}
    for name, error in (("exact", 0.0), ("off", 2.0), ("again", 2.0)):
        clicks(phantom, tmp_path / f"{name}.csv", error)
        tables[name] = (tmp_path / f"{name}.csv").read_text()
    assert tables["off"] == tables["again"]
    assert tables["off"] != tables["exact"]
