"""How long the boundary of an object is."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import torch

from shapewise.descriptors.neighbours import Neighbours, Weights, sides, weighted_neighbours
from shapewise.descriptors.precision import at_least_float32
from shapewise.descriptors.registry import register
from shapewise.errors import ArgumentError
from shapewise.typing import Float, Image, Probs, Spacing, Tensor, Values

CACHE_PIXELS = 3 * 2**15
"""Pixels that a thread sweeps at a time: three such float32 arrays stay in a core's second-level cache."""


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
    if not can_fuse():
        return cut_pairs(probs, neighbours).unsqueeze(-1)
    return _fused_length(probs, neighbours).unsqueeze(-1)


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


@at_least_float32
def edge_length(probs: Probs, images: Image, *, sigma: float, spacing: Spacing | None = None) -> Values:
    """Length of the boundary of each class where the image has no edge, Σ |s_i − s_j| w_ij g_ij.

    g = exp(−(I_i − I_j)² / 2σ²) is 1 between equal pixels, and next to 0 across an edge: a boundary along the
    edges of the image costs least. Crofton weights and all neighbours, as in `length`, which is σ = ∞.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        images: intensities ``(B, C, *S)``; squared differences add up over the channels.
        sigma: the difference of intensities from which on there is an edge.
        spacing: distance between pixel centres along each axis; pixels without it.

    Returns:
        ``(B, K, 1)``. The boundary of an absent class does not exist; 0 stands in for its length.

    Raises:
        ArgumentError: the images are not of the probabilities' size, sigma is not positive, or the spacing
            does not fit.

    Source: the contrast-sensitive smoothness of Boykov and Jolly, ICCV 2001; geodesic active contours.

    >>> probs = torch.zeros(1, 1, 4, 4)
    >>> probs[..., 2:] = 1
    >>> edge_length(probs, torch.zeros(1, 1, 4, 4), sigma=1.0), edge_length(probs, 3 * probs, sigma=1.0)
    (tensor([[[3.2369]]]), tensor([[[0.0360]]]))
    """
    if (len(images), *images.shape[2:]) != (len(probs), *probs.shape[2:]):
        expected = f"of shape ({len(probs)}, C, {', '.join(map(str, probs.shape[2:]))})"
        raise ArgumentError("images", expected=expected, found=tuple(images.shape))
    if not sigma > 0:
        raise ArgumentError("sigma", expected="a positive number", found=sigma)
    images, lengths = images.to(probs.dtype), []
    for offset, weight in weighted_neighbours(probs.ndim - 2, None, "crofton", spacing):
        i, j = sides(offset)
        contrast = ((images[i] - images[j]) / sigma).square().sum(1, keepdim=True)
        lengths.append(weight * ((probs[i] - probs[j]).abs() * (-contrast / 2).exp()).flatten(2).sum(-1))
    return torch.stack(lengths).sum(0).unsqueeze(-1)


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


def can_fuse() -> bool:
    """The compiler fuses the plain functions by itself, and transforms such as ``vmap`` look inside them."""
    return not (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())


def cut_pairs(probs: Tensor, neighbours: Neighbours) -> Tensor:
    """The definition: Σ w_ij |s_i − s_j|, ``(B, K)``."""
    pairs = [(weight, *sides(offset)) for offset, weight in neighbours]
    lengths = [w * (probs[i] - probs[j]).abs().flatten(2).sum(-1) for w, i, j in pairs]
    return torch.stack(lengths).sum(0)


class _Length(torch.autograd.Function):
    """The same sum in a fraction of autograd's time."""

    @staticmethod
    def forward(ctx: Any, probs: Tensor, neighbours: Neighbours) -> Tensor:
        """Return the lengths ``(B, K)`` and keep the slope."""
        total, slope = length_and_slope(probs, neighbours, with_slope=ctx.needs_input_grad[0])
        ctx.save_for_backward(slope)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Scale the slope."""
        (slope,) = ctx.saved_tensors
        return grads[0].reshape(*slope.shape[:2], *[1] * (slope.ndim - 2)) * slope, None


_fused_length: Callable[[Tensor, Neighbours], Tensor] = _Length.apply


def length_and_slope(
    probs: Tensor, neighbours: Neighbours, *, with_slope: bool = True
) -> tuple[Tensor, Tensor | None]:
    """The lengths ``(B, K)`` and, if wanted, their gradient in the probabilities, without autograd.

    The gradient is the slope g_i = Σ_j w_ij sign(s_i − s_j), and the length is homogeneous of degree one: by
    Euler's theorem it is Σ s_i g_i. One sweep over the pixels gives both.

    >>> length_and_slope(torch.eye(2)[None, None], (((0, 1), 1.0), ((1, 0), 1.0)))
    (tensor([[4.]]), tensor([[[[ 2., -2.],
              [-2.,  2.]]]]))
    """
    slope = torch.empty_like(probs, memory_format=torch.contiguous_format) if with_slope else None
    total = probs.new_empty(probs.shape[:2])
    scratch: dict[torch.Size, _Scratch] = {}
    for block in _blocks(probs):
        maps = probs[block]
        if maps.shape not in scratch:
            scratch[maps.shape] = _Scratch.of(maps, neighbours)
        if slope is None:
            total[block] = _cut(maps, scratch[maps.shape])
        else:
            total[block] = _sweep(maps, slope[block], scratch[maps.shape])
    return total, slope


def _blocks(probs: Tensor) -> list[tuple[slice, slice]]:
    """Whole images, or some classes of one image, that fit a thread's cache."""
    batch, classes, *space = probs.shape
    fit = max(1, CACHE_PIXELS * torch.get_num_threads() // max(1, math.prod(space)))
    images, maps = (batch, classes) if probs.device.type != "cpu" else (fit // max(1, classes), fit)
    images, maps = max(1, images), max(1, min(maps, classes))
    starts = product(range(0, batch, images), range(0, classes, maps))
    return [(slice(image, image + images), slice(first, first + maps)) for image, first in starts]


class _Direction(NamedTuple):
    """One direction's pairs, as views of flat arrays: writing into a view writes into its array.

    Flat arrays are fast. In them a neighbour lies a fixed shift ahead, except for pairs that wrap around the
    image's border.
    """

    weight: float
    here: Tensor
    ahead: Tensor
    sign: Tensor
    near: Tensor
    far: Tensor
    wrapped: list[Tensor]

    def differences(self) -> Tensor:
        """Write s_i − s_j of all pairs into the sign's place, 0 for those that wrap around."""
        torch.sub(self.here, self.ahead, out=self.sign)
        for pairs in self.wrapped:
            pairs.zero_()
        return self.sign


class _Scratch(NamedTuple):
    """Arrays that stay in the cache from block to block, ``(B, K, *S)``, with their views cut once."""

    maps: Tensor
    slope: Tensor
    sign: Tensor
    directions: list[_Direction]

    @classmethod
    def of(cls, like: Tensor, neighbours: Neighbours) -> _Scratch:
        maps, slope, sign = (like.new_empty(like.shape) for _ in range(3))
        flat, flat_slope, flat_sign = maps.view(-1), slope.view(-1), sign.view(-1)
        directions = []
        for offset, weight in neighbours:
            steps = [axis - len(offset) for axis in range(len(offset)) if offset[axis]]
            if any(maps.shape[axis] == 1 for axis in steps):
                continue
            shift = sum(offset[axis] * maps.stride(axis) for axis in steps)
            ends = (flat[:-shift], flat[shift:], flat_sign[:-shift], flat_slope[:-shift], flat_slope[shift:])
            wrapped = [sign.select(axis, -1 if offset[axis] > 0 else 0) for axis in steps]
            directions.append(_Direction(weight, *ends, wrapped))
        return cls(maps, slope, sign, directions)


def _sweep(maps: Tensor, slope: Tensor, scratch: _Scratch) -> Tensor:
    """Fill in the slope of some maps ``(B, K, *S)`` and return their lengths ``(B, K)``."""
    scratch.maps.copy_(maps)
    scratch.slope.zero_()
    for direction in scratch.directions:
        sign = direction.differences().sign_()
        direction.near.add_(sign, alpha=direction.weight)
        direction.far.sub_(sign, alpha=direction.weight)
    slope.copy_(scratch.slope)
    return torch.mul(scratch.maps, scratch.slope, out=scratch.sign).flatten(2).sum(-1)


def _cut(maps: Tensor, scratch: _Scratch) -> Tensor:
    """The lengths ``(B, K)`` of some maps alone."""
    scratch.maps.copy_(maps)
    total = maps.new_zeros(maps.shape[:2])
    for direction in scratch.directions:
        direction.differences().abs_()
        total.add_(scratch.sign.flatten(2).sum(-1), alpha=direction.weight)
    return total


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is kept must serve training too
def _laplacian(shape: tuple[int, ...], neighbours: Neighbours) -> Tensor:
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
