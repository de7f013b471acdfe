"""Draw a campaign's figures: test Dice against the values a patient, and against the annotator's error.

    python campaigns/figures.py campaigns/acdc.yaml --figures docs/images [--out RUNS]

Writes PLAN_values.png and PLAN_error.png from the results that are kept beside the plan, or from a folder's
finished runs. A bar is the standard deviation over seeds, the dashed line what the plan's first arm reaches.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from command_line import Parser
from kept import read_kept
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter
from plan import read_plan
from results import left_out, over_seeds, results

from shapewise.plots.style import INK, MUTED, blank_figure, quieten, run_colour, run_marker, save

SIZE = (7.5, 4.2)
FAILED = 0.6
"""A Dice below it would leave no room for the others."""
LINES = {"taken as exact": "error_{}", "the error is known, sharpening 3": "error_{}_allowed"}
ERRORS = (5, 10, 20)
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
    """Mean test Dice of every finished arm, its standard deviation over seeds, and its values a patient."""
    arms = over_seeds(found).set_index("arm")
    return arms[["values"]].assign(dice=arms["mean"], spread=arms["sd"].fillna(0.0))


def against_values(axes: Axes, found: pd.DataFrame) -> None:
    """Arms that differ in how much they are told, at as many values as that is; failures are only named."""
    told = found.loc[[arm for arm in ECONOMY if arm in found.index]].sort_values("values")
    shown, failed = told[told["dice"] >= FAILED], told[told["dice"] < FAILED]
    axes.errorbar(
        shown["values"], shown["dice"], shown["spread"], fmt="o", color=run_colour(0), capsize=3, markersize=5
    )
    for number, (arm, row) in enumerate(shown.iterrows()):  # neighbours on either side, or they would overlap
        side, aligned = (-1, "top") if number % 2 == 0 else (1, "bottom")
        at, off = (row["values"], row["dice"] + side * row["spread"]), (0, side * 5)
        axes.annotate(
            ECONOMY[str(arm)],
            at,
            off,
            textcoords="offset points",
            ha="center",
            va=aligned,
            fontsize=8,
            color=INK,
        )
    names = [f"{ECONOMY[str(arm)]}: {row['dice']:.2f}" for arm, row in failed.iterrows()]
    axes.annotate("\n".join(names), (0.02, 0.03), xycoords="axes fraction", fontsize=8, color=INK)
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.25)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("values a patient, both frames")


def against_error(axes: Axes, found: pd.DataFrame) -> None:
    """The arms of erring annotators, with the projection of exact numbers at 0."""
    for index, (label, pattern) in enumerate(LINES.items()):
        arms = {0: "projection", **{error: pattern.format(error) for error in ERRORS}}
        shown = found.loc[[arm for arm in arms.values() if arm in found.index]]
        errors = [error for error, arm in arms.items() if arm in found.index]
        axes.errorbar(
            errors,
            shown["dice"],
            shown["spread"],
            marker=run_marker(index),
            color=run_colour(index),
            capsize=3,
            markersize=5,
            label=label,
        )
    axes.set_xlabel("error of every number, % (a centroid's: twice that, of the spread)")
    axes.legend(frameon=False, fontsize=9, loc="lower left")


def beside(axes: Axes, found: pd.DataFrame, first: str) -> None:
    """What the plan's first arm reaches, once it is finished, and the axis that both figures share."""
    if first in found.index:
        dice, label = found.loc[first, "dice"], "every pixel" if first == "pixels" else first
        axes.axhline(dice, color=MUTED, linewidth=1, linestyle="--")
        axes.annotate(label, (0.005, dice), (0, 3), ("axes fraction", "data"), "offset points")
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
            draw(axes, found)
            beside(axes, found, plan.first)
            save(figure, given.figures / f"{plan.path.stem}_{name}.png")


if __name__ == "__main__":
    main()
