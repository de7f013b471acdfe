"""The paper's Figure 2: best, median and worst cases with image, truth and each run's prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from shapewise.data.cases import Case, Volume
from shapewise.plots.pictures import (
    Slice,
    box_around,
    draw_image,
    draw_labels,
    key_to_classes,
    middle_slice,
)
from shapewise.plots.runs import Run
from shapewise.plots.style import INK, PAGE_WIDTH, Drawing, blank_figure, fold, plain

ROW_TITLES = 0.9
"""Room in inches for the names at the left."""


@dataclass(frozen=True)
class Row:
    """A scan's middle slice: its name, the image, the truth, and each run's prediction and Dice."""

    title: str
    image: Slice
    truth: Slice
    predictions: tuple[Slice, ...]
    dice: tuple[float, ...]
    spacing: tuple[float, float]


def draw_overlays(runs: Sequence[Run]) -> Drawing:
    """Draw the middle slice of the best, median and worst scan: image, truth, and a column a run.

    A run without predictions is left out; without images or masks where scans.csv says, there is no figure,
    nor where no case has a mask.

    Raises:
        DataError: An image or mask is there but cannot be read, or a prediction does not fit its image.
    """
    if not runs[0].measured:
        return Drawing(None)
    chosen = choose_scans(runs)
    shown = [run for run in runs if all(run.prediction(*scan).exists() for scan in chosen.values())]
    left_out = [f"{run.label} has no predictions" for run in runs if run not in shown]
    cases = {title: find_case(runs, scan) for title, scan in chosen.items()}
    if absent := ["{} frame {}".format(*chosen[title]) for title, case in cases.items() if case is None]:
        left_out.append(f"the image or mask of {', '.join(absent)} is not where scans.csv says")
    if not shown or absent:
        return Drawing(None, tuple(left_out))
    rows = [_read_row(title, case, shown) for title, case in cases.items() if case is not None]
    return Drawing(_figure(rows, shown), tuple(left_out))


def choose_scans(runs: Sequence[Run]) -> dict[str, tuple[str, int]]:
    """The best, median and worst scan by Dice, averaged over classes and runs; of two, best and worst."""
    pooled = pd.concat([run.metrics[["case", "frame", "dice"]] for run in runs])
    dice = pooled.groupby(["case", "frame"])["dice"].mean().sort_values(ascending=False, kind="stable")
    scans = [(str(case), int(frame)) for case, frame in dice.index]
    if len(scans) < 3:
        return dict(zip(("best", "worst"), scans, strict=False))
    return {"best": scans[0], "median": scans[len(scans) // 2], "worst": scans[-1]}


def find_case(runs: Sequence[Run], scan: tuple[str, int], *, mask: bool = True) -> Case | None:
    """The scan's image, and its mask if need be, from the first run that knows where they are."""
    for run in runs:
        case = run.case(*scan)
        if case and case.image.exists() and (not mask or (case.mask and case.mask.exists())):
            return case
    return None


def read_prediction(run: Run, case: Case, volume: Volume) -> Slice:
    """What a run predicts for a case, (slice, row, column); raises `DataError` where it does not fit."""
    predicted = replace(case, mask=run.prediction(case.name, case.frame))
    return predicted.read_mask(tuple(run.classes), volume)


def write_on(axes: Axes, words: str) -> None:
    """Put words into a picture's lower left corner, legible on any grey."""
    text = axes.text(0.04, 0.04, words, transform=axes.transAxes, color="white", fontsize=9)
    text.set_path_effects([withStroke(linewidth=2, foreground="black")])


def _read_row(title: str, case: Case, runs: Sequence[Run]) -> Row:
    classes = tuple(runs[0].classes)
    volume = case.read_image()
    truth = case.read_mask(classes, volume)
    predicted = [read_prediction(run, case, volume) for run in runs]
    index = middle_slice(truth)
    return Row(
        title=f"{title}\n{case.name}\n{case.phase or f'frame {case.frame}'}",
        image=volume.image[index],
        truth=truth[index],
        predictions=tuple(labels[index] for labels in predicted),
        dice=tuple(_mean_dice(run, case) for run in runs),
        spacing=(volume.spacing[1], volume.spacing[2]),
    )


def _mean_dice(run: Run, case: Case) -> float:
    rows = run.metrics[(run.metrics["case"] == case.name) & (run.metrics["frame"] == case.frame)]
    return float(rows["dice"].mean())


def _figure(rows: Sequence[Row], runs: Sequence[Run]) -> Figure:
    columns = 2 + len(runs)
    side = min(1.95, (PAGE_WIDTH - ROW_TITLES) / columns)
    titles = ["image", "truth", *(fold(run.label, side) for run in runs)]
    lines = max(title.count("\n") for title in titles)
    figure = blank_figure(side * columns + ROW_TITLES, side * len(rows) + 0.7 + 0.16 * lines, gap=0.02)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(plain(title), fontsize=9.5, color=INK, fontweight="bold")
    for axes_row, row in zip(grid, rows, strict=True):
        _draw_row(axes_row, row)
    key_to_classes(figure, runs[0].classes)
    return figure


def _draw_row(grid: Sequence[Axes], row: Row) -> None:
    box = box_around(row.truth > 0, row.spacing)
    for axes in grid:
        draw_image(axes, row.image, row.spacing, box)
    for axes, labels in zip(grid[1:], (row.truth, *row.predictions), strict=True):
        draw_labels(axes, labels, row.spacing)
    for axes in grid[2:]:
        draw_labels(axes, row.truth, row.spacing, tint=0.0, width=0.6, colour="white")
    for axes, dice in zip(grid[2:], row.dice, strict=True):
        write_on(axes, f"{dice:.3f}")
    grid[0].set_ylabel(plain(row.title), fontsize=9, rotation=0, ha="right", va="center", color=INK)
