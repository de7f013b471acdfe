"""The paper's Figure 4, lower half: how Dice spreads over the cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from shapewise.plots.runs import Run
from shapewise.plots.style import (
    INK,
    PAGE_WIDTH,
    Drawing,
    blank_figure,
    key_to_runs,
    plain,
    quieten,
    run_colour,
    run_marker,
)

GOLDEN = 0.618034


def draw_boxes(runs: Sequence[Run]) -> Drawing:
    """Draw case-wise Dice, a box a run within each class, every case as a point over its box; needs masks."""
    if not runs[0].measured:
        return Drawing(None)
    classes = runs[0].classes
    width = 1.4 + (0.85 * len(runs) + 0.6) * len(classes)
    figure = blank_figure(min(PAGE_WIDTH, max(5.0, width)), 4.0)
    axes = figure.add_subplot()
    width = 0.8 / len(runs)
    lowest = 1.0
    for index, run in enumerate(runs):
        cases = case_dice(run.metrics)
        for place, name in enumerate(classes):
            values = cases.loc[cases["class"] == name, "dice"].to_numpy(dtype=float)
            _box(axes, values, place + (index - (len(runs) - 1) / 2) * width, width, index)
            lowest = min(lowest, float(values.min()))
    axes.set_xticks(range(len(classes)), [plain(name) for name in classes])
    axes.set_xlim(-0.55, len(classes) - 0.45)
    axes.set_ylim(max(0.0, np.floor(10 * lowest - 0.5) / 10), 1.0)
    axes.set_ylabel("Dice of a case", fontsize=9.5)
    quieten(axes)
    axes.tick_params(axis="x", labelsize=10.5, length=0)
    key_to_runs(figure, [run.label for run in runs])
    return Drawing(figure)


def case_dice(metrics: pd.DataFrame) -> pd.DataFrame:
    """Average a case's frames: columns case, class, dice.

    >>> rows = pd.DataFrame({"case": "p1", "frame": [1, 9], "class": "LV", "dice": [0.8, 1.0]})
    >>> case_dice(rows)["dice"].tolist()
    [0.9]
    """
    return metrics.groupby(["case", "class"], sort=False, as_index=False)[["dice"]].mean()


def _box(axes: Axes, values: np.ndarray, centre: float, width: float, index: int) -> None:
    colour = run_colour(index)
    line = {"color": colour, "linewidth": 1.2}
    axes.boxplot(
        [values],
        positions=[centre],
        widths=width * 0.78,
        showfliers=False,
        manage_ticks=False,
        patch_artist=True,
        boxprops={"facecolor": colour + "2e", "edgecolor": colour, "linewidth": 1.2},
        medianprops={"color": INK, "linewidth": 1.8},
        whiskerprops=line,
        capprops=line,
    )
    axes.scatter(
        centre + width * 0.5 * (_spread_out(len(values)) - 0.5),
        values,
        s=13,
        marker=run_marker(index),
        color=colour,
        alpha=0.75,
        linewidths=0,
        zorder=3,
        clip_on=False,
    )


def _spread_out(count: int) -> np.ndarray:
    """Offsets in [0, 1) that keep neighbours apart and are the same every time.

    >>> _spread_out(2).round(2).tolist()
    [0.5, 0.12]
    """
    return (0.5 + GOLDEN * np.arange(count)) % 1.0
