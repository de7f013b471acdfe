"""How many of the constraints each run keeps on the evaluated slices, a descriptor and class at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from shapewise.plots.runs import Run
from shapewise.plots.style import (
    GRID,
    Drawing,
    blank_figure,
    key_to_runs,
    plain,
    quieten,
    run_colour,
    run_marker,
)

TRUTHS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}


def draw_constraints(runs: Sequence[Run]) -> Drawing:
    """Draw the fraction of constraints kept: a panel a class, a line a descriptor, a point a run."""
    kept = {run.label: satisfied(run.values) for run in runs if run.values is not None}
    left_out = tuple(f"{run.label} has no values.csv" for run in runs if run.values is None)
    if not any(len(table) for table in kept.values()):
        return Drawing(None, left_out or ("no constraint was evaluated",))
    everything = pd.concat(kept.values())
    classes = list(pd.unique(everything["class"]))
    descriptors = list(pd.unique(everything["descriptor"]))
    columns = min(3, len(classes))
    rows = -(-len(classes) // columns)
    height = rows * (0.7 + len(descriptors) * (0.16 + 0.11 * len(runs))) + 0.6
    figure = blank_figure(1.6 + 2.9 * columns, height)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, classes, strict=False):
        _panel(axes, name, descriptors, runs, kept)
    for axes in list(grid.flat)[len(classes) :]:
        axes.set_axis_off()
    figure.supxlabel("fraction of constraints kept", fontsize=9.5)
    key_to_runs(figure, [run.label for run in runs])
    return Drawing(figure, left_out)


def satisfied(values: pd.DataFrame) -> pd.DataFrame:
    """Fraction of satisfied rows: columns class, descriptor, satisfied; rows that say nothing do not count.

    >>> rows = pd.DataFrame({"class": "LV", "descriptor": "volume", "satisfied": [True, False, None]})
    >>> satisfied(rows)["satisfied"].tolist()
    [0.5]
    """
    truth = truths(values)
    known = values.assign(satisfied=truth)[truth.notna()]
    return known.groupby(["class", "descriptor"], sort=False, as_index=False)[["satisfied"]].mean()


def truths(values: pd.DataFrame) -> pd.Series[float]:
    """Whether a row's number is within its bounds, 1 or 0; NaN where that cannot be said.

    >>> truths(pd.DataFrame({"satisfied": ["True", "0", None]})).tolist()
    [1.0, 0.0, nan]
    """
    return values["satisfied"].astype(str).str.lower().map(TRUTHS).astype(float)


def _panel(
    axes: Axes, name: str, descriptors: list[str], runs: Sequence[Run], kept: dict[str, pd.DataFrame]
) -> None:
    axes.set_title(plain(name), fontsize=10, loc="left", fontweight="bold")
    step = min(0.2, 0.7 / len(runs))
    for index, run in enumerate(runs):
        if run.label not in kept:
            continue
        table = kept[run.label]
        fractions = table[table["class"] == name].set_index("descriptor")["satisfied"].reindex(descriptors)
        places = np.arange(len(descriptors)) + (index - (len(runs) - 1) / 2) * step
        axes.hlines(places, 0, fractions, color=run_colour(index), linewidth=1.6, alpha=0.45)
        axes.scatter(fractions, places, s=30, color=run_colour(index), marker=run_marker(index), zorder=3)
    axes.set_yticks(range(len(descriptors)), [plain(text.replace("_", " ")) for text in descriptors])
    axes.set_ylim(len(descriptors) - 0.5, -0.5)
    axes.set_xlim(0, 1.03)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    for boundary in range(1, len(descriptors)):
        axes.axhline(boundary - 0.5, color=GRID, linewidth=0.8)
    quieten(axes, grid="x")
