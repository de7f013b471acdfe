"""Predictions of cases without masks: nothing but a look can judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from shapewise.data.cases import Case, Volume
from shapewise.plots.pictures import Slice, box_around, draw_image, draw_labels, key_to_classes
from shapewise.plots.runs import Run
from shapewise.plots.style import INK, PAGE_WIDTH, Drawing, blank_figure, fold, plain

MOST_SCANS, COLUMNS, ROW_TITLES = 8, 6, 1.1

Labels = npt.NDArray[np.uint8]


def draw_predictions(runs: Sequence[Run]) -> Drawing:
    """Draw slices of up to eight scans with what each run predicts there; none where cases have masks.

    A scan whose image or predictions are not there is left out.

    Raises:
        DataError: An image is there but cannot be read, or a prediction does not fit it.
    """
    if runs[0].measured:
        return Drawing(None)
    scans = sorted(runs[0].scans)
    places = np.linspace(0, len(scans) - 1, min(MOST_SCANS, len(scans))).round().astype(int)
    chosen = {scans[place]: runs[0].case(*scans[place]) for place in places}
    shown = {scan: case for scan, case in chosen.items() if case and _complete(case, runs)}
    left_out = tuple(
        f"the image or a prediction of {name} frame {frame} is not where cases.csv says"
        for name, frame in chosen.keys() - shown.keys()
    )
    if not shown:
        return Drawing(None, left_out)
    side = (PAGE_WIDTH - ROW_TITLES) / COLUMNS
    figure = blank_figure(PAGE_WIDTH, side * len(shown) * len(runs) + 0.5, gap=0.02)
    grid = iter(figure.subplots(len(shown) * len(runs), COLUMNS, squeeze=False))
    for case in shown.values():
        volume = case.read_image()
        for run, labels in zip(runs, _predicted(case, volume, runs), strict=True):
            title = f"{case.name}\n{case.phase or f'frame {case.frame}'}"
            title += f"\n{fold(run.label, ROW_TITLES)}" * (len(runs) > 1)
            _draw_row(next(grid), volume, labels, title)
    key_to_classes(figure, runs[0].classes)
    return Drawing(figure, left_out)


def spread_slices(labels: Labels, count: int) -> list[int]:
    """Indices of slices evenly spaced from the first to the last with a label; of all where none has.

    >>> volume = np.zeros((9, 2, 2), dtype=np.uint8)
    >>> volume[2:7, 0, 0] = 1
    >>> spread_slices(volume, 3)
    [2, 4, 6]
    """
    filled = np.flatnonzero(labels.any(axis=(1, 2)))
    first, last = (filled[0], filled[-1]) if len(filled) else (0, len(labels) - 1)
    return sorted(set(np.linspace(first, last, count).round().astype(int).tolist()))


def _complete(case: Case, runs: Sequence[Run]) -> bool:
    return case.image.exists() and all(run.prediction(case.name, case.frame).exists() for run in runs)


def _predicted(case: Case, volume: Volume, runs: Sequence[Run]) -> list[Labels]:
    files = [run.prediction(case.name, case.frame) for run in runs]
    return [replace(case, mask=file).read_mask(tuple(runs[0].classes), volume) for file in files]


def _draw_row(axes_row: Sequence[Axes], volume: Volume, labels: Labels, title: str) -> None:
    spacing = volume.spacing[1], volume.spacing[2]
    box = box_around(labels.max(axis=0), spacing, margin=0.35)
    axes_row[0].set_ylabel(plain(title), fontsize=9, rotation=0, ha="right", va="center", color=INK)
    for axes in axes_row:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    for axes, index in zip(axes_row, spread_slices(labels, COLUMNS), strict=False):
        plane: Slice = volume.image[index]
        draw_image(axes, plane, spacing, box)
        draw_labels(axes, labels[index], spacing, tint=0.15)
        text = axes.text(0.04, 0.04, str(index), transform=axes.transAxes, color="white", fontsize=8)
        text.set_path_effects([withStroke(linewidth=2, foreground="black")])
