"""What the covariance leaves open of a shape: how it leans and how sharp its ends are."""

from __future__ import annotations

import torch

from shapewise.descriptors.axes import pixel_size
from shapewise.descriptors.moments import central_moments
from shapewise.descriptors.precision import at_least_float32
from shapewise.descriptors.registry import register
from shapewise.descriptors.safe import divide
from shapewise.errors import ArgumentError
from shapewise.typing import Probs, Spacing, Values


def exponents(order: int, ndim: int) -> tuple[tuple[int, ...], ...]:
    """List the multi-indices of one total degree, the first axis' power falling: the order of components.

    Degree 2 is the order of `covariance`: 00, 01, 11 are the powers (2, 0), (1, 1), (0, 2).

    Args:
        order: the total degree, 0 or more.
        ndim: how many axes there are, 1 or more.

    Raises:
        ArgumentError: the order is negative.

    >>> exponents(3, 2)
    ((3, 0), (2, 1), (1, 2), (0, 3))
    >>> exponents(2, 3)
    ((2, 0, 0), (1, 1, 0), (1, 0, 1), (0, 2, 0), (0, 1, 1), (0, 0, 2))
    """
    if order < 0:
        raise ArgumentError("order", expected="a non-negative integer", found=order)
    if ndim == 1:
        return ((order,),)
    firsts = range(order, -1, -1)
    return tuple((first, *rest) for first in firsts for rest in exponents(order - first, ndim - 1))


@register(
    "third_moments",
    components=lambda ndim: len(exponents(3, ndim)),
    unit_power=3,
    scale="spread_power",
    per_axis="product",
)
@at_least_float32
def third_moments(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """Mean of (x − C)^p over each class, μ̄_p / μ_0, for the powers p of total degree 3: how a shape leans.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        spacing: distance between pixel centres along each axis; px³ without it, mm³ with it.

    Returns:
        ``(B, K, 4)`` in 2-D, the powers (3, 0), (2, 1), (1, 2), (0, 3) of row and column; ``(B, K, 10)`` in
        3-D, in the order of `exponents`. An absent class has no such moments; 0 stands in for them.

    Raises:
        ArgumentError: the spacing does not fit the image.

    Source: Hu, IRE Transactions on Information Theory 1962, third-order central moments.

    >>> probs = torch.zeros(1, 1, 2, 4)
    >>> probs[0, 0, 0, [0, 1, 3]] = 1
    >>> third_moments(probs).round(decimals=4)
    tensor([[[0.0000, 0.0000, 0.0000, 0.7407]]])
    """
    return _mean_powers(probs, 3, spacing)


@register(
    "fourth_moments",
    components=lambda ndim: len(exponents(4, ndim)),
    unit_power=4,
    scale="spread_power",
    per_axis="product",
)
@at_least_float32
def fourth_moments(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """Mean of (x − C)^p over each class, μ̄_p / μ_0, for the powers p of total degree 4: square or round.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        spacing: distance between pixel centres along each axis; px⁴ without it, mm⁴ with it.

    Returns:
        ``(B, K, 5)`` in 2-D, the powers (4, 0), (3, 1), (2, 2), (1, 3), (0, 4) of row and column;
        ``(B, K, 15)`` in 3-D, in the order of `exponents`. An absent class has no such moments; 0 stands in
        for them.

    Raises:
        ArgumentError: the spacing does not fit the image.

    Source: Hu, IRE Transactions on Information Theory 1962, fourth-order central moments.

    >>> fourth_moments(torch.eye(3)[None, None])
    tensor([[[0.6667, 0.6667, 0.6667, 0.6667, 0.6667]]])
    """
    return _mean_powers(probs, 4, spacing)


def _mean_powers(probs: Probs, order: int, spacing: Spacing | None) -> Values:
    ndim = probs.ndim - 2
    moments = central_moments(probs, order, spacing=spacing)
    by_powers = moments.movedim((0, 1), (-2, -1))
    wanted = torch.stack([by_powers[powers] for powers in exponents(order, ndim)], dim=-1)
    return divide(wanted, moments.flatten(2)[..., :1], unit=pixel_size(spacing, ndim))
