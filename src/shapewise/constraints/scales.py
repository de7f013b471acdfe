"""What a residual is divided by, so that an area, a coordinate and a perimeter weigh alike.

A volume in pixels is a thousand times a centroid's error in pixels; undivided, it is all that a network
learns.
"""

from __future__ import annotations

import math
from itertools import count, product
from typing import Literal

import torch
from torch import Tensor

from shapewise.errors import ArgumentError

ScaleKind = Literal["value", "spread", "spread_power", "one"]
"""The value's own size; the object's spread; a product of spreads; none."""

SIZES = ("volume", "spread", "covariance")
"""Descriptors that tell how far an object spreads, whether or not they are constrained."""

HALF_PIXEL = 0.5
"""The smallest size, in pixels, that a residual is divided by: a one-pixel object has spread 0."""

DIMENSIONLESS = 1e-3
"""The same for descriptors without a unit that are divided by their own value."""


def smallest_size(unit_power: int, pixel_side: float = 1.0) -> float:
    """The smallest size that a residual is divided by: of half a pixel, in the descriptor's unit.

    >>> smallest_size(2, pixel_side=4.0), smallest_size(0)
    (4.0, 0.001)
    """
    return (HALF_PIXEL * pixel_side) ** unit_power if unit_power else DIMENSIONLESS


def object_spread(
    ndim: int,
    *,
    spread: Tensor | None = None,
    covariance: Tensor | None = None,
    volume: Tensor | None = None,
    fallback: Tensor,
) -> Tensor:
    """Find how far every annotated object spreads along each axis, from the best of what is known of it.

    In this order, number by number: its spread; the square root of its covariance's diagonal; the spread of
    the disc (``r / 2``) or ball (``r / sqrt 5``) of its volume, if that is not 0; the fallback.

    Args:
        ndim: 2 or 3.
        spread: ``(B, K, ndim)``, NaN where unknown.
        covariance: ``(B, K, ndim (ndim + 1) / 2)``, upper triangle by rows, NaN where unknown.
        volume: ``(B, K, 1)``, NaN where unknown.
        fallback: ``(ndim,)``, for objects of which nothing is known.

    Returns:
        ``(B, K, ndim)``, or ``(ndim,)`` if nothing is given; no NaN.

    >>> disc = torch.full((1, 1, 1), 400 * torch.pi)
    >>> object_spread(2, volume=disc, fallback=torch.ones(2))
    tensor([[[10., 10.]]])
    """
    known = fallback
    if volume is not None:
        # 0 is the volume of what is not there, or a lower bound that tells nothing of a size.
        ball = _ball_spread(volume.masked_fill(volume <= 0, math.nan), ndim)
        known = _prefer(ball.expand(*volume.shape[:-1], ndim), known)
    if covariance is not None:
        diagonal = [i for i, (row, column) in enumerate(_monomials(2, ndim)) if row == column]
        known = _prefer(covariance[..., diagonal].clamp_min(0).sqrt(), known)
    return known if spread is None else _prefer(spread, known)


def own_size(kind: ScaleKind, value: Tensor, spread: Tensor) -> Tensor:
    """Compute what a residual, and the half-width of a relative margin, are measured by.

    Args:
        kind: ``value``: ``|value|``; ``spread``: the spread along each component's axis; ``spread_power``:
            the product of the spreads along the axes of each component's monomial; ``one``: 1.
        value: annotated values ``(B, K, C)``, NaN where there is none.
        spread: ``(B, K, ndim)``, or ``(ndim,)`` for all objects.

    Returns:
        The shape of ``value``; 0 for an object without extent, so give it a floor; NaN where ``|value|`` is.

    Raises:
        ArgumentError: ``value`` has not one component for each axis, or each monomial of some degree.

    >>> value, spread = torch.tensor([[[-4.0, 0.0]]]), torch.tensor([[[10.0, 8.0]]])
    >>> own_size("value", value, spread)
    tensor([[[4., 0.]]])
    >>> own_size("spread", value, spread)
    tensor([[[10.,  8.]]])
    """
    if kind == "one":
        return torch.ones_like(value)
    if kind == "value":
        return value.abs()
    if kind == "spread_power":
        spread = spread[..., _of_components(value.shape[-1], spread.shape[-1])].prod(-1)
    if spread.shape[-1] != value.shape[-1]:
        expected = f"of {spread.shape[-1]} components, as its scale is {kind!r}"
        raise ArgumentError("value", expected=expected, found=tuple(value.shape))
    return spread.expand_as(value)


def _prefer(first: Tensor, second: Tensor) -> Tensor:
    return torch.where(first.isnan(), second, first)


def _ball_spread(volume: Tensor, ndim: int) -> Tensor:
    if ndim == 2:
        return (volume / (4 * math.pi)).sqrt()
    return (volume * (3 / (4 * math.pi))) ** (1 / 3) / math.sqrt(5)


def _monomials(degree: int, ndim: int) -> list[tuple[int, ...]]:
    """The axes that each monomial of a degree multiplies: 00, 01, 11 for degree 2 in 2-D."""
    # Of itertools' own ways, the one that torch.compile can trace.
    return [axes for axes in product(range(ndim), repeat=degree) if list(axes) == sorted(axes)]


def _of_components(components: int, ndim: int) -> list[tuple[int, ...]]:
    """The monomials of the degree that has so many of them, or the next higher."""
    return next(found for degree in count(1) if len(found := _monomials(degree, ndim)) >= components)
