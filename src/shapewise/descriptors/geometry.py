"""Where an object is, how big it is, how far it spreads and which way it points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from shapewise.descriptors.axes import pixel_size
from shapewise.descriptors.marginals import Marginals
from shapewise.descriptors.moments import scaled_central
from shapewise.descriptors.precision import at_least_float32
from shapewise.descriptors.registry import register
from shapewise.descriptors.safe import divide, square_root
from shapewise.typing import Float, Probs, Spacing, Tensor, Values

DEGENERATE = 1e-5
"""Variances that differ by less than this fraction of their sum have no direction: a disc, a ball."""

POINT = 1e-6
"""An object of less variance than this, in pixels squared, is a point: what is left is rounding."""


@register("volume", unit_power=lambda ndim: ndim, from_marginals=Marginals.volume)
@at_least_float32
def volume(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """Area (2-D) or volume (3-D) of each class, V = μ_0 = Σ s.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        spacing: distance between pixel centres along each axis; pixels without it, mm² or mm³ with it.

    Returns:
        ``(B, K, 1)``; 0 for an absent class, and its gradient is that of any other class.

    Raises:
        ArgumentError: the spacing does not fit the image.

    Source: Kervadec et al., MIDL 2021, section 2.2.

    >>> volume(torch.ones(1, 1, 4, 4), spacing=(2.0, 0.5))
    tensor([[[16.]]])
    """
    ndim = probs.ndim - 2
    return probs.sum(dim=tuple(range(2, probs.ndim))).unsqueeze(-1) * pixel_size(spacing, ndim)


@register(
    "centroid",
    components=lambda ndim: ndim,
    unit_power=1,
    scale="spread",
    from_marginals=Marginals.centroid,
    per_axis="position",
)
@at_least_float32
def centroid(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """Mean position of each class, C = μ_1 / μ_0, in array-index order.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        spacing: distance between pixel centres along each axis; pixels without it, mm with it.

    Returns:
        ``(B, K, ndim)``. The centroid of an absent class does not exist; the image's centre stands in for it.

    Raises:
        ArgumentError: the spacing does not fit the image.

    Source: Kervadec et al., MIDL 2021, section 2.2.

    >>> probs = torch.zeros(1, 1, 4, 4)
    >>> probs[0, 0, 2, 1:3] = 1
    >>> centroid(probs)
    tensor([[[2.0000, 1.5000]]])
    """
    return Marginals.of(probs, spacing).centroid()


@register(
    "spread",
    components=lambda ndim: ndim,
    unit_power=1,
    from_marginals=Marginals.spread,
    per_axis="extent",
)
@at_least_float32
def spread(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """Standard deviation of the position of each class, D = sqrt(μ̄_2 / μ_0) per axis.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        spacing: distance between pixel centres along each axis; pixels without it, mm with it.

    Returns:
        ``(B, K, ndim)``. The spread of an absent class does not exist; 0 stands in for it.

    Raises:
        ArgumentError: the spacing does not fit the image.

    Source: Kervadec et al., MIDL 2021, section 2.2 (there "average distance to the centroid").

    >>> probs = torch.zeros(1, 1, 4, 4)
    >>> probs[0, 0, 2, 1:3] = 1
    >>> spread(probs)
    tensor([[[0.0000, 0.5000]]])
    """
    return Marginals.of(probs, spacing).spread()


@register(
    "covariance",
    components=lambda ndim: ndim * (ndim + 1) // 2,
    unit_power=2,
    scale="spread_power",
    per_axis="product",
)
@at_least_float32
def covariance(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """Covariance of the position of each class, the upper triangle row by row: 00, 01, 11 in 2-D.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        spacing: distance between pixel centres along each axis; px² without it, mm² with it.

    Returns:
        ``(B, K, ndim (ndim + 1) / 2)``. The covariance of an absent class does not exist; 0 stands in for it.

    Raises:
        ArgumentError: the spacing does not fit the image.

    Source: Hu, IRE Transactions on Information Theory 1962, second-order central moments.

    >>> covariance(torch.eye(3)[None, None])
    tensor([[[0.6667, 0.6667, 0.6667]]])
    """
    matrix = covariance_matrix(probs, Marginals.of(probs, spacing))
    ndim = probs.ndim - 2
    rows, columns = torch.triu_indices(ndim, ndim, device=probs.device)
    return matrix[..., rows, columns]


@register("orientation", components=lambda ndim: 1 if ndim == 2 else ndim, scale="one")
@at_least_float32
def orientation(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """Direction of the major axis of each class.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        spacing: distance between pixel centres along each axis.

    Returns:
        2-D: ``(B, K, 1)``, the angle from axis 0 towards axis 1 in (-π/2, π/2], as in scikit-image.
        3-D: ``(B, K, 3)``, a unit vector whose largest component is positive.
        A disc, a ball, a point and an absent class have no direction; some direction stands in for it, and
        the gradient across axes of equal length is 0.

    Raises:
        ArgumentError: the spacing does not fit the image.

    Source: eigenvectors of the covariance; their first-order perturbation is the gradient.

    >>> orientation(torch.eye(3)[None, None]) / torch.pi
    tensor([[[0.2500]]])
    """
    matrix = _unitless_covariance(probs, spacing)
    return _angle(matrix) if probs.ndim == 4 else _major_axis(matrix)


@register("elongation", scale="one")
@at_least_float32
def elongation(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """1 − minor / major axis of each class: 0 for a disc or a ball, 1 for a line.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        spacing: distance between pixel centres along each axis.

    Returns:
        ``(B, K, 1)`` in [0, 1]. The elongation of a point and of an absent class does not exist; 0 stands in.

    Raises:
        ArgumentError: the spacing does not fit the image.

    Source: ratio of the square roots of the extreme eigenvalues of the covariance.

    >>> elongation(torch.ones(1, 1, 8, 8))
    tensor([[[0.]]])
    """
    variances = torch.linalg.eigvalsh(_unitless_covariance(probs, spacing))
    minor, major = variances[..., :1], variances[..., -1:]
    ratio = divide(minor, major, floor=POINT).clamp(max=1)
    return torch.where(major > POINT, 1 - square_root(ratio), 0.0)


def covariance_matrix(probs: Probs, marginals: Marginals) -> Float[Tensor, "batch classes _ _"]:
    """Covariance as a symmetric matrix ``(B, K, ndim, ndim)``; 0 for an absent class.

    >>> probs = torch.eye(3)[None, None]
    >>> covariance_matrix(probs, Marginals.of(probs, None)).shape
    torch.Size([1, 1, 2, 2])
    """
    grid, ndim = marginals.grid, probs.ndim - 2
    moments = scaled_central(probs, marginals, 2)
    mass = _pick(moments, [0] * ndim)
    entries = [
        divide(_pick(moments, _powers_of(i, j, ndim)), mass) * (grid[i].half * grid[j].half)
        for i in range(ndim)
        for j in range(ndim)
    ]
    return torch.stack(entries, dim=-1).reshape(*mass.shape, ndim, ndim)


def _unitless_covariance(probs: Tensor, spacing: Spacing | None) -> Tensor:
    """Covariance in steps of the finest axis: what depends on its ratios only has one idea of a point."""
    marginals = Marginals.of(probs, spacing)
    finest = min([axis.step for axis in marginals.grid])
    return covariance_matrix(probs, marginals) / finest**2


def _pick(moments: Tensor, powers: Sequence[int]) -> Tensor:
    for power in reversed(powers):
        moments = moments[..., power]
    return moments


def _powers_of(i: int, j: int, ndim: int) -> list[int]:
    return [int(axis == i) + int(axis == j) for axis in range(ndim)]


def _angle(matrix: Tensor) -> Tensor:
    sine, cosine = 2 * matrix[..., 0, 1], matrix[..., 0, 0] - matrix[..., 1, 1]
    trace = matrix[..., 0, 0] + matrix[..., 1, 1]
    directed = sine**2 + cosine**2 > (DEGENERATE * trace + POINT) ** 2
    angle = torch.atan2(torch.where(directed, sine, 0.0), torch.where(directed, cosine, 1.0)) / 2
    # Axis 1 is at both ends of the range; -0.0 in the sine would pick the wrong one.
    upward = torch.where(angle <= -math.pi / 2, angle + math.pi, angle)
    return upward.unsqueeze(-1)


def _major_axis(matrix: Tensor) -> Tensor:
    """The last eigenvector v, with the gradient dv = Σ_j v_j (v_jᵀ dA v) / (λ − λ_j) over the other ones."""
    variances, vectors = torch.linalg.eigh(matrix.detach())
    others, major = vectors[..., :-1], _fix_sign(vectors[..., -1:])
    gaps = variances[..., -1:] - variances[..., :-1]
    floor = DEGENERATE * variances.sum(-1, keepdim=True) + POINT
    coupling = (others.mT @ (matrix - matrix.detach()) @ major).squeeze(-1)
    rates = torch.where(gaps > floor, coupling / torch.where(gaps > floor, gaps, 1.0), 0.0)
    tilt: Tensor = others @ rates.unsqueeze(-1)
    return (major + tilt).squeeze(-1)


def _fix_sign(vector: Tensor) -> Tensor:
    largest = vector.gather(-2, vector.abs().argmax(dim=-2, keepdim=True))
    return torch.where(largest < 0, -vector, vector)
