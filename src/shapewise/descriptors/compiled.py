"""Descriptors and their gradient by a kernel: one pass over the input forward, one back; see also on_gpu.py.

Where the input is logits the probabilities are never stored: the backward pass computes them anew and writes
the logits' gradient. What the kernel computes is what softmax and the plain functions define.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from shapewise.descriptors.boundary import can_fuse
from shapewise.descriptors.kernel import kernel
from shapewise.descriptors.on_gpu import describe_rows, usable
from shapewise.descriptors.plan import DEGREES, LABELS, LOGITS, PROBABILITIES, TYPES, Wanted, plan
from shapewise.descriptors.registry import get
from shapewise.typing import Logits, Probs, Spacing, Values

LENGTHS = {"length", "potts_length"}
COVERED = {"volume", "centroid", "spread", *DEGREES, *LENGTHS}


def covers(input: Tensor, names: Sequence[str]) -> bool:
    """Whether there is a kernel for this input's device that computes all of these descriptors.

    >>> covers(torch.zeros(1, 2, 3, 3), ["volume", "orientation"])
    False
    """
    known = bool(names) and COVERED.issuperset(names) and not LENGTHS.issubset(names)
    return known and _with_memory() and (_suits(input) or usable(input))


def reads(input: Tensor) -> bool:
    """Whether the kernel is there and can read a tensor: float32 or float64, not empty, on the CPU.

    >>> reads(torch.zeros(1, 2, 3, 3, dtype=torch.float16))
    False
    """
    return can_fuse() and _with_memory() and _suits(input)


def _with_memory() -> bool:
    """Under a transform, a tracer, or a mode whose tensors have no memory, there is nothing to be read."""
    if torch._C._are_functorch_transforms_active():
        return False
    if torch.compiler.is_compiling():  # the graph takes the kernel as one operation
        return True
    return torch._C._get_tracing_state() is None and type(torch.empty(0)) is Tensor


def _suits(input: Tensor) -> bool:
    fits = input.device.type == "cpu" and input.dtype in TYPES and input.numel() > 0
    return fits and kernel() is not None


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
        input: ``(B, K, *S)``, float32 or float64.
        names: registered names.
        softmax: the input is logits.
        spacing: distance between pixel centres along each axis; pixels without it.
        first: the class to begin with: 1 leaves the background out.

    Returns:
        name -> values ``(B, K - first, C)``; absent classes as each descriptor has them.
    """
    wanted = _wanted(names, LOGITS if softmax else PROBABILITIES, first, spacing)
    describe: Callable[..., Tensor] = describe_rows if usable(input) else _Compiled.apply
    # Not views to autograd: what is given back may be changed in place.
    counts = wanted.counts(input.ndim - 2)
    parts = torch.unsafe_split_with_sizes(describe(input.contiguous(), wanted), counts, -1)
    found = dict(zip(wanted.names, parts, strict=False))
    return {name: found[name] for name in names}


def describe_labels(
    labels: Tensor, classes: int, names: Sequence[str], *, spacing: Spacing | None = None, first: int = 0
) -> dict[str, Values]:
    """Compute descriptors that the CPU's kernel has, of label masks: no one-hot mask is made.

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
    _, values = _forward(labels.contiguous(), classes, wanted)
    found = dict(zip(wanted.names, values.split(wanted.counts(labels.ndim - 2), -1), strict=False))
    return {name: found[name] for name in names}


def _wanted(names: Sequence[str], kind: int, first: int, spacing: Spacing | None) -> Wanted:
    length = next((name for name in names if name in LENGTHS), None)
    order = max([2, *(DEGREES[name] for name in names if name in DEGREES)])
    return Wanted(kind, first, order, length, spacing)


class _Compiled(torch.autograd.Function):
    """Keeps the input and a few numbers a class."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, wanted: Wanted) -> Tensor:
        """Return the values of all names side by side, ``(B, K, C)``; the last is 0 without a length."""
        sums, values = _forward(input, input.shape[1], wanted)
        ctx.save_for_backward(input, sums)
        ctx.wanted = wanted
        return values

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Evaluate polynomials and signs of differences, and apply the softmax's Jacobian on the spot."""
        input, sums = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient will be differentiated in its turn
            return _plain_gradient(input, grads[0], ctx.wanted), None
        return _backward(input, sums, grads[0], ctx.wanted), None


def _plain_gradient(input: Tensor, grad: Tensor, wanted: Wanted) -> Tensor:
    """The same gradient by autograd through the plain functions."""
    probs = input.softmax(1) if wanted.kind == LOGITS else input
    values = [get(name).function(probs[:, wanted.first :], spacing=wanted.spacing) for name in wanted.names]
    grads = grad.split(wanted.counts(input.ndim - 2), -1)
    (gradient,) = torch.autograd.grad(values, input, grads[: len(values)], create_graph=True)
    return gradient


def _forward(input: Tensor, classes: int, wanted: Wanted) -> tuple[Tensor, Tensor]:
    if torch.compiler.is_compiling():
        sums, values = _forward_operation(input, classes, *wanted)
        return sums, values
    return plan((len(input), classes, *input.shape[2:]), input.dtype, wanted).forward(input)


def _backward(input: Tensor, sums: Tensor, grad: Tensor, wanted: Wanted) -> Tensor:
    if torch.compiler.is_compiling():
        gradient: Tensor = _backward_operation(input, sums, grad, *wanted)
        return gradient
    return plan(tuple(input.shape), input.dtype, wanted).backward(input, sums, grad.contiguous())


# What torch.compile puts into its graphs and does not look inside. Elsewhere the plans themselves are faster.


@torch.library.custom_op("shapewise::forward", mutates_args=())
def _forward_operation(
    input: Tensor,
    classes: int,
    kind: int,
    first: int,
    order: int,
    length: str | None,
    spacing: Sequence[float] | None,
) -> tuple[Tensor, Tensor]:
    wanted = Wanted.of(kind, first, order, length, spacing)
    return plan((len(input), classes, *input.shape[2:]), input.dtype, wanted).forward(input)


@_forward_operation.register_fake
def _(input: Tensor, classes: int, *wanted: Any) -> tuple[Tensor, Tensor]:
    sums, values = Wanted(*wanted).shapes(input.shape[0], classes, input.ndim - 2)
    return input.new_empty(sums, dtype=torch.float64), input.new_empty(values)


@torch.library.custom_op("shapewise::backward", mutates_args=())
def _backward_operation(
    input: Tensor,
    sums: Tensor,
    grad: Tensor,
    kind: int,
    first: int,
    order: int,
    length: str | None,
    spacing: Sequence[float] | None,
) -> Tensor:
    wanted = Wanted.of(kind, first, order, length, spacing)
    return plan(tuple(input.shape), input.dtype, wanted).backward(input, sums, grad.contiguous())


@_backward_operation.register_fake
def _(input: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(input)
