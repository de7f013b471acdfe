"""The coordinates of a grid, one axis at a time: centred, scaled to [-1, 1], and the way back to px or mm."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from shapewise.errors import ArgumentError
from shapewise.typing import Probs, Spacing


class Axis(NamedTuple):
    """One axis of the grid: the position of its i-th pixel centre is ``centre + half * scaled[i]``.

    Attributes:
        scaled: coordinates in [-1, 1], shape ``(n,)``.
        step: distance between pixel centres, 1 or the spacing.
        centre: position of the middle of the axis, in pixels or in the spacing's unit.
        half: half of the distance between the first and the last pixel centre, same unit.
    """

    scaled: Tensor
    step: float
    centre: float
    half: float


def checked_spacing(spacing: Spacing | None, ndim: int) -> Spacing:
    """Return the spacing, or 1 along each axis where there is none.

    Raises:
        ArgumentError: unless there is one positive, finite number an axis.

    >>> checked_spacing(None, 2)
    (1.0, 1.0)
    """
    if spacing is None:
        return (1.0,) * ndim
    if len(spacing) != ndim or not all(0 < step < math.inf for step in spacing):
        raise ArgumentError("spacing", expected=f"{ndim} positive numbers", found=spacing)
    return tuple(spacing)


def pixel_size(spacing: Spacing | None, ndim: int) -> float:
    """Area (2-D) or volume (3-D) of one pixel.

    >>> pixel_size((2.0, 3.0), 2)
    6.0
    """
    return math.prod(checked_spacing(spacing, ndim))


def axes(probs: Probs, spacing: Spacing | None) -> list[Axis]:
    """The axes of the grid that the probabilities live on, in array-index order.

    >>> axes(torch.zeros(1, 1, 3, 5), (2.0, 1.0))[0]
    Axis(scaled=tensor([-1.,  0.,  1.]), step=2.0, centre=2.0, half=2.0)
    """
    steps = checked_spacing(spacing, probs.ndim - 2)
    return [_axis(size, step, probs) for size, step in zip(probs.shape[2:], steps, strict=True)]


def _axis(size: int, step: float, like: Tensor) -> Axis:
    centre = (size - 1) / 2
    half = max(centre, 0.5)  # an axis of one pixel has no extent
    scaled = (torch.arange(size, dtype=like.dtype, device=like.device) - centre) / half
    return Axis(scaled, step, step * centre, step * half)
