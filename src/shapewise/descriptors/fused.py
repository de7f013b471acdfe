"""Volume, centroid, spread and length in one step of autograd.

The plain functions say what these are; this says the same, faster. Volume, centroid and spread need only the
sums over all axes but one, so their gradient is a sum of one line along each axis; the length brings its
slope. The gradient in the probabilities is written in one go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from shapewise.descriptors.axes import axes
from shapewise.descriptors.boundary import length, length_and_slope
from shapewise.descriptors.geometry import centroid, spread, volume
from shapewise.descriptors.marginals import sums_along
from shapewise.descriptors.neighbours import Neighbours, weighted_neighbours
from shapewise.descriptors.safe import NO_MASS, NO_SQUARE
from shapewise.typing import Probs, Spacing, Values


def describe_fused(
    probs: Probs, names: Sequence[str], *, spacing: Spacing | None = None, first: int = 0
) -> dict[str, Values]:
    """Those of the descriptors, of the classes from the first one on, that are faster together.

    >>> describe_fused(torch.ones(1, 1, 3, 5), ["centroid", "elongation"])
    {'centroid': tensor([[[1., 2.]]])}
    """
    if not {"centroid", "spread", "length"}.intersection(names):
        return {}
    with_length = "length" in names
    neighbours = weighted_neighbours(probs.ndim - 2, None, "crofton", spacing) if with_length else None
    fused: Callable[..., tuple[Tensor, ...]] = _Fused.apply
    values = fused(probs, first, spacing, neighbours)
    found = dict(zip(("volume", "centroid", "spread", "length"), values, strict=False))
    return {name: found[name] for name in names if name in found}


class _Grid(NamedTuple):
    """All axes in one tensor: coordinates in [-1, 1], ``(ndim, n)``, and the way back, ``(ndim,)``."""

    scaled: Tensor
    centre: Tensor
    half: Tensor
    pixel: float


class _Fused(torch.autograd.Function):
    """Keeps what the gradient needs beside the probabilities: the slope of the length, and numbers.

    Volume V, centroid C and spread D have ∂V = 1, ∂C = (x − C) / V and ∂D = ((x − C)² − D²) / (2 D V).
    """

    @staticmethod
    def forward(
        ctx: Any, probs: Tensor, first: int, spacing: Spacing | None, neighbours: Neighbours | None
    ) -> tuple[Tensor, ...]:
        """Return volume, centroid, spread and, with neighbours, length of the classes, ``(B, K, C)`` each."""
        objects = probs[:, first:]
        grid = _grid(tuple(probs.shape[2:]), spacing, probs.dtype, probs.device)
        along = _padded(sums_along(objects))
        mass = along[..., 0, :].sum(-1, keepdim=True)
        safe = mass.masked_fill(mass.abs() <= NO_MASS, 1.0)
        means = (along * grid.scaled).sum(-1) / safe
        away = grid.scaled - means.unsqueeze(-1)
        squares = away.square()
        variances = (along * squares).sum(-1) / safe
        root = F.threshold(variances, NO_SQUARE, 0.0).sqrt()
        values = [mass * grid.pixel, torch.addcmul(grid.centre, grid.half, means), grid.half * root]
        slope = None
        if neighbours:
            wanted = ctx.needs_input_grad[0]
            lengths, slope = length_and_slope(objects, neighbours, with_slope=wanted)
            values.append(lengths.unsqueeze(-1))
        ctx.save_for_backward(probs, slope, away, squares, variances, root, grid.half / safe)
        ctx.first, ctx.spacing, ctx.pixel = first, spacing, grid.pixel
        return tuple(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """Add up the lines and the slope; the classes that were left out have no gradient."""
        probs, slope, *numbers = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient will be differentiated in its turn
            return _plain_gradient(probs, grads, ctx.first, ctx.spacing), None, None, None
        space = probs.shape[2:]
        lines = _lines(numbers, grads, ctx.pixel)
        gradient = torch.empty_like(probs, memory_format=torch.contiguous_format)
        gradient[:, : ctx.first].zero_()
        objects = gradient[:, ctx.first :]
        last = sum(_line(lines, axis, space) for axis in range(1, len(space)))
        torch.add(_line(lines, 0, space), last, out=objects)
        if slope is not None:
            objects.addcmul_(slope, grads[3].view(*slope.shape[:2], *[1] * len(space)))
        return gradient, None, None, None


def _lines(numbers: Sequence[Tensor], grads: Sequence[Tensor], pixel: float) -> Tensor:
    """The gradient of volume, centroid and spread as one line along each axis, ``(B, K, ndim, n)``."""
    away, squares, variances, root, share = numbers
    linear = (grads[1] * share).unsqueeze(-1)
    squared = grads[2] * share / torch.where(root > 0, 2 * root, math.inf)
    lines = torch.addcmul(away * linear, squares, squared.unsqueeze(-1))
    lines[..., 0, :] += grads[0] * pixel - (squared * variances).sum(-1, keepdim=True)
    return lines


def _plain_gradient(probs: Tensor, grads: Sequence[Tensor], first: int, spacing: Spacing | None) -> Tensor:
    """The same gradient by autograd through the plain functions."""
    objects = probs[:, first:]
    values = [function(objects, spacing=spacing) for function in (volume, centroid, spread, length)]
    (gradient,) = torch.autograd.grad(values[: len(grads)], probs, grads, create_graph=True)
    return gradient


def _line(lines: Tensor, axis: int, space: Sequence[int]) -> Tensor:
    """One line, to be broadcast over the image."""
    shape = [size if index == axis else 1 for index, size in enumerate(space)]
    return lines[..., axis, : space[axis]].reshape(*lines.shape[:2], *shape)


def _padded(sums: Sequence[Tensor]) -> Tensor:
    """Sums along each axis in one tensor ``(B, K, ndim, n)``: zeros follow where an axis is shorter."""
    longest = max(each.shape[-1] for each in sums)
    if any(each.shape[-1] < longest for each in sums):
        sums = [F.pad(each, (0, longest - each.shape[-1])) for each in sums]
    return torch.stack(list(sums), -2)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _grid(space: tuple[int, ...], spacing: Spacing | None, dtype: torch.dtype, device: torch.device) -> _Grid:
    """Built once: on a GPU every number that is sent there waits for it."""
    grid = axes(torch.empty((1, 1, *space), dtype=dtype), spacing)
    scaled = _padded([axis.scaled for axis in grid])
    centre, half = torch.tensor([[axis.centre, axis.half] for axis in grid], dtype=dtype).unbind(1)
    pixel = math.prod(axis.step for axis in grid)
    return _Grid(scaled.to(device), centre.to(device), half.to(device), pixel)
