"""The campaigns' scripts, run as a person would, and a plan with runs that need no training."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from shapewise.config import load_experiment
from shapewise.run_folder import RunFolder

FOLDER = Path(__file__).parents[2] / "campaigns"
Script = Callable[..., tuple[int, str, str]]
Finish = Callable[..., Path]
PLAN = """
overrides: [training.epochs=3]
seeds: [0, 1]
arms:
  pixels: {experiment: pixels.yaml}
  half: {experiment: half.yaml}
  third: {experiment: third.yaml}
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Script:
    """Runs `python campaigns/NAME.py ARGUMENTS` in this process: status, standard output, standard error."""

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        path = FOLDER / f"{name}.py"
        monkeypatch.syspath_prepend(str(FOLDER))
        monkeypatch.setattr("sys.argv", [str(path), *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        finally:
            for path in FOLDER.glob("*.py"):
                sys.modules.pop(path.stem, None)
        return (status, *capfd.readouterr())

    return run


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Three arms that learn from masks, and two seeds."""
    for arm in ("pixels", "half", "third"):
        (tmp_path / f"{arm}.yaml").write_text("supervision: pixels")
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def finish(plan: Path) -> Finish:
    """Leaves a finished run of that plan with this Dice of RV and LV, of two cases."""

    def write(
        name: str,
        right: float,
        left: float,
        *overrides: str,
        hd95: object = 4.0,
        validation: tuple[float, ...] = (),
        **record: object,
    ) -> Path:
        arm, seed = name.split("_s")
        folder = plan.parent / "runs" / name
        said = ["training.epochs=3", f"training.seed={seed}", *overrides]
        experiment = load_experiment(plan.parent / f"{arm}.yaml", said)
        run = RunFolder(folder)
        run.start(experiment, data_root=plan.parent, classes=("RV", "LV"))
        run.update_record(**{"epochs": 3, **record})
        rows = [("RV", right - 0.1), ("LV", left - 0.1), ("RV", right + 0.1), ("LV", left + 0.1)]
        metrics = pd.DataFrame(rows, columns=["class", "dice"]).assign(hd95_mm=hd95)
        metrics.to_csv(folder / "metrics.csv", index=False)
        if validation:
            pd.DataFrame({"epoch": range(len(validation)), "val_dice": validation}).to_csv(
                folder / "log.csv", index=False
            )
        return folder

    return write
