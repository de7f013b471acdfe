"""What the kernel is told beside the input: sizes, coordinates, powers, weights of neighbours."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from shapewise.descriptors.axes import axes
from shapewise.descriptors.higher import exponents
from shapewise.descriptors.kernel import kernel
from shapewise.descriptors.neighbours import Neighbours, Weights, weighted_neighbours
from shapewise.typing import Spacing

DEGREES = {"covariance": 2, "third_moments": 3, "fourth_moments": 4}
PROBABILITIES, LOGITS, LABELS = range(3)
"""Kinds of input, as in softmax.h."""

TYPES = {torch.float32: "float", torch.float64: "double"}


class Wanted(NamedTuple):
    """What to compute, and of what."""

    kind: int
    first: int
    order: int
    length: str | None
    spacing: Spacing | None

    @classmethod
    def of(
        cls, kind: int, first: int, order: int, length: str | None, spacing: Sequence[float] | None
    ) -> Wanted:
        """The same from what an operation of PyTorch is told, whose spacing is a list."""
        return cls(kind, first, order, length, None if spacing is None else tuple(spacing))

    @property
    def names(self) -> list[str]:
        """What the kernel computes, in its order."""
        higher = [name for name, degree in DEGREES.items() if degree <= self.order]
        return ["volume", "centroid", "spread", *higher, *([self.length] if self.length else [])]

    def counts(self, ndim: int) -> list[int]:
        """How many values each name has; the last is the length's, whether it is computed or not."""
        return [1, ndim, ndim, *(len(exponents(d, ndim)) for d in range(2, self.order + 1)), 1]

    def powers(self, ndim: int) -> list[tuple[int, ...]]:
        """Of the coordinates, in every moment."""
        return [power for degree in range(self.order + 1) for power in exponents(degree, ndim)]

    def neighbours(self, ndim: int) -> Neighbours:
        """Half of a pixel's neighbours with their weights in the length; none without a length."""
        weights: Weights = "potts" if self.length == "potts_length" else "crofton"
        return weighted_neighbours(ndim, None, weights, self.spacing) if self.length else ()

    def shapes(self, batch: int, classes: int, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of raw moments and lengths, ``(B, K, M + 1)``, and of values, ``(B, K, N)``."""
        objects = classes - self.first
        return (batch, objects, len(self.powers(ndim)) + 1), (batch, objects, sum(self.counts(ndim)))


class Size(ctypes.Structure):
    """As in ring.h."""

    _fields_ = [
        (name, ctypes.c_long) for name in ("batch", "classes", "first", "planes", "rows", "columns", "kind")
    ]


class _Moments(ctypes.Structure):
    """As in moments.h."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("order", "ndim", "count")),
        ("powers", ctypes.c_void_p),
        ("coordinates", ctypes.c_void_p * 3),
        ("scale", ctypes.c_void_p),
        ("shift", ctypes.c_void_p),
    ]


class Plan:
    """What the kernel is told beside the input, for one shape."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, wanted: Wanted) -> None:
        batch, classes, *space = shape
        ndim = len(space)
        powers = wanted.powers(ndim)
        self.sums, self.values = wanted.shapes(batch, classes, ndim)
        self.tensors = tensors(space, wanted)
        first, *coordinates, scale, shift = (tensor.data_ptr() for tensor in self.tensors)
        self.size = Size(batch, classes, wanted.first, *in_3d(space, 1), wanted.kind)
        self.moments = _Moments(
            wanted.order, ndim, len(powers), first, (ctypes.c_void_p * 3)(*coordinates), scale, shift
        )
        self.neighbours = _weights(ndim, wanted) if wanted.length else None
        name, library = TYPES[dtype], kernel()
        self._forward, self._backward = (getattr(library, f"{way}_{name}") for way in ("forward", "backward"))

    def forward(self, input: Tensor) -> tuple[Tensor, Tensor]:
        """Return raw moments and lengths, ``(B, K, M + 1)``, and values, ``(B, K, N)``; 0 for no length."""
        sums, values = input.new_empty(self.sums, dtype=torch.float64), input.new_empty(self.values)
        self._forward(address(input), *self._told, address(sums), address(values), threads())
        return sums, values

    def backward(self, input: Tensor, sums: Tensor, grads: Tensor) -> Tensor:
        """Return the gradient in the input, from that in the values."""
        gradient = torch.empty_like(input)
        told = *self._told, address(sums), address(grads), address(gradient)
        self._backward(address(input), *told, threads())
        return gradient

    @property
    def _told(self) -> tuple[Any, ...]:
        return ctypes.byref(self.size), ctypes.byref(self.moments), self.neighbours


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def plan(shape: tuple[int, ...], dtype: torch.dtype, wanted: Wanted) -> Plan:
    """Make a plan once, for an input of this shape and type: ``(B, classes, *S)``."""
    return Plan(shape, dtype, wanted)


def tensors(space: Sequence[int], wanted: Wanted) -> list[Tensor]:
    """Powers, coordinates along three axes, and how every value gets from [-1, 1] to the axes' own unit."""
    grid = axes(torch.empty((1, 1, *space), dtype=torch.float64), wanted.spacing)
    ndim, half = len(grid), [axis.half for axis in grid]
    powers = wanted.powers(ndim)
    higher = [math.prod(map(pow, half, power)) for power in powers[1 + ndim :]]
    scale = [math.prod(axis.step for axis in grid), *half, *half, *higher, 1.0]
    shift = [0.0, *(axis.centre for axis in grid), *[0.0] * (len(scale) - 1 - ndim)]
    coordinates = in_3d([axis.scaled for axis in grid], torch.zeros(1, dtype=torch.float64))
    threefold = torch.tensor([in_3d(power, 0) for power in powers])
    return [threefold, *coordinates, *(torch.tensor(each, dtype=torch.float64) for each in (scale, shift))]


def _weights(ndim: int, wanted: Wanted) -> Any:
    """Weights by (plane, row, column) steps of -1, 0, 1: of each neighbour and of the one opposite."""
    found = (ctypes.c_double * 27)()
    for offset, weight in wanted.neighbours(ndim):
        for sign in (1, -1):
            plane, row, column = (1 + sign * step for step in in_3d(offset, 0))
            found[9 * plane + 3 * row + column] = weight
    return found


def in_3d(numbers: Sequence[Any], row: Any) -> tuple[Any, ...]:
    """A 2-D image is a stack of planes of one row."""
    return tuple(numbers) if len(numbers) == 3 else (numbers[0], row, numbers[1])


def address(tensor: Tensor) -> ctypes.c_void_p:
    """Where a contiguous tensor's numbers lie."""
    return ctypes.c_void_p(tensor.data_ptr())


def threads() -> ctypes.c_long:
    """As many as PyTorch uses."""
    return ctypes.c_long(torch.get_num_threads())
