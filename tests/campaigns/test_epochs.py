"""What choosing an epoch without masks costs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from campaigns.conftest import Script


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three epochs: the second has the best Dice, the first breaks bounds by least, the third most seldom."""
    folder = tmp_path / "run_s0"
    folder.mkdir()
    log = {
        "epoch": [0, 1, 2],
        "val_dice": [0.5, 0.9, 0.8],
        "val_violation": [0.1, 0.3, 0.2],
        "val_satisfied_volume": [0.5, 0.8, 0.7],
        "val_satisfied_centroid": [0.5, 0.6, 0.9],
    }
    pd.DataFrame(log).to_csv(folder / "log.csv", index=False)
    return folder


def test_each_choice_loses_what_its_epoch_has_less(script: Script, run: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "log.csv").write_text("epoch,train_loss\n0,0.5\n")
    status, out, error = script("epochs", run, bare)
    assert (status, error) == (0, f"left out: {bare}\n")
    header, row, *summary = out.splitlines()
    assert header.split() == ["best", "satisfied", "violation", "last"]
    assert row.split() == [str(run), "0.9", "0.1", "0.4", "0.1"]
    assert [line.split()[0] for line in summary] == ["mean", "max"]


def test_of_equal_epochs_the_later_is_the_one_that_is_kept(script: Script, run: Path) -> None:
    log = pd.read_csv(run / "log.csv")
    log.assign(val_violation=0.1, val_satisfied_volume=0.5, val_satisfied_centroid=0.5).to_csv(
        run / "log.csv", index=False
    )
    row = script("epochs", run)[1].splitlines()[1]
    assert row.split() == [str(run), "0.9", "0.1", "0.1", "0.1"]


@pytest.mark.parametrize(
    "content",
    [
        None,
        "epoch,train_loss\n0,0.5\n",
        "epoch,val_dice,val_violation\n0,0.5,0.5\n",
        "epoch,val_dice,val_violation,val_satisfied_volume\n0,,0.5,0.5\n",
        "nothing",
    ],
)
def test_a_run_that_tells_nothing_is_one_line(script: Script, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "log.csv").write_text(content)
    status, out, error = script("epochs", tmp_path)
    assert (status, out, error.count("\n")) == (2, "", 1)
