"""Draw the README's picture from a trained and evaluated phantom run.

    make demo
    python docs/images/make_hero.py demo/projection docs/images/hero.png

It shows the median scan of the test split by Dice, the middle one of its slices that have the most classes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from shapewise.data.cases import Case
from shapewise.errors import RunError
from shapewise.plots.overlays import choose_scans, find_case
from shapewise.plots.pictures import box_around, draw_image, draw_labels, middle_slice
from shapewise.plots.runs import Run, load_run
from shapewise.plots.style import INK, MUTED, blank_figure, class_colour, save
from shapewise.plots.wording import MINUS

COLUMNS = (
    "area V",
    "centroid: row",
    "column",
    "variance: rows",
    "columns",
    "covariance",
)
TITLES = (
    "an image of the test split",
    "what training is told: numbers like these",
    "what the network predicts (white: truth)",
)
DRAWN = (
    ("volume", 0),
    ("centroid", 0),
    ("centroid", 1),
    ("covariance", 0),
    ("covariance", 2),
    ("covariance", 1),
)


def draw_hero(run: Run) -> Figure:
    """Draw image, numbers and prediction of one slice of an evaluated run, and the numbers' table below."""
    scan = choose_scans([run])["median"]
    case = find_case([run], scan)
    if case is None or run.values is None:
        raise RunError(run.folder, expected="a run that was evaluated beside its data", found="no such scan")
    volume = case.read_image()
    truth = case.read_mask(run.classes, volume)
    predicted = replace(case, mask=run.prediction(*scan)).read_mask(run.classes, volume)
    index, spacing = middle_slice(truth), volume.spacing[1:]
    numbers = look_up(run.values, case, index)
    box = box_around(truth[index] > 0, spacing, margin=0.35)
    figure = blank_figure(10, 4.5, gap=0.04)
    grid = figure.add_gridspec(2, 3, height_ratios=(3.3, 0.85))
    image, ellipses, prediction = (figure.add_subplot(grid[0, column]) for column in range(3))
    for axes, title in ((image, TITLES[0]), (ellipses, TITLES[1]), (prediction, TITLES[2])):
        draw_image(axes, volume.image[index], spacing, box)
        axes.set_title(title, fontsize=11, color=INK)
    ellipses.axhspan(box[3], box[2], color="black", alpha=0.5)
    draw_ellipses(ellipses, numbers, run.classes, spacing)
    draw_labels(prediction, predicted[index], spacing)
    draw_labels(prediction, truth[index], spacing, tint=0.0, width=0.8, colour="white")
    draw_table(figure.add_subplot(grid[1, :]), numbers, run.classes)
    return figure


def look_up(values: pd.DataFrame, case: Case, index: int) -> pd.DataFrame:
    """Return the annotated numbers of one slice, a row a class, a column a (descriptor, component)."""
    here = (values["case"] == case.name) & (values["frame"] == case.frame) & (values["slice"] == index)
    return values[here].pivot(index="class", columns=["descriptor", "component"], values="annotated")


def draw_ellipses(
    axes: Axes, numbers: pd.DataFrame, classes: list[str], spacing: tuple[float, float]
) -> None:
    """Draw each class as its centroid and the ellipse one standard deviation away from it."""
    row_mm, column_mm = spacing
    for label, name in enumerate(classes, start=1):
        row = numbers.loc[name]
        c00, c01, c11 = (float(row["covariance", i]) for i in range(3))
        matrix = np.array([[c11 * column_mm**2, c01 * row_mm * column_mm], [0, c00 * row_mm**2]])
        variances, vectors = np.linalg.eigh(matrix, UPLO="U")
        centre = float(row["centroid", 1]) * column_mm, float(row["centroid", 0]) * row_mm
        width, height = 2 * np.sqrt(variances)
        angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
        colour = class_colour(label)
        axes.add_patch(Ellipse(centre, width, height, angle=angle, fill=False, color=colour, linewidth=1.8))
        axes.plot(*centre, marker="+", markersize=9, markeredgewidth=1.8, color=colour)


def draw_table(axes: Axes, numbers: pd.DataFrame, classes: list[str]) -> None:
    """Write the same numbers below, in pixels."""
    axes.axis("off")
    rows = [[f"{numbers.loc[name, key]:.0f}".replace("-", MINUS) for key in DRAWN] for name in classes]
    table = axes.table(rows, rowLabels=classes, colLabels=COLUMNS, loc="center", cellLoc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(9.5)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("#dddddd")
        cell.get_text().set_color(MUTED if row == 0 else INK)
        if column == -1:
            cell.set_facecolor(class_colour(row))


def main() -> None:
    """Draw the run that the command line names."""
    parser = argparse.ArgumentParser(description="Draw the README's picture.")
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    save(draw_hero(load_run(arguments.run)), arguments.out)


if __name__ == "__main__":
    main()
