from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from shapewise.plots.results import best_runs, summarise, write_results
from shapewise.plots.runs import load_runs


def test_table_one_by_hand(finished_runs: list[Path], tmp_path: Path) -> None:
    write_results(summarise(load_runs(finished_runs)), tmp_path)
    table = pd.read_csv(tmp_path / "table1.csv").set_index(["measure", "run", "class"])
    metrics = pd.read_csv(finished_runs[1] / "metrics.csv")
    patients = metrics[metrics["class"] == "Myo"].groupby("case")["dice"].mean()
    row = table.loc[("dice", "acdc barrier", "Myo")]
    assert row["mean"] == pytest.approx(patients.mean())
    assert row["std"] == pytest.approx(patients.std(ddof=0))
    assert row["n"] == 4
    reference = table.loc[("dice", "acdc pixels", "Myo"), "mean"]
    assert row["ratio"] == pytest.approx(row["mean"] / reference)
    text = f"{row['mean']:.3f} ({row['std']:.3f})"
    assert text in (tmp_path / "table1.md").read_text()
    assert text in (tmp_path / "table1.tex").read_text()


def test_every_measure_has_its_table(finished_runs: list[Path], tmp_path: Path) -> None:
    write_results(summarise(load_runs(finished_runs)), tmp_path)
    markdown = (tmp_path / "table1.md").read_text()
    assert [line for line in markdown.splitlines() if line.startswith("##")] == [
        "## Dice",
        "## 95th percentile Hausdorff distance (mm)",
        "## Average symmetric surface distance (mm)",
    ]
    assert (tmp_path / "table1.tex").read_text().count(r"\begin{tabular}") == 3


def test_no_pixel_run_no_ratio(finished_runs: list[Path]) -> None:
    dice = summarise(load_runs(finished_runs[1:]))[0]
    assert dice.summary["ratio"].isna().all()


def test_distances_without_spacing_have_no_table(two_runs: list[Path]) -> None:
    for run in two_runs:
        frame = pd.read_csv(run / "metrics.csv").assign(hd95_mm=None).drop(columns="assd_mm")
        frame.to_csv(run / "metrics.csv", index=False)
    assert [result.measure.column for result in summarise(load_runs(two_runs))] == ["dice"]


def test_best_is_the_highest_dice_and_the_lowest_distance(finished_runs: list[Path]) -> None:
    for result in summarise(load_runs(finished_runs)):
        assert best_runs(result) == {("acdc pixels", name) for name in ("RV", "Myo", "LV", "Overall")}


def test_nothing_is_best_alone(finished_runs: list[Path]) -> None:
    assert best_runs(summarise(load_runs(finished_runs[:1]))[0]) == set()
