"""Raw, central and normalised moments of any order, in 2-D and 3-D.

A moment over a grid is separable: the powers of one coordinate are a small matrix, and the probabilities are
contracted with one such matrix an axis. No grid of coordinates is ever built.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import torch

from shapewise.descriptors.axes import Axis, axes, pixel_size
from shapewise.descriptors.marginals import Marginals
from shapewise.descriptors.precision import at_least_float32
from shapewise.errors import ArgumentError
from shapewise.typing import Float, Probs, Spacing, Tensor

Moments: TypeAlias = Float[Tensor, "batch classes *orders"]
"""Moments of each class; one axis of length order + 1 for each axis of the image."""


@at_least_float32
def raw_moments(probs: Probs, order: int, *, spacing: Spacing | None = None) -> Moments:
    """Moments about the origin, Σ s x^p y^q.

    Computed in centred coordinates scaled to [-1, 1] and mapped back in closed form.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        order: highest power of each coordinate.
        spacing: distance between pixel centres along each axis; pixel units without it. With it the sum is
            an integral: coordinates are index × spacing and each term counts the area (volume) of a pixel.

    Returns:
        ``(B, K, order + 1, order + 1)`` in 2-D, one axis more in 3-D; ``[..., p, q]`` holds power p of the
        row and q of the column, as in scikit-image. An absent class has moments 0.

    Raises:
        ArgumentError: the order is negative, or the spacing does not fit the image.

    Source: Kervadec et al., MIDL 2021, section 2.1.

    >>> probs = torch.zeros(1, 1, 4, 4)
    >>> probs[0, 0, 2, 1:3] = 1
    >>> raw_moments(probs, 1)[0, 0]
    tensor([[2., 3.],
            [4., 6.]])
    """
    grid = axes(probs, spacing)
    scaled = contract(probs, [powers_of(axis.scaled, order) for axis in grid])
    return contract(scaled, [_uncentre(axis, order) for axis in grid]) * pixel_size(spacing, len(grid))


@at_least_float32
def central_moments(probs: Probs, order: int, *, spacing: Spacing | None = None) -> Moments:
    """Moments about each class's own centroid, Σ s (x − C_x)^p (y − C_y)^q.

    The coordinates are shifted before they are raised to a power: differences of raw moments cancel.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        order: highest power of each coordinate.
        spacing: distance between pixel centres along each axis; pixel units without it. With it the sum is
            an integral, as in `raw_moments`.

    Returns:
        ``(B, K, order + 1, order + 1)`` in 2-D, one axis more in 3-D. An absent class has moments 0.

    Raises:
        ArgumentError: the order is negative, or the spacing does not fit the image.

    Source: Kervadec et al., MIDL 2021, section 2.1.

    >>> probs = torch.zeros(1, 1, 4, 4)
    >>> probs[0, 0, 2, 1:3] = 1
    >>> central_moments(probs, 2)[0, 0, 0]
    tensor([2.0000, 0.0000, 0.5000])
    """
    marginals = Marginals.of(probs, spacing)
    central = scale_powers(scaled_central(probs, marginals, order), marginals.grid)
    return central * pixel_size(spacing, probs.ndim - 2)


@at_least_float32
def normalized_moments(probs: Probs, order: int, *, spacing: Spacing | None = None) -> Moments:
    """Central moments divided by the volume to the power 1 + (p + q) / n: the same for every size of a shape.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        order: highest power of each coordinate.
        spacing: distance between pixel centres along each axis; only its ratios matter.

    Returns:
        ``(B, K, order + 1, order + 1)`` in 2-D, one axis more in 3-D; ``[..., 0, 0]`` is 1. A class of less
        than one pixel is normalised as if it had one, so an absent class has moments 0.

    Raises:
        ArgumentError: the order is negative, or the spacing does not fit the image.

    Source: Hu, IRE Transactions on Information Theory 1962, section III.

    >>> square = torch.zeros(1, 1, 9, 9)
    >>> square[..., 2:8, 1:7] = 1
    >>> normalized_moments(square, 2)[0, 0, 0, 2]
    tensor(0.0810)
    """
    ndim = probs.ndim - 2
    marginals = Marginals.of(probs, spacing)
    side = pixel_size(spacing, ndim) ** (1 / ndim)
    central = scale_powers(scaled_central(probs, marginals, order), marginals.grid, unit=side)
    mass = marginals.mass.clamp(min=1)
    falling = torch.cat([mass ** (-power / ndim) for power in range(order + 1)], dim=-1)
    return scale_each_axis(central, [falling] * ndim) / mass.reshape(*mass.shape[:2], *[1] * ndim)


def scaled_central(probs: Probs, marginals: Marginals, order: int) -> Moments:
    """Central moments in coordinates scaled to [-1, 1] and in pixels, the room's working form.

    >>> probs = torch.ones(1, 1, 3, 3)
    >>> scaled_central(probs, Marginals.of(probs, None), 2)[0, 0, 2, 0]
    tensor(6.)
    """
    pairs = zip(marginals.grid, marginals.split_means(), strict=True)
    shifted = [axis.scaled - mean for axis, mean in pairs]
    return contract(probs, [powers_of(coordinate, order) for coordinate in shifted])


def scale_powers(moments: Moments, grid: Sequence[Axis], *, unit: float = 1.0) -> Moments:
    """Bring moments in scaled coordinates to the axes' own unit, or another: times half^p for each axis.

    >>> probs = torch.ones(1, 1, 5, 1)
    >>> marginals = Marginals.of(probs, None)
    >>> scale_powers(scaled_central(probs, marginals, 2), marginals.grid)[0, 0, 2, 0]
    tensor(10.)
    """
    powers = range(moments.shape[-1])
    factors = [moments.new_tensor([(axis.half / unit) ** power for power in powers]) for axis in grid]
    return scale_each_axis(moments, factors)


def scale_each_axis(moments: Moments, factors: Sequence[Tensor]) -> Moments:
    """Multiply each of the orders' axes by its own factors, ``(order + 1,)`` or ``(B, K, order + 1)``.

    >>> scale_each_axis(torch.ones(1, 1, 2, 2), [torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])])[0, 0]
    tensor([[1., 3.],
            [2., 6.]])
    """
    for factor in reversed(factors):
        moments = (moments * factor.reshape(*factor.shape[:-1], *[1] * (moments.ndim - 3), -1)).movedim(-1, 2)
    return moments


def contract(array: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Multiply each trailing axis of ``(B, K, *S)`` by its matrix: ``(n, m)``, or ``(B, K, n, m)``.

    >>> image = torch.ones(1, 1, 2, 3)
    >>> contract(image, [torch.ones(2, 4), torch.ones(3, 1)]).shape
    torch.Size([1, 1, 4, 1])
    """
    for matrix in reversed(matrices):
        product = array.flatten(2, -2) @ matrix
        array = product.reshape(*array.shape[:-1], matrix.shape[-1]).movedim(-1, 2)
    return array


def powers_of(coordinate: Tensor, order: int) -> Tensor:
    """``(..., n)`` to ``(..., n, order + 1)``, by products so that 0^0 is 1 and its gradient 0."""
    if order < 0:
        raise ArgumentError("order", expected="a non-negative integer", found=order)
    columns = [torch.ones_like(coordinate)]
    for _ in range(order):
        columns.append(columns[-1] * coordinate)
    return torch.stack(columns, dim=-1)


def _uncentre(axis: Axis, order: int) -> Tensor:
    """Binomial expansion of (centre + half u)^p over the powers of u, one column a power p."""
    rows = [
        [math.comb(p, j) * axis.centre ** (p - j) * axis.half**j if j <= p else 0.0 for p in range(order + 1)]
        for j in range(order + 1)
    ]
    return axis.scaled.new_tensor(rows)
