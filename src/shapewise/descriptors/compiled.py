"""Descriptors and their gradient by the compiled kernel: one pass over the input forward, one back.

Where the input is logits the probabilities are never stored: the backward pass computes them anew and writes
the logits' gradient. What the kernel computes is what softmax and the plain functions define.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from shapewise.descriptors.axes import Axis, axes
from shapewise.descriptors.boundary import can_fuse
from shapewise.descriptors.higher import exponents
from shapewise.descriptors.kernel import kernel
from shapewise.descriptors.neighbours import Weights, weighted_neighbours
from shapewise.descriptors.registry import get
from shapewise.typing import Logits, Probs, Spacing, Values

DEGREES = {"covariance": 2, "third_moments": 3, "fourth_moments": 4}
LENGTHS = {"length", "potts_length"}
PROBABILITIES, LOGITS, LABELS = range(3)
"""Kinds of input, as in softmax.h."""

COVERED = {"volume", "centroid", "spread", *DEGREES, *LENGTHS}
TYPES = {torch.float32: "float", torch.float64: "double"}


def covers(input: Tensor, names: Sequence[str]) -> bool:
    """Whether the kernel is there and computes all of these descriptors from this input.

    >>> covers(torch.zeros(1, 2, 3, 3), ["volume", "orientation"])
    False
    """
    known = COVERED.issuperset(names) and not LENGTHS.issubset(names)
    return bool(names) and known and reads(input)


def reads(input: Tensor) -> bool:
    """Whether the kernel is there and can read a tensor: float32 or float64, not empty, on the CPU.

    >>> reads(torch.zeros(1, 2, 3, 3, dtype=torch.float16))
    False
    """
    # Under a tracer, or a mode whose tensors have no memory, there is nothing that the kernel could read.
    if not can_fuse() or torch._C._get_tracing_state() is not None or type(torch.empty(0)) is not Tensor:
        return False
    usable = input.device.type == "cpu" and input.dtype in TYPES and input.numel() > 0
    return usable and kernel() is not None


def describe_compiled(
    input: Logits | Probs,
    names: Sequence[str],
    *,
    softmax: bool = False,
    spacing: Spacing | None = None,
    first: int = 0,
) -> dict[str, Values]:
    """Compute descriptors that `covers` says the kernel has.

    Args:
        input: ``(B, K, *S)``, float32 or float64 on the CPU.
        names: registered names.
        softmax: the input is logits.
        spacing: distance between pixel centres along each axis; pixels without it.
        first: the class to begin with: 1 leaves the background out.

    Returns:
        name -> values ``(B, K - first, C)``; absent classes as each descriptor has them.
    """
    wanted = _wanted(names, LOGITS if softmax else PROBABILITIES, first, spacing)
    compiled: Callable[..., Tensor] = _Compiled.apply
    plan = _plan(tuple(input.shape), input.dtype, wanted)
    # Not views to autograd: what is given back may be changed in place.
    parts = torch.unsafe_split_with_sizes(compiled(input.contiguous(), wanted), plan.counts, -1)
    found = dict(zip(wanted.names, parts, strict=False))
    return {name: found[name] for name in names}


def describe_labels(
    labels: Tensor, classes: int, names: Sequence[str], *, spacing: Spacing | None = None, first: int = 0
) -> dict[str, Values]:
    """Compute descriptors that `covers` says the kernel has, of label masks: no one-hot mask is made.

    Args:
        labels: ``(B, 1, *S)``, of the floating type that the values shall have, on the CPU.
        classes: how many there are.
        names: registered names.
        spacing: distance between pixel centres along each axis; pixels without it.
        first: the class to begin with.

    Returns:
        name -> values ``(B, classes - first, C)``.
    """
    wanted = _wanted(names, LABELS, first, spacing)
    plan = _plan((len(labels), classes, *labels.shape[2:]), labels.dtype, wanted)
    _, values = plan.forward(labels.contiguous())
    found = dict(zip(wanted.names, values.split(plan.counts, -1), strict=False))
    return {name: found[name] for name in names}


class _Wanted(NamedTuple):
    kind: int
    first: int
    order: int
    length: str | None
    spacing: Spacing | None

    @property
    def names(self) -> list[str]:
        """What the kernel computes, in its order."""
        higher = [name for name, degree in DEGREES.items() if degree <= self.order]
        return ["volume", "centroid", "spread", *higher, *([self.length] if self.length else [])]


def _wanted(names: Sequence[str], kind: int, first: int, spacing: Spacing | None) -> _Wanted:
    length = next((name for name in names if name in LENGTHS), None)
    order = max([2, *(DEGREES[name] for name in names if name in DEGREES)])
    return _Wanted(kind, first, order, length, spacing)


class _Compiled(torch.autograd.Function):
    """Keeps the input and a few numbers a class."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, wanted: _Wanted) -> Tensor:
        """Return the values of all names side by side, ``(B, K, C)``; the last is 0 without a length."""
        plan = _plan(tuple(input.shape), input.dtype, wanted)
        sums, values = plan.forward(input)
        ctx.save_for_backward(input, sums)
        ctx.plan, ctx.wanted = plan, wanted
        return values

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Evaluate polynomials and signs of differences, and apply the softmax's Jacobian on the spot."""
        input, sums = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient will be differentiated in its turn
            return _plain_gradient(input, grads[0].split(ctx.plan.counts, -1), ctx.wanted), None
        return ctx.plan.backward(input, sums, grads[0].contiguous()), None


def _plain_gradient(input: Tensor, grads: Sequence[Tensor], wanted: _Wanted) -> Tensor:
    """The same gradient by autograd through the plain functions."""
    probs = input.softmax(1) if wanted.kind == LOGITS else input
    values = [get(name).function(probs[:, wanted.first :], spacing=wanted.spacing) for name in wanted.names]
    (gradient,) = torch.autograd.grad(values, input, grads[: len(values)], create_graph=True)
    return gradient


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


class _Plan:
    """What the kernel is told beside the input, for one shape."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, wanted: _Wanted) -> None:
        batch, classes, *space = shape
        ndim, objects = len(space), classes - wanted.first
        powers = [power for degree in range(wanted.order + 1) for power in exponents(degree, ndim)]
        self.counts = [1, ndim, ndim, *(len(exponents(d, ndim)) for d in range(2, wanted.order + 1)), 1]
        self.sums, self.values = (batch, objects, len(powers) + 1), (batch, objects, sum(self.counts))
        self.tensors = _tensors(
            axes(torch.empty((1, 1, *space), dtype=torch.float64), wanted.spacing), powers
        )
        first, *coordinates, scale, shift = (tensor.data_ptr() for tensor in self.tensors)
        self.size = Size(batch, classes, wanted.first, *_in_3d(space, 1), wanted.kind)
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
def _plan(shape: tuple[int, ...], dtype: torch.dtype, wanted: _Wanted) -> _Plan:
    return _Plan(shape, dtype, wanted)


def _tensors(grid: Sequence[Axis], powers: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Powers, coordinates along three axes, and how every value gets from [-1, 1] to the axes' own unit."""
    ndim, half = len(grid), [axis.half for axis in grid]
    higher = [math.prod(map(pow, half, power)) for power in powers[1 + ndim :]]
    scale = [math.prod(axis.step for axis in grid), *half, *half, *higher, 1.0]
    shift = [0.0, *(axis.centre for axis in grid), *[0.0] * (len(scale) - 1 - ndim)]
    coordinates = _in_3d([axis.scaled for axis in grid], torch.zeros(1, dtype=torch.float64))
    threefold = torch.tensor([_in_3d(power, 0) for power in powers])
    return [threefold, *coordinates, *(torch.tensor(each, dtype=torch.float64) for each in (scale, shift))]


def _weights(ndim: int, wanted: _Wanted) -> Any:
    """Weights by (plane, row, column) steps of -1, 0, 1: of each neighbour and of the one opposite."""
    found = (ctypes.c_double * 27)()
    weights: Weights = "potts" if wanted.length == "potts_length" else "crofton"
    for offset, weight in weighted_neighbours(ndim, None, weights, wanted.spacing):
        for sign in (1, -1):
            plane, row, column = (1 + sign * step for step in _in_3d(offset, 0))
            found[9 * plane + 3 * row + column] = weight
    return found


def _in_3d(numbers: Sequence[Any], row: Any) -> tuple[Any, ...]:
    """A 2-D image is a stack of planes of one row."""
    return tuple(numbers) if len(numbers) == 3 else (numbers[0], row, numbers[1])


def address(tensor: Tensor) -> ctypes.c_void_p:
    """Where a contiguous tensor's numbers lie."""
    return ctypes.c_void_p(tensor.data_ptr())


def threads() -> ctypes.c_long:
    """As many as PyTorch uses."""
    return ctypes.c_long(torch.get_num_threads())
