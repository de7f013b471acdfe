"""The paper's Figure 4, upper half: Dice over the epochs, of validation alone; without masks, numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shapewise.plots.runs import Run
from shapewise.plots.style import (
    Drawing,
    blank_figure,
    key_to_runs,
    plain,
    quieten,
    run_colour,
    run_marker,
)

SATISFIED = "val_satisfied_"


def draw_curves(runs: Sequence[Run]) -> Drawing:
    """Draw validation Dice, a panel a class and one for their mean.

    Training Dice is not drawn: training from descriptors reads no mask that it could be taken from.
    """
    left_out = tuple(reason for run in runs if (reason := _missing(run)))
    if all(_missing(run) for run in runs):
        return Drawing(None, left_out)
    classes = runs[0].classes
    panels = {"mean over classes": "val_dice", **{name: f"val_dice_{name}" for name in classes}}
    if len(classes) == 1:
        panels = {classes[0]: "val_dice"}
    return Drawing(_curves(runs, panels, "Dice"), left_out)


def draw_satisfied(runs: Sequence[Run]) -> Drawing:
    """Draw the share of validation bounds that hold, a panel a descriptor, if a run logged no Dice."""
    if all(run.log is None or not _series(run.log, "val_dice").empty for run in runs):
        return Drawing(None)
    logs = {run.label: [] if run.log is None else [str(name) for name in run.log] for run in runs}
    shares = {label: [name for name in log if name.startswith(SATISFIED)] for label, log in logs.items()}
    left_out = tuple(f"{label} logged no bounds that hold" for label, found in shares.items() if not found)
    if not any(shares.values()):
        return Drawing(None, left_out)
    columns = dict.fromkeys(name for found in shares.values() for name in found)
    panels = {name.removeprefix(SATISFIED).replace("_", " "): name for name in columns}
    if len(panels) > 1:
        panels = {"mean over descriptors": "val_satisfied"} | panels
    return Drawing(_curves(runs, panels, "bounds that hold"), left_out)


def _curves(runs: Sequence[Run], panels: dict[str, str], measure: str) -> Figure:
    """A panel a logged column, a line a run."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = blank_figure(5.0 * columns, 2.6 * rows + 0.5)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (title, column) in zip(grid.flat, panels.items(), strict=False):
        _panel(axes, title, column, runs)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel(measure, fontsize=9.5)
    for axes in grid[-1]:
        axes.set_xlabel("epoch", fontsize=9.5)
    key_to_runs(figure, [run.label for run in runs])
    return figure


def _missing(run: Run) -> str | None:
    if run.log is None:
        return f"{run.label} has no log.csv"
    if _series(run.log, "val_dice").empty:
        return f"{run.label} logged no Dice (its validation cases have no masks)"
    return None


def _series(log: pd.DataFrame, column: str) -> pd.Series[float]:
    """One logged column by epoch, without the epochs that left it empty."""
    if column not in log:
        return pd.Series(dtype=float)
    return log.set_index("epoch")[column].astype(float).dropna()


def _panel(axes: Axes, title: str, column: str, runs: Sequence[Run]) -> None:
    axes.set_title(plain(title), fontsize=10, loc="left", fontweight="bold")
    for index, run in enumerate(runs):
        if run.log is None:
            continue
        series = _series(run.log, column)
        axes.plot(
            series.index.to_numpy() + 1,
            series.to_numpy(),
            color=run_colour(index),
            linewidth=1.8,
            marker=run_marker(index),
            markersize=4,
            markevery=max(1, len(series) // 10),
        )
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    quieten(axes)
