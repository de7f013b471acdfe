from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shapewise.plots.curves import draw_curves, draw_satisfied
from shapewise.plots.runs import load_runs
from shapewise.plots.style import Drawing


def test_a_panel_a_class_and_one_for_the_mean(finished_runs: list[Path]) -> None:
    drawing = draw_curves(load_runs(finished_runs))
    assert drawing.figure is not None
    assert drawing.left_out == ()
    titles = [axes.get_title(loc="left") for axes in drawing.figure.axes]
    assert titles == ["mean over classes", "RV", "Myo", "LV"]


def test_lines_are_what_the_log_says(finished_runs: list[Path]) -> None:
    figure = draw_curves(load_runs(finished_runs)).figure
    assert figure is not None
    log = pd.read_csv(finished_runs[0] / "log.csv")
    line = figure.axes[2].lines[0]
    np.testing.assert_allclose(line.get_ydata(), log["val_dice_Myo"])
    np.testing.assert_array_equal(line.get_xdata(), log["epoch"] + 1)  # as the screen counts them


def test_an_epoch_is_a_whole_number(two_runs: list[Path]) -> None:
    for run in two_runs:
        pd.read_csv(run / "log.csv").head(2).to_csv(run / "log.csv", index=False)
    figure = draw_curves(load_runs(two_runs)).figure
    assert figure is not None
    figure.draw_without_rendering()
    low, high = figure.axes[-1].get_xlim()
    assert [tick for tick in figure.axes[-1].get_xticks() if low <= tick <= high] == [1, 2]


def test_a_line_a_run_and_no_other(finished_runs: list[Path]) -> None:
    """Nothing logs a training Dice: training from descriptors reads no mask to take it from."""
    figure = draw_curves(load_runs(finished_runs)).figure
    assert figure is not None
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 2, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["acdc pixels", "acdc barrier"]


def test_epochs_without_validation_are_skipped(two_runs: list[Path]) -> None:
    path = two_runs[0] / "log.csv"
    log = pd.read_csv(path)
    log.loc[log.index % 2 == 0, "val_dice"] = np.nan
    log.to_csv(path, index=False)
    figure = draw_curves(load_runs(two_runs)).figure
    assert figure is not None
    assert list(np.asarray(figure.axes[0].lines[0].get_xdata())) == [2, 4, 6, 8, 10, 12]


def test_one_class_needs_one_panel(two_runs: list[Path]) -> None:
    path = two_runs[0] / "metrics.csv"
    frame = pd.read_csv(path)
    frame[frame["class"] == "LV"].to_csv(path, index=False)
    figure = draw_curves(load_runs(two_runs[:1])).figure
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["LV"]


def test_says_which_run_is_left_out(two_runs: list[Path]) -> None:
    (two_runs[0] / "log.csv").unlink()
    drawing = draw_curves(load_runs(two_runs))
    assert drawing.figure is not None
    assert drawing.left_out == ("acdc pixels has no log.csv",)


def test_no_dice_no_figure(two_runs: list[Path]) -> None:
    path = two_runs[1] / "log.csv"
    pd.read_csv(path)[["epoch", "seconds"]].to_csv(path, index=False)
    drawing = draw_curves(load_runs(two_runs[1:]))
    assert drawing.figure is None
    assert drawing.left_out == ("acdc barrier logged no Dice (its validation cases have no masks)",)


def test_without_dice_the_bounds_that_hold_are_drawn(bare_runs: list[Path]) -> None:
    drawing = draw_satisfied(load_runs(bare_runs))
    assert drawing.left_out == ()
    assert drawing.figure is not None
    panels = {axes.get_title(loc="left"): axes for axes in drawing.figure.axes if axes.axison}
    assert list(panels) == ["mean over descriptors", "volume", "spread"]
    ends = {title: np.asarray(axes.lines[1].get_ydata())[-1] for title, axes in panels.items()}
    assert ends == pytest.approx({"mean over descriptors": 0.85, "volume": 0.9, "spread": 0.8})


def test_one_descriptor_needs_no_mean(bare_runs: list[Path]) -> None:
    path = bare_runs[0] / "log.csv"
    pd.read_csv(path).drop(columns="val_satisfied_spread").to_csv(path, index=False)
    figure = draw_satisfied(load_runs(bare_runs[:1])).figure
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["volume"]


def test_a_run_that_logged_no_bounds_is_left_out_by_name(bare_runs: list[Path]) -> None:
    path = bare_runs[1] / "log.csv"
    pd.read_csv(path)[["epoch", "seconds"]].to_csv(path, index=False)
    drawing = draw_satisfied(load_runs(bare_runs))
    assert drawing.figure is not None
    assert drawing.left_out == ("acdc barrier logged no bounds that hold",)
    assert draw_satisfied(load_runs(bare_runs[1:])).figure is None


def test_bounds_are_not_drawn_where_all_runs_logged_dice(finished_runs: list[Path]) -> None:
    assert draw_satisfied(load_runs(finished_runs)) == Drawing(None)
