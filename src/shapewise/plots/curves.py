"""The paper's Figure 4, upper half: Dice of training and validation over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from shapewise.plots.runs import Run
from shapewise.plots.style import (
    MUTED,
    Drawing,
    blank_figure,
    key_to_runs,
    plain,
    quieten,
    run_colour,
    run_marker,
)

PARTS = {"val": "validation", "train": "training"}
LINE_STYLES: dict[str, Literal["-", "--"]] = {"val": "-", "train": "--"}


def draw_curves(runs: Sequence[Run]) -> Drawing:
    """Draw validation (solid) and training (dashed) Dice, a panel a class and one for their mean.

    Runs trained without masks have no training Dice, and only a validation line.
    """
    left_out = tuple(reason for run in runs if (reason := _missing(run)))
    if all(_missing(run) for run in runs):
        return Drawing(None, left_out)
    classes = runs[0].classes
    panels = {"mean over classes": "", **{name: f"_{name}" for name in classes}}
    if len(classes) == 1:
        panels = {classes[0]: ""}
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = blank_figure(5.0 * columns, 2.6 * rows + 0.5)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (title, suffix) in zip(grid.flat, panels.items(), strict=False):
        _panel(axes, title, suffix, runs)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("Dice", fontsize=9.5)
    for axes in grid[-1]:
        axes.set_xlabel("epoch", fontsize=9.5)
    extra = [_key(part, name) for part, name in PARTS.items() if any(_has(run, part) for run in runs)]
    key_to_runs(figure, [run.label for run in runs], extra)
    return Drawing(figure, left_out)


def _missing(run: Run) -> str | None:
    if run.log is None:
        return f"{run.label} has no log.csv"
    if not any(_has(run, part) for part in PARTS):
        return f"{run.label} logged no Dice (it was trained and selected without masks)"
    return None


def _has(run: Run, part: str) -> bool:
    return run.log is not None and not _series(run.log, f"{part}_dice").empty


def _series(log: pd.DataFrame, column: str) -> pd.Series[float]:
    """One logged column by epoch, without the epochs that left it empty."""
    if column not in log:
        return pd.Series(dtype=float)
    return log.set_index("epoch")[column].astype(float).dropna()


def _panel(axes: Axes, title: str, suffix: str, runs: Sequence[Run]) -> None:
    axes.set_title(plain(title), fontsize=10, loc="left", fontweight="bold")
    for index, run in enumerate(runs):
        if run.log is None:
            continue
        for part, line_style in LINE_STYLES.items():
            series = _series(run.log, f"{part}_dice{suffix}")
            width, alpha, marker = (1.8, 1.0, run_marker(index)) if part == "val" else (1.2, 0.65, "")
            axes.plot(
                series.index.to_numpy(),
                series.to_numpy(),
                color=run_colour(index),
                linestyle=line_style,
                linewidth=width,
                alpha=alpha,
                marker=marker,
                markersize=4,
                markevery=max(1, len(series) // 10),
            )
    axes.set_ylim(0, 1)
    quieten(axes)


def _key(part: str, label: str) -> Line2D:
    return Line2D([], [], color=MUTED, linestyle=LINE_STYLES[part], linewidth=1.5, label=label)
