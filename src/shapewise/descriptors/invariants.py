"""Functions of moments that do not change when an object moves, turns or grows."""

from __future__ import annotations

import torch

from shapewise.descriptors.moments import normalized_moments
from shapewise.descriptors.precision import at_least_float32
from shapewise.descriptors.registry import register
from shapewise.errors import ArgumentError
from shapewise.typing import Probs, Spacing, Values


@register("hu_moments", components=7, scale="one")
@at_least_float32
def hu_moments(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """Hu's seven invariants to translation, rotation and scale; the seventh changes sign in a mirror.

    Args:
        probs: class probabilities ``(B, K, H, W)``.
        spacing: distance between pixel centres along each axis; only its ratio matters.

    Returns:
        ``(B, K, 7)``. The invariants of an absent class do not exist; 0 stands in for them.

    Raises:
        ArgumentError: the image is not 2-D, or the spacing does not fit it.

    Source: Hu, IRE Transactions on Information Theory 1962, section IV.

    >>> hu_moments(torch.ones(1, 1, 8, 8))[0, 0, 0]
    tensor(0.1641)
    """
    if probs.ndim != 4:
        raise ArgumentError("probs", expected="of shape (B, K, H, W)", found=tuple(probs.shape))
    eta = normalized_moments(probs, 3, spacing=spacing)
    n20, n11, n02 = eta[..., 2, 0], eta[..., 1, 1], eta[..., 0, 2]
    n30, n21, n12, n03 = eta[..., 3, 0], eta[..., 2, 1], eta[..., 1, 2], eta[..., 0, 3]
    a, b = n30 + n12, n21 + n03
    c, d = n30 - 3 * n12, 3 * n21 - n03
    p, q = a * (a**2 - 3 * b**2), b * (3 * a**2 - b**2)
    first, second = n20 + n02, (n20 - n02) ** 2 + 4 * n11**2
    sixth = (n20 - n02) * (a**2 - b**2) + 4 * n11 * a * b
    return torch.stack([first, second, c**2 + d**2, a**2 + b**2, c * p + d * q, sixth, d * p - c * q], dim=-1)
