from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from shapewise.errors import DataError
from shapewise.plots.overlays import choose_scans, draw_overlays
from shapewise.plots.runs import load_runs


def test_rows_are_best_median_and_worst(two_runs: list[Path]) -> None:
    for run in two_runs:
        frame = pd.read_csv(run / "metrics.csv")
        rank = frame["case"].str[-1].astype(int) * 10 + frame["frame"]
        frame.assign(dice=rank / 100).to_csv(run / "metrics.csv", index=False)
    assert choose_scans(load_runs(two_runs)) == {
        "best": ("patient004", 9),
        "median": ("patient002", 9),
        "worst": ("patient001", 1),
    }


@pytest.mark.parametrize(("scans", "titles"), [(1, ["best"]), (2, ["best", "worst"])])
def test_few_scans(two_runs: list[Path], scans: int, titles: list[str]) -> None:
    for name, rows in (("metrics", 3 * scans), ("volumes", 3 * scans), ("scans", scans)):
        path = two_runs[0] / f"{name}.csv"
        pd.read_csv(path).head(rows).to_csv(path, index=False)
    assert list(choose_scans(load_runs(two_runs[:1]))) == titles


def test_columns_are_image_truth_and_runs(finished_runs: list[Path]) -> None:
    runs = load_runs(finished_runs)
    drawing = draw_overlays(runs)
    assert drawing.figure is not None
    assert drawing.left_out == ()
    axes = np.reshape(np.array(drawing.figure.axes, dtype=object), (3, 4))
    assert [a.get_title() for a in axes[0]] == ["image", "truth", "acdc pixels", "acdc barrier"]
    assert [len(a.collections) > 0 for a in axes[0]] == [False, True, True, True]
    case, frame = choose_scans(runs)["best"]
    metrics = runs[1].metrics
    dice = metrics[(metrics["case"] == case) & (metrics["frame"] == frame)]["dice"].mean()
    assert axes[0, 3].texts[0].get_text() == f"{dice:.3f}"
    assert case in axes[0, 0].get_ylabel()


def test_a_run_without_predictions_is_left_out(two_runs: list[Path]) -> None:
    shutil.rmtree(two_runs[0] / "predictions")
    drawing = draw_overlays(load_runs(two_runs))
    assert drawing.figure is not None
    assert len(drawing.figure.axes) == 3 * 3
    assert drawing.left_out == ("acdc pixels has no predictions",)


def test_images_that_moved_leave_the_figure_out(two_runs: list[Path]) -> None:
    for run in two_runs:
        text = (run / "scans.csv").read_text()
        (run / "scans.csv").write_text(text.replace("/study/", "/elsewhere/"))
    drawing = draw_overlays(load_runs(two_runs))
    assert drawing.figure is None
    assert "is not where scans.csv says" in drawing.left_out[0]


def test_one_run_that_knows_the_images_is_enough(two_runs: list[Path]) -> None:
    path = two_runs[0] / "scans.csv"
    path.write_text(path.read_text().replace("/study/", "/elsewhere/"))
    assert draw_overlays(load_runs(two_runs)).figure is not None


def test_a_prediction_of_another_shape_is_refused(two_runs: list[Path]) -> None:
    for path in (two_runs[0] / "predictions").iterdir():
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((2, 3, 4), np.uint8)), str(path))
    with pytest.raises(DataError, match="a mask of the image's shape"):
        draw_overlays(load_runs(two_runs))
