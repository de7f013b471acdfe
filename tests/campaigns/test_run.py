"""The campaigns' plans are experiments that load, and their runner trains, goes on and tabulates."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.image import imread

from shapewise.config import load_experiment

FOLDER = Path(__file__).parents[2] / "campaigns"
PLANS = sorted(FOLDER.glob("*.yaml"))
ARMS = [
    pytest.param(plan, arm, id=f"{plan.stem}-{arm}")
    for plan in PLANS
    for arm in yaml.safe_load(plan.read_text())["arms"]
]


@pytest.mark.parametrize(("plan", "arm"), ARMS)
def test_every_arm_is_an_experiment(plan: Path, arm: str) -> None:
    content = yaml.safe_load(plan.read_text())
    chosen = content["arms"][arm]
    overrides = [*content["overrides"], *chosen.get("overrides", [])]
    experiment = load_experiment(plan.parent / chosen["experiment"], overrides)
    assert experiment.training.epochs == 30


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
            list(map(str, command)), check=True, capture_output=True, text=True
        ).stdout.splitlines()

    with pytest.raises(subprocess.CalledProcessError) as unfinished:
        campaign("--table")
    assert unfinished.value.stderr == "no run of these is finished\n"
    trained = campaign("--data", phantom, "--seeds", "0")
    assert sorted(trained) == [
        f"{arm} seed 0: {command} ended with 0"
        for arm in ("pixels", "projection")
        for command in ("evaluate", "train")
    ]
    assert campaign("--data", phantom, "--seeds", "0") == []
    header, _, pixels, projection = campaign("--table")
    assert header.startswith("| arm | values a patient | seeds | RV | Myo | LV | mean | HD95, mm |")
    assert pixels.startswith("| pixels | masks | 1 |")
    assert pixels.endswith("| 1.000 |")
    assert float(projection.split("|")[2]) > 100
    drawn = tmp_path / "pictures"
    command = [sys.executable, FOLDER / "figures.py", plan, "--out", tmp_path / "runs", "--figures", drawn]
    subprocess.run(list(map(str, command)), check=True)
    pictures = [imread(drawn / f"plan_{name}.png") for name in ("values", "error")]
    for picture in pictures:
        assert ((picture[..., :3] != 1).any(-1)).mean() > 0.01
    assert not np.array_equal(*pictures)
