"""Draw a campaign's figures: test Dice against the values a patient, and against the annotator's error.

    python campaigns/figures.py campaigns/acdc.yaml --out RUNS --figures docs/images

Writes PLAN_values.png and PLAN_error.png from the runs that are finished. A bar is the standard
deviation over seeds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from run import Run, planned, values_a_patient

from shapewise.plots.style import INK, MUTED, blank_figure, quieten, run_colour, run_marker, save
from shapewise.run_folder import RunFolder

SIZE = (7.5, 4.2)
LINES = {"taken as exact": "error_{}", "the error is known": "error_{}_allowed"}
ERRORS = (5, 10, 20)


def measured(runs: list[Run]) -> pd.DataFrame:
    """Mean test Dice of every finished arm, its standard deviation over seeds, and its values a patient."""
    rows = [
        {
            "arm": run.arm,
            "dice": pd.read_csv(run.folder / "metrics.csv").groupby("class")["dice"].mean().mean(),
            "values": values_a_patient(run.folder),
            "poorer": poorer(run.folder),
        }
        for run in runs
        if (run.folder / "metrics.csv").exists()
    ]
    if not rows:
        sys.exit("no run of these is finished")
    found = pd.DataFrame(rows).groupby("arm", sort=False)
    return found.agg(
        dice=("dice", "mean"), spread=("dice", "std"), values=("values", "mean"), poorer=("poorer", "any")
    ).fillna({"spread": 0.0})


def poorer(folder: Path) -> bool:
    """Whether a run's numbers had an error."""
    return bool(RunFolder(folder).read_experiment().data.annotation.error)


def against_values(axes: Axes, found: pd.DataFrame, masks: float) -> None:
    """Every arm that was told exact numbers, at as many as it was told."""
    shown = found[(found["values"] > 0) & ~found["poorer"]].sort_values(["values", "dice"])
    axes.errorbar(
        shown["values"], shown["dice"], shown["spread"], fmt="o", color=run_colour(0), capsize=3, markersize=5
    )
    for number, (arm, row) in enumerate(shown.iterrows()):
        place = (7, 4) if number % 2 else (7, -11)
        axes.annotate(
            str(arm), (row["values"], row["dice"]), place, textcoords="offset points", fontsize=8, color=INK
        )
    axes.set_xscale("log")
    axes.set_xlabel("values a patient, both frames")
    beside(axes, masks)


def against_error(axes: Axes, found: pd.DataFrame, masks: float) -> None:
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
    beside(axes, masks)


def beside(axes: Axes, masks: float) -> None:
    """What masks give, and the axis that both figures share."""
    axes.axhline(masks, color=MUTED, linewidth=1, linestyle="--")
    axes.annotate(
        "every pixel", (0.995, masks), (0, 3), ("axes fraction", "data"), "offset points", ha="right"
    )
    axes.set_ylabel("test Dice")
    quieten(axes)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run folders")
    parser.add_argument("--figures", type=Path, required=True, help="folder of the pictures")
    given = parser.parse_args()
    found = measured(list(planned(given.plan, given.out, [], [])))
    given.figures.mkdir(parents=True, exist_ok=True)
    for name, draw in (("values", against_values), ("error", against_error)):
        figure = blank_figure(*SIZE)
        draw(figure.subplots(), found, found["dice"].iloc[0])
        save(figure, given.figures / f"{given.plan.stem}_{name}.png")


if __name__ == "__main__":
    main()
