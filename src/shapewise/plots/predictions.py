"""Predictions of cases without masks: nothing but a look can judge them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes

from shapewise.data.cases import Case
from shapewise.plots.overlays import find_case, read_prediction, write_on
from shapewise.plots.pictures import Slice, box_around, draw_image, draw_labels, key_to_classes
from shapewise.plots.runs import Run
from shapewise.plots.style import INK, PAGE_WIDTH, Drawing, blank_figure, fold, plain
from shapewise.plots.wording import when

MOST_SCANS, MOST_ROWS, COLUMNS, ROW_TITLES = 8, 16, 6, 1.1
LOST = " is not where scans.csv says, or a run has no prediction of it"


def draw_predictions(runs: Sequence[Run]) -> Drawing:
    """Draw slices of some scans without masks, with what each run predicts there; none where all have one.

    A run without predictions is left out, and so is a scan whose image or predictions are not there.

    Raises:
        DataError: An image is there but cannot be read, or a prediction does not fit it.
    """
    if not runs[0].unmasked:
        return Drawing(None)
    shown = [run for run in runs if any(run.prediction(*scan).exists() for scan in run.unmasked)]
    left_out = [f"{run.label} has no predictions" for run in runs if run not in shown]
    if not shown:
        return Drawing(None, tuple(left_out))
    found = {scan: find_case(runs, scan, mask=False) for scan in choose_scans(shown)}
    there = {scan: case for scan, case in found.items() if case and _predicted(case, shown)}
    left_out += [
        f"the image of {name} {when(frame, None)}".rstrip() + LOST
        for name, frame in found
        if (name, frame) not in there
    ]
    if not there:
        return Drawing(None, tuple(left_out))
    rows = len(there) * len(shown)
    figure = blank_figure(PAGE_WIDTH, (PAGE_WIDTH - ROW_TITLES) / COLUMNS * rows + 0.5, gap=0.02)
    grid = iter(figure.subplots(rows, COLUMNS, squeeze=False))
    for case in there.values():
        _draw_scan(grid, case, shown)
    key_to_classes(figure, runs[0].classes)
    return Drawing(figure, tuple(left_out))


def choose_scans(runs: Sequence[Run]) -> list[tuple[str, int]]:
    """Scans without masks, evenly spaced by name, first and last among them; fewer of many runs."""
    scans = sorted(runs[0].unmasked)
    most = max(1, min(MOST_SCANS, MOST_ROWS // len(runs), len(scans)))
    return [scans[place] for place in np.linspace(0, len(scans) - 1, most).round().astype(int)]


def spread_slices(labels: Slice, count: int) -> list[int]:
    """Indices of slices evenly spaced from the first to the last with a label; of all where none has.

    >>> volume = np.zeros((9, 2, 2), dtype=np.uint8)
    >>> volume[2:7, 0, 0] = 1
    >>> spread_slices(volume, 3)
    [2, 4, 6]
    """
    filled = np.flatnonzero(labels.any(axis=(1, 2)))
    first, last = (filled[0], filled[-1]) if len(filled) else (0, len(labels) - 1)
    return sorted(set(np.linspace(first, last, count).round().astype(int).tolist()))


def _predicted(case: Case, runs: Sequence[Run]) -> bool:
    return all(run.prediction(case.name, case.frame).exists() for run in runs)


def _draw_scan(grid: Iterator[Sequence[Axes]], case: Case, runs: Sequence[Run]) -> None:
    """A row a run, of the same slices and the same part of them."""
    volume = case.read_image()
    spacing = volume.spacing[1], volume.spacing[2]
    labels = [read_prediction(run, case, volume) for run in runs]
    every = np.max(labels, axis=0)
    box, slices = box_around(every.max(axis=0), spacing, margin=0.35), spread_slices(every, COLUMNS)
    for run, predicted, row in zip(runs, labels, grid, strict=False):
        label = fold(run.label, ROW_TITLES) if len(runs) > 1 else ""
        title = "\n".join(filter(None, (case.name, when(case.frame, case.phase), label)))
        row[0].set_ylabel(plain(title), fontsize=9, rotation=0, ha="right", va="center", color=INK)
        for axes, index in zip(row, slices, strict=False):
            draw_image(axes, volume.image[index], spacing, box)
            draw_labels(axes, predicted[index], spacing, tint=0.15)
            write_on(axes, str(index))
        for axes in row[len(slices) :]:
            axes.set_axis_off()
