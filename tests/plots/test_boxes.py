from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shapewise.plots.boxes import case_dice, draw_boxes
from shapewise.plots.runs import load_runs


def test_a_point_a_case_and_its_height_is_the_mean_over_frames(finished_runs: list[Path]) -> None:
    figure = draw_boxes(load_runs(finished_runs)).figure
    assert figure is not None
    points = figure.axes[0].collections
    assert len(points) == 6
    metrics = pd.read_csv(finished_runs[0] / "metrics.csv")
    expected = metrics[metrics["class"] == "RV"].groupby("case")["dice"].mean()
    heights = np.asarray(points[0].get_offsets())[:, 1]
    np.testing.assert_allclose(np.sort(heights), np.sort(expected))


def test_points_of_a_class_stand_over_its_name(finished_runs: list[Path]) -> None:
    figure = draw_boxes(load_runs(finished_runs)).figure
    assert figure is not None
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["RV", "Myo", "LV"]
    for index, points in enumerate(axes.collections):
        places = np.asarray(points.get_offsets())[:, 0]
        assert np.abs(places - index % 3).max() < 0.5


def test_a_complete_miss_stays_in_sight(two_runs: list[Path]) -> None:
    path = two_runs[0] / "metrics.csv"
    frame = pd.read_csv(path)
    frame.loc[frame["case"] == "patient001", "dice"] = 0.0
    frame.to_csv(path, index=False)
    figure = draw_boxes(load_runs(two_runs)).figure
    assert figure is not None
    assert figure.axes[0].get_ylim()[0] == pytest.approx(0.0)
    assert not any(points.get_clip_on() for points in figure.axes[0].collections), (
        "half of it would be cut off"
    )
    assert case_dice(frame)["dice"].min() == 0.0
