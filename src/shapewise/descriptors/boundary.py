"""How long the boundary of an object is."""

from __future__ import annotations

from functools import lru_cache

import torch

from shapewise.descriptors.neighbours import Offset, Weights, sides, weighted_neighbours
from shapewise.descriptors.precision import at_least_float32
from shapewise.descriptors.registry import register
from shapewise.errors import ArgumentError
from shapewise.typing import Float, Probs, Spacing, Tensor, Values


@register("length", unit_power=lambda ndim: ndim - 1)
@at_least_float32
def length(
    probs: Probs,
    *,
    connectivity: int | None = None,
    weights: Weights = "crofton",
    spacing: Spacing | None = None,
) -> Values:
    """Length (2-D) or area (3-D) of the boundary of each class, L = Σ |s_i − s_j| w_ij over neighbours.

    Each unordered pair counts once; the border of the image is no boundary.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        connectivity: 4 or 8 neighbours in 2-D, 6, 18 or 26 in 3-D; the largest if None.
        weights: ``crofton`` gives a Euclidean length or area, ``potts`` the paper's count of pairs (w = 1).
        spacing: distance between pixel centres along each axis; pixels without it. Crofton weights only.

    Returns:
        ``(B, K, 1)``. The boundary of an absent class does not exist; 0 stands in for its length.

    Raises:
        ArgumentError: an unknown connectivity or weighting, a spacing that does not fit, or Potts with one.

    Source: Kervadec et al., MIDL 2021, section 2.2; weights: Boykov and Kolmogorov, ICCV 2003.

    >>> probs = torch.zeros(1, 1, 4, 4)
    >>> probs[0, 0, 1:3, 1:3] = 1
    >>> length(probs, connectivity=4, weights="potts")
    tensor([[[8.]]])
    >>> length(probs)
    tensor([[[6.4738]]])
    """
    neighbours = weighted_neighbours(probs.ndim - 2, connectivity, weights, spacing)
    slope = _slope(probs.detach(), neighbours)
    return (probs * slope).sum(dim=tuple(range(2, probs.ndim))).unsqueeze(-1)


@register("potts_length", unit_power=lambda ndim: ndim - 1)
def potts_length(probs: Probs, *, spacing: Spacing | None = None) -> Values:
    """The paper's length: the number of neighbouring pairs that a boundary separates, 8 or 26 neighbours.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        spacing: must be None, a count of pairs has no physical length.

    Returns:
        ``(B, K, 1)``; 0 stands in for an absent class.

    Raises:
        ArgumentError: a spacing was given.

    Source: Kervadec et al., MIDL 2021, section 2.2.

    >>> probs = torch.zeros(1, 1, 3, 3)
    >>> probs[..., 1, 1] = 1
    >>> potts_length(probs)
    tensor([[[8.]]])
    """
    return length(probs, weights="potts", spacing=spacing)


def laplacian(
    shape: tuple[int, ...],
    *,
    connectivity: int | None = None,
    weights: Weights = "potts",
    spacing: Spacing | None = None,
) -> Float[Tensor, "pixels pixels"]:
    """Graph Laplacian of a grid, A − diag(Aᵀ1), with A_ij = w_ij for neighbours; cached, do not change it.

    Args:
        shape: ``(H, W)`` or ``(D, H, W)``; pixels count in C order.
        connectivity: 4 or 8 neighbours in 2-D, 6, 18 or 26 in 3-D; the largest if None.
        weights: as in `length`.
        spacing: distance between pixel centres along each axis. Crofton weights only.

    Returns:
        Sparse float32 ``(N, N)``, N the number of pixels.

    Raises:
        ArgumentError: the shape is not 2-D or 3-D, and as in `length`.

    Source: Kervadec et al., MIDL 2021, section 2.1.

    >>> laplacian((1, 3), connectivity=4).to_dense()
    tensor([[-1.,  1.,  0.],
            [ 1., -2.,  1.],
            [ 0.,  1., -1.]])
    """
    if len(shape) not in (2, 3):
        raise ArgumentError("shape", expected="(H, W) or (D, H, W)", found=shape)
    return _laplacian(tuple(shape), weighted_neighbours(len(shape), connectivity, weights, spacing))


def _slope(probs: Tensor, neighbours: tuple[tuple[Offset, float], ...]) -> Tensor:
    """Gradient of the length, Σ_j w_ij sign(s_i − s_j).

    The length is homogeneous of degree one, so by Euler's theorem it is the product of the probabilities
    with this gradient: one pass computes both and autograd keeps nothing else.
    """
    slope = torch.zeros_like(probs)
    for offset, weight in neighbours:
        first, second = sides(offset)
        sign = (probs[first] - probs[second]).sign_()
        slope[first].add_(sign, alpha=weight)
        slope[second].sub_(sign, alpha=weight)
    return slope


@lru_cache(maxsize=8)
def _laplacian(shape: tuple[int, ...], neighbours: tuple[tuple[Offset, float], ...]) -> Tensor:
    pixels = torch.arange(torch.Size(shape).numel()).reshape(shape)
    pairs, weights = [], []
    for offset, weight in neighbours:
        first, second = (pixels[side].flatten() for side in sides(offset))
        pairs.append(torch.stack([first, second]))
        weights.append(torch.full((len(first),), weight))
    return _symmetric_laplacian(torch.cat(pairs, dim=1), torch.cat(weights), pixels.numel())


def _symmetric_laplacian(pairs: Tensor, weights: Tensor, size: int) -> Tensor:
    both = torch.cat([pairs, pairs.flip(0)], dim=1)
    twice = torch.cat([weights, weights])
    degree = torch.zeros(size).index_add_(0, both[0], twice)
    diagonal = torch.arange(size).expand(2, size)
    indices, values = torch.cat([both, diagonal], dim=1), torch.cat([twice, -degree])
    return torch.sparse_coo_tensor(indices, values, (size, size), check_invariants=False).coalesce()
