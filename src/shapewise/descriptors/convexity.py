"""How much of an object's boundary a convex object of its width in every direction would need."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from shapewise.descriptors.boundary import length
from shapewise.descriptors.neighbours import Offset, sides, weighted_neighbours
from shapewise.descriptors.precision import at_least_float32
from shapewise.descriptors.registry import get, register
from shapewise.descriptors.safe import divide
from shapewise.typing import Probs, Spacing, Tensor, Values


@register("convexity", scale="one")
@at_least_float32
def convexity(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """How much of its boundary each class would need if every line entered it once.

    By Cauchy-Crofton the length is a weighted sum of what the class varies along straight lines. A line that
    rises to its maximum once and falls once varies by 2 max − first − last, and any other by more; the sum of
    the former is what the numerator counts. As for `length`, the border of the image is no boundary. Only the
    lines along neighbours count: two parts that no such line meets both of pass for convex, so it stands in
    for solidity where an object is in one piece.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        spacing: distance between pixel centres along each axis.

    Returns:
        ``(B, K, 1)`` in [0, 1]: 1 where every line along the 8 (26) neighbours rises and falls once, as in a
        convex object; 0 for a hole in a class that fills the rest of the image. A class without a boundary,
        absent or the same everywhere, has no convexity; 1 stands in for it.

    Raises:
        ArgumentError: the spacing does not fit the image.

    Source: ours, after the ratio of convex to actual perimeter of shape analysis; the lines are those of
    Boykov and Kolmogorov, ICCV 2003.

    >>> probs = torch.zeros(1, 2, 8, 8)
    >>> probs[0, :, 1:7, 1:7] = 1
    >>> probs[0, 1, 1:5, 3:5] = 0  # a U
    >>> convexity(probs).flatten()
    tensor([1.0000, 0.7698])
    """
    ndim = probs.ndim - 2
    lines = weighted_neighbours(ndim, None, "crofton", spacing)
    convex = torch.stack([weight * _unimodal(probs, offset) for offset, weight in lines]).sum(0).unsqueeze(-1)
    boundary = length(probs, spacing=spacing)
    lacking = divide(boundary - convex, boundary, unit=get("length").unit(spacing, ndim))
    return (1 - lacking).clamp(0, 1)


def _unimodal(probs: Tensor, offset: Offset) -> Tensor:
    """What the lines along the offset would vary if each rose and fell once: Σ 2 max − first − last."""
    ends = torch.full_like(probs[:1, :1], 2.0)
    for inner in sides(offset):
        ends[inner] -= 1
    peaks = _columns(probs, offset).amax(2)
    return 2 * peaks.flatten(2).sum(-1) - (ends * probs).flatten(2).sum(-1)


def _columns(probs: Tensor, offset: Offset) -> Tensor:
    """Shear the image so that every line along the offset is a line along the first of its axes.

    Returns:
        ``(B, K, n, ...)``, the lines running along n; 0 where there is no pixel.

    >>> _columns(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), (1, -1))
    tensor([[[[1., 2., 0.],
              [0., 3., 4.]]]])
    """
    along, *others = [axis for axis in range(len(offset)) if offset[axis]]
    lines = probs.movedim(2 + along, 2)
    for other in others:
        place = 2 + other  # only axes before the first one of the offset have moved
        across = lines.movedim(place, -1) if offset[other] < 0 else lines.movedim(place, -1).flip(-1)
        lines = _sheared(across.movedim(2, -2)).movedim(-2, 2).movedim(-1, place)
    return lines


def _sheared(maps: Tensor) -> Tensor:
    """Move row r of ``(..., H, W)`` r pixels on: ``(..., H, W + H - 1)``, zeros elsewhere."""
    height, width = maps.shape[-2:]
    flat = F.pad(maps, (0, height)).flatten(-2)[..., :-height]
    moved: Tensor = flat.unflatten(-1, (height, width + height - 1))
    return moved
