"""From drawn outlines to the pixels inside them, and from extreme points to an ellipse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shapewise.annotate.schema import Drawn, Ellipse, Polygon, Shape
from shapewise.errors import ArgumentError

MOST_SLANTED = 0.95
"""Largest correlation of rows and columns that extreme points may ask for: beyond lies a line."""

Mask = NDArray[np.bool_]


def inside(shape: Shape, size: tuple[int, int]) -> Mask:
    """Which pixel centres of an image of that size a shape covers, (H, W).

    >>> inside(Ellipse(centre=(1.0, 1.0), first=(1.0, 0.0), second=(0.0, 1.0)), (3, 3)).astype(int)
    array([[0, 1, 0],
           [1, 1, 1],
           [0, 1, 0]])
    """
    if isinstance(shape, Ellipse):
        return _inside_ellipse(shape, size)
    if isinstance(shape, Polygon):
        return _inside_polygon(shape, size)
    return np.zeros(size, bool)


def regions(objects: Mapping[str, Drawn], size: tuple[int, int]) -> dict[str, Mask]:
    """The pixels of every object, (H, W): those in its outline, but for the outline that it lies around."""
    outlines = {name: inside(drawn.shape, size) for name, drawn in objects.items()}
    nothing = np.zeros(size, bool)
    return {
        name: outlines[name] & ~(outlines.get(drawn.around, nothing) if drawn.around else nothing)
        for name, drawn in objects.items()
    }


def ellipse_through(points: Sequence[tuple[float, float]]) -> Ellipse:
    """The ellipse whose highest, lowest, leftmost and rightmost points these four are, in any order.

    An outline x' M⁻¹ x = 1 reaches its highest point at -M e_r / sqrt(M_rr): the extremes give M_rr and M_cc,
    and each of the four says what M_rc is. Their mean is taken.

    Args:
        points: four (row, column) in pixels.

    Raises:
        ArgumentError: they are not four, or in one row or column.

    >>> ellipse_through([(0.0, 5.0), (8.0, 5.0), (4.0, 3.0), (4.0, 7.0)]).centre
    (4.0, 5.0)
    """
    corners = np.asarray(points, float)
    if corners.shape != (4, 2):
        raise ArgumentError("points", expected="four points", found=corners.shape)
    low, high = corners.min(axis=0), corners.max(axis=0)
    centre, half = (low + high) / 2, (high - low) / 2
    if half.min() <= 0:
        raise ArgumentError("points", expected="points that span an ellipse", found=points)
    top, bottom = corners[[corners[:, 0].argmin(), corners[:, 0].argmax()]] - centre
    left, right = corners[[corners[:, 1].argmin(), corners[:, 1].argmax()]] - centre
    slants = (bottom[1] - top[1]) / half[1], (right[0] - left[0]) / half[0]
    slant = float(np.clip(sum(slants) / 4, -MOST_SLANTED, MOST_SLANTED))
    # A Cholesky factor of M: its columns are conjugate half-axes.
    first = half[0], half[1] * slant
    second = 0.0, half[1] * float(np.sqrt(1 - slant**2))
    return Ellipse(centre=_point(centre), first=_point(first), second=_point(second))


def _point(pair: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])


def _inside_ellipse(ellipse: Ellipse, size: tuple[int, int]) -> Mask:
    axes = np.array([ellipse.first, ellipse.second]).T
    if abs(np.linalg.det(axes)) < 1e-9:  # pressed flat, it covers nothing
        return np.zeros(size, bool)
    inverse = np.linalg.inv(axes)
    rows, columns = (np.arange(length) - middle for length, middle in zip(size, ellipse.centre, strict=True))
    x, y = (inverse[each, 0] * rows[:, None] + inverse[each, 1] * columns for each in (0, 1))
    return np.asarray(x**2 + y**2 <= 1)


def _inside_polygon(polygon: Polygon, size: tuple[int, int]) -> Mask:
    """Even-odd: a pixel is inside where the ray to its right crosses the outline an odd number of times."""
    points = np.array(polygon.points)
    columns = np.arange(size[1])
    mask = np.zeros(size, bool)
    low, high = points[:, 0].min(), points[:, 0].max()
    for row in range(max(0, int(np.ceil(low))), min(size[0] - 1, int(np.floor(high))) + 1):
        crossings = _crossings(points, row)
        mask[row] = (crossings[:, None] > columns).sum(axis=0) % 2 == 1
    return mask


def _crossings(points: NDArray[np.float64], row: int) -> NDArray[np.float64]:
    ends = np.roll(points, -1, axis=0)
    crossed = (points[:, 0] <= row) != (ends[:, 0] <= row)
    start, end = points[crossed], ends[crossed]
    along = (row - start[:, 0]) / (end[:, 0] - start[:, 0])
    return np.asarray(start[:, 1] + along * (end[:, 1] - start[:, 1]))
