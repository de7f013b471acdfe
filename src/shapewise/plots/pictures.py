"""A slice with its labels over it, in millimetres, cropped around the object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from shapewise.errors import ArgumentError
from shapewise.plots.style import blank_figure, class_colour, plain

Slice = npt.NDArray[Any]
Box = tuple[float, float, float, float]
"""Left, right, bottom and top of a picture in mm; rows count downwards, so the bottom is larger."""


def overlay(
    image: Slice,
    labels: Slice,
    spacing: tuple[float, float],
    *,
    classes: Sequence[str] = (),
    box: Box | None = None,
    outline: bool = False,
    height: float = 3.0,
) -> Figure:
    """Draw one slice with its labels over it, the pixels in their true proportions.

    Args:
        image: Intensities, (H, W).
        labels: Class of each pixel, (H, W), 0 the background.
        spacing: Distance between rows and between columns, in mm.
        classes: Names of the labels from 1 on, for a legend below; none, no legend.
        box: What to show, in mm, as `box_around` returns it; None shows the whole slice.
        outline: Draw contours only, without tinting the inside.
        height: Of the picture in inches.

    Returns:
        The figure; `shapewise.plots.save` writes it.

    Raises:
        ArgumentError: The labels have not the image's shape.

    Examples:
        >>> labels = np.zeros((8, 8), dtype=int)
        >>> labels[2:6, 2:6] = 1
        >>> overlay(np.ones((8, 8)), labels, (1.0, 1.0), classes=["LV"]).axes[0].get_aspect()
        1.0
    """
    if image.shape != labels.shape or image.ndim != 2:
        expected = f"a 2-D array of the image's shape {image.shape}"
        raise ArgumentError("labels", expected=expected, found=f"shape {labels.shape}")
    left, right, bottom, top = box or whole(image, spacing)
    legend_room = 0.35 if classes else 0.0
    figure = blank_figure(height * (right - left) / (bottom - top), height + legend_room)
    axes = figure.add_subplot()
    draw_image(axes, image, spacing, box)
    draw_labels(axes, labels, spacing, tint=0.0 if outline else 0.3)
    if classes:
        key_to_classes(figure, classes)
    return figure


def draw_image(axes: Axes, image: Slice, spacing: tuple[float, float], box: Box | None = None) -> None:
    """Show a slice in grey, its window stretched between the 1st and 99.5th percentile of what is seen."""
    box = box or whole(image, spacing)
    low, high = np.percentile(_seen(image, spacing, box), (1, 99.5))
    axes.imshow(
        image,
        cmap="gray",
        vmin=low,
        vmax=max(high, low + 1e-6),
        extent=whole(image, spacing),
        interpolation="bicubic",
        interpolation_stage="data",
        aspect="equal",
    )
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("black")
    axes.spines[:].set_visible(False)


def draw_labels(
    axes: Axes,
    labels: Slice,
    spacing: tuple[float, float],
    *,
    tint: float = 0.3,
    width: float = 1.3,
    colour: str | None = None,
) -> None:
    """Draw each label's contour and tint its inside (0: not at all), in its own colour or the one given."""
    rows, columns = (np.arange(size) * step for size, step in zip(labels.shape, spacing, strict=True))
    for label in range(1, int(labels.max()) + 1):
        mask = (labels == label).astype(float)
        if not mask.any():
            continue
        ink = [colour or class_colour(label)]
        if tint:
            axes.contourf(columns, rows, mask, levels=(0.5, 1.5), colors=ink, alpha=tint)
        axes.contour(columns, rows, mask, levels=(0.5,), colors=ink, linewidths=width)


def key_to_classes(figure: Figure, classes: Sequence[str]) -> None:
    """Name the classes' colours below the pictures."""
    handles = [
        Patch(facecolor=class_colour(label), edgecolor="#444444", linewidth=0.6, label=plain(name))
        for label, name in enumerate(classes, start=1)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)


def whole(image: Slice, spacing: tuple[float, float]) -> Box:
    """The whole slice, edges of pixels included.

    >>> whole(np.zeros((2, 4)), (2.0, 1.0))
    (-0.5, 3.5, 3.0, -1.0)
    """
    height, width = image.shape
    return (-0.5 * spacing[1], (width - 0.5) * spacing[1], (height - 0.5) * spacing[0], -0.5 * spacing[0])


def box_around(mask: Slice, spacing: tuple[float, float], *, margin: float = 0.22) -> Box:
    """A square around the object, with a margin on each side that is a fraction of the object's size.

    An empty mask gives the square around the whole slice.

    >>> mask = np.zeros((20, 20))
    >>> mask[5:15, 8:12] = 1
    >>> box_around(mask, (1.0, 1.0), margin=0.5)
    (-0.5, 19.5, 19.5, -0.5)
    """
    shown = mask if mask.any() else np.ones_like(mask)
    margin = margin if mask.any() else 0.0
    rows, columns = (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    top, bottom = (rows[0] - 0.5) * spacing[0], (rows[-1] + 0.5) * spacing[0]
    left, right = (columns[0] - 0.5) * spacing[1], (columns[-1] + 0.5) * spacing[1]
    half = float(max(bottom - top, right - left)) * (0.5 + margin)
    row, column = float(top + bottom) / 2, float(left + right) / 2
    return (column - half, column + half, row + half, row - half)


def middle_slice(labels: Slice) -> int:
    """Index of the middle one of the slices that show the most classes; all count where all are empty.

    >>> volume = np.zeros((5, 2, 2), dtype=int)
    >>> volume[2:, 0, 0], volume[3:, 1, 1] = 1, 2
    >>> middle_slice(volume)
    4
    """
    counts = np.array([len(np.unique(plane[plane > 0])) for plane in labels])
    richest = np.flatnonzero(counts == counts.max())
    return int(richest[len(richest) // 2])


def _seen(image: Slice, spacing: tuple[float, float], box: Box) -> Slice:
    rows = np.arange(image.shape[0]) * spacing[0]
    columns = np.arange(image.shape[1]) * spacing[1]
    inside = image[(rows >= box[3]) & (rows <= box[2])][:, (columns >= box[0]) & (columns <= box[1])]
    return inside if inside.size else image
