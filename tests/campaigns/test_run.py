"""A campaign's runner trains, goes on, tabulates and draws."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.image import imread

FOLDER = Path(__file__).parents[2] / "campaigns"


def test_a_campaign_runs_what_is_left_and_prints_its_table(
    phantom: Path, tmp_path: Path, experiment_file: Callable[..., Path]
) -> None:
    plan = tmp_path / "plan.yaml"
    arms = {
        "pixels": {"experiment": experiment_file().name, "overrides": ["supervision.kind=pixels"]},
        "projection": {"experiment": experiment_file().name},
    }
    plan.write_text(
        yaml.safe_dump({"overrides": ["training.epochs=1"], "seeds": [0, 1], "arms": arms}, sort_keys=False)
    )

    def campaign(*arguments: object) -> list[str]:
        command = [sys.executable, FOLDER / "run.py", plan, "--out", tmp_path / "runs", *arguments]
        return subprocess.run(
            list(map(str, command)), check=True, capture_output=True, encoding="utf-8"
        ).stdout.splitlines()

    with pytest.raises(subprocess.CalledProcessError) as unfinished:
        campaign("--table")
    assert unfinished.value.stderr.endswith(
        "runs: expected a finished run, found none of pixels (seed 0, 1), projection (seed 0, 1)\n"
    )
    trained = campaign("--data", phantom, "--seeds", "0")
    assert sorted(trained) == [
        f"{arm} seed 0: {command} ended with 0"
        for arm in ("pixels", "projection")
        for command in ("evaluate", "train")
    ]
    assert campaign("--data", phantom, "--seeds", "0") == []
    heading, _, header, _, pixels, projection = campaign("--table", "--markdown")
    assert heading == "With fewer than 2 seeds:"
    columns = "arm | values a patient | seeds | RV | Myo | LV | mean ± sd | HD95, mm | of pixels | validation"
    assert header.startswith(f"| {columns} | commit |")
    assert pixels.startswith("| `pixels` | masks | 1 |")
    *_, share, validation, commit = pixels.strip("| ").split(" | ")
    assert share == "1.000"
    assert 0 <= float(validation) <= 1
    assert commit.startswith("`")  # of this checkout
    assert float(projection.split("|")[2]) > 100
    drawn = tmp_path / "pictures"
    command = [sys.executable, FOLDER / "figures.py", plan, "--out", tmp_path / "runs", "--figures", drawn]
    subprocess.run(list(map(str, command)), check=True)
    pictures = [imread(drawn / f"plan_{name}.png") for name in ("values", "error")]
    for picture in pictures:
        assert ((picture[..., :3] != 1).any(-1)).mean() > 0.01
    assert not np.array_equal(*pictures)
