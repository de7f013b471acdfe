"""Draw a campaign's figures: test Dice against the values a patient, and against the annotator's error.

    python campaigns/figures.py campaigns/acdc.yaml --figures docs/images [--out RUNS]

Writes PLAN_values.png and PLAN_error.png from the results that are kept beside the plan, or from a folder's
finished runs. A bar is the standard deviation over seeds; a hollow point is of one seed, which tells nothing
of it. The dashed line is what the plan's first arm reaches.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from command_line import Parser
from kept import read_kept
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import Bbox
from plan import read_plan
from results import left_out, over_seeds, results

from shapewise.plots.style import INK, MUTED, blank_figure, fold, quieten, run_colour, run_marker, save

SIZE = (7.5, 4.2)
FAILED = 0.6
"""A Dice below it would leave no room for the others."""
ERRORS = (5, 10, 20)
LINES = {
    "taken as exact": ("projection", "error_{}"),
    "the error is known, sharpening 3, twelve rounds": ("projection_sharp", "error_{}_allowed"),
}
"""The arm of exact numbers, at 0, and those of erring annotators."""
APART = 0.15
"""By how many per cent one line is drawn beside the other, or their bars would hide one another."""
SIDES = ((0, -1), (0, 1), (1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1))
"""Where a point's name may stand, to the right and up; the first are liked best."""
ECONOMY = {
    "report": "class volumes of a report, priors",
    "report_ranges": "class volumes of a report, ranges",
    "presence_only": "presence, priors",
    "volumes_of_slices": "V, priors",
    "whole_volume": "V, C, Σ of the volume",
    "every_fourth_slice": "every fourth slice",
    "every_second_slice": "every second slice",
    "projection_vcd": "V, C, D",
    "projection": "V, C, Σ",
    "projection_order_3": "order 3",
    "projection_order_4": "order 4",
}
"""The arms that differ in how much they are told, and what the figure calls them."""


def measured(found: pd.DataFrame) -> pd.DataFrame:
    """Mean test Dice of every finished arm, its deviation over seeds and their number, values a patient."""
    arms = over_seeds(found).set_index("arm").rename(columns={"mean": "dice"})
    return arms[["dice", "sd", "seeds", "values"]]


def against_values(axes: Axes, found: pd.DataFrame) -> None:
    """Arms that differ in how much they are told, at as many values as that is; failures are only named."""
    told = found.loc[[arm for arm in ECONOMY if arm in found.index]].sort_values("values")
    shown, failed = told[told["dice"] >= FAILED], told[told["dice"] < FAILED]
    lines = list(axes.lines)
    points(axes, list(shown["values"]), shown, linestyle="")
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.25)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("values a patient, both frames")
    if len(failed):
        names = "; ".join(f"{ECONOMY[str(arm)]} {row['dice']:.2f}" for arm, row in failed.iterrows())
        axes.figure.supxlabel(fold(f"not shown: {names}", SIZE[0]), fontsize=8, color=INK)
    name_points(axes, shown, lines)


def points(axes: Axes, at: Sequence[float], found: pd.DataFrame, index: int = 0, **style: str) -> None:
    """Draw Dice with its bars in one colour, hollow where one seed leaves them unknown."""
    marks = {"marker": run_marker(index), "color": run_colour(index), "markersize": 5, **style}
    axes.errorbar(at, found["dice"], found["sd"], capsize=3, **marks)
    single = (found["seeds"] == 1).to_numpy()
    hollow = {"linestyle": "", "label": None, "markerfacecolor": "white", "zorder": 3}
    axes.plot(np.asarray(at)[single], found["dice"][single], **marks | hollow)


def name_points(axes: Axes, shown: pd.DataFrame, lines: Sequence[Line2D]) -> None:
    """Write each arm's name beside its point, on the side where it meets least of lines, points and names."""
    axes.figure.draw_without_rendering()  # lays the axes out
    pad = 4 * axes.figure.dpi / 72
    taken = [each.get_window_extent() for each in (*lines, *axes.spines.values())]
    shown = shown.fillna({"sd": 0.0})
    for _, row in shown.iterrows():
        ends = [(row["values"], row["dice"] + side * row["sd"]) for side in (-1, 1)]
        taken.append(Bbox(axes.transData.transform(ends)).padded(pad))
    for arm, row in shown.iterrows():
        names = [name_point(axes, ECONOMY[str(arm)], row, *side) for side in SIDES]
        best = min(names, key=lambda name: name.get_window_extent().count_overlaps(taken))
        for name in names:
            if name is not best:
                name.remove()
        taken.append(best.get_window_extent())


def name_point(axes: Axes, name: str, row: pd.Series, right: int, up: int) -> Annotation:
    """Write a name right of a point and above its bar, where -1 left or below, where 0 level with it."""
    return axes.annotate(
        name,
        (row["values"], row["dice"] + up * row["sd"]),
        (7 * right, 6 * up),
        textcoords="offset points",
        ha=("center", "left", "right")[right],
        va=("center", "bottom", "top")[up],
        fontsize=8,
        color=INK,
    )


def against_error(axes: Axes, found: pd.DataFrame) -> None:
    """The arms of erring annotators, with the projection of exact numbers at 0."""
    for index, (label, (exact, pattern)) in enumerate(LINES.items()):
        arms = {0: exact, **{error: pattern.format(error) for error in ERRORS}}
        there = {error: arm for error, arm in arms.items() if arm in found.index}
        if there:
            at = [error + APART * (2 * index - 1) for error in there]
            points(axes, at, found.loc[list(there.values())], index, label=label)
    axes.set_xticks([0, *ERRORS])
    axes.set_xlabel("error of every number, % (a centroid's: twice that, of the spread)")
    if axes.containers:
        axes.figure.legend(frameon=False, fontsize=9, loc="outside upper left", ncols=len(LINES))


def beside(axes: Axes, found: pd.DataFrame, first: str) -> None:
    """What the plan's first arm reaches, once it is finished, and the axis that both figures share."""
    if first in found.index:
        dice, label = found.loc[first, "dice"], "every pixel" if first == "pixels" else first
        axes.axhline(dice, color=MUTED, linewidth=1, linestyle="--")
        axes.annotate(
            label,
            (1, dice),
            (4, 0),
            ("axes fraction", "data"),
            "offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.set_ylabel("test Dice")
    quieten(axes)


def main() -> None:
    """Read the command line."""
    parser = Parser(__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--out", type=Path, help="folder of the run folders, in place of what is kept")
    parser.add_argument("--figures", type=Path, required=True, help="folder of the pictures")
    given = parser.parse_args()
    with parser.errors_in_a_line():
        plan = read_plan(given.plan)
        runs = plan.runs(given.out) if given.out else []
        found = measured(results(runs) if runs else read_kept(plan))
        for line in left_out(runs):
            print(line, file=sys.stderr)
        given.figures.mkdir(parents=True, exist_ok=True)
        for name, draw in (("values", against_values), ("error", against_error)):
            figure = blank_figure(*SIZE)
            axes = figure.subplots()
            beside(axes, found, plan.first)
            draw(axes, found)
            save(figure, given.figures / f"{plan.path.stem}_{name}.png")


if __name__ == "__main__":
    main()
