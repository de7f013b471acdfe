"""What the compiled kernel computes, on a GPU: the image-sized work in Triton, the rest in a few numbers.

Triton sums the rows and pulls at the logits, one pass each. From the rows' sums on, plain PyTorch computes
moments and values in double precision, and differentiates them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from shapewise.descriptors.axes import axes
from shapewise.descriptors.boundary import cut_pairs
from shapewise.descriptors.constant import constant
from shapewise.descriptors.kernel import switched_off
from shapewise.descriptors.moments import contract, powers_of
from shapewise.descriptors.plan import LOGITS, PROBABILITIES, TYPES, Wanted, in_3d, tensors
from shapewise.descriptors.safe import divide, square_root

_log = logging.getLogger(__name__)


def usable(input: Tensor) -> bool:
    """Whether the input lies on a GPU where the kernels have shown that they are right.

    >>> usable(torch.zeros(1, 2, 3, 3))
    False
    """
    fits = input.is_cuda and input.dtype in TYPES and input.numel() > 0
    return fits and not switched_off() and _right(input.device, input.dtype)


def describe_rows(input: Tensor, wanted: Wanted) -> Tensor:
    """Compute the values of all wanted names side by side.

    Args:
        input: contiguous logits or probabilities ``(B, K, *S)``, float32 or float64.
        wanted: what to compute.

    Returns:
        ``(B, K - first, N)`` of the input's type; the last is 0 without a length.
    """
    grid = _grid(input, wanted)
    rows: Callable[..., tuple[Tensor, Tensor]] = _Rows.apply
    sums, lengths = rows(input, wanted)
    raw = contract(sums, grid.powers)
    mass = raw[..., 0, 0, 0].unsqueeze(-1)
    centre = divide(torch.stack([raw[..., 1, 0, 0], raw[..., 0, 1, 0], raw[..., 0, 0, 1]], -1), mass)
    shifts = [_shift(-along, grid) for along in centre.unbind(-1)]
    central = divide(contract(raw, shifts).flatten(2), mass)
    spread = square_root(central[..., grid.squares])
    values = [mass, centre[..., grid.axes], spread, central[..., grid.higher], lengths.unsqueeze(-1)]
    return torch.addcmul(grid.shift, grid.scale, torch.cat(values, -1)).to(input.dtype)


class _Grid(NamedTuple):
    """What follows from an image's size and the wanted names, sent to its device once: a GPU waits for it.

    Attributes:
        powers: of the planes' and the rows' coordinates; the columns' are summed already.
        binomials: (q, p) holds p over q.
        falling: (q, p) holds p - q, or 0.
        axes: those of the image among three.
        squares: where the moments of degree 2 along one axis lie among all powers of three coordinates.
        higher: where those of degree 2 and more lie, in the order of the values.
        scale: from [-1, 1] to the axes' own unit, for every value.
        shift: the same, to be added.
        falling_half: half, below, to the powers 0, -1, ...
        steps: to the neighbours, ``(n, 3)``.
        weights: of the neighbours, ``(n,)``.
        middle: the column in the middle, 0 on the last axis.
        half: columns from there to the last, which is 1 on the axis.
    """

    powers: list[Tensor]
    binomials: Tensor
    falling: Tensor
    axes: Tensor
    squares: Tensor
    higher: Tensor
    scale: Tensor
    shift: Tensor
    falling_half: Tensor
    steps: Tensor
    weights: Tensor
    middle: float
    half: float


def _grid(input: Tensor, wanted: Wanted) -> _Grid:
    # Lengths of ranges are numbers, where a compiler would go on with a symbol for any size.
    space = tuple(len(range(size)) for size in input.shape[2:])
    return _known(space, input.device, *wanted)


@constant  # A compiler looks through a cache, and takes no named tuple for a constant.
def _known(space: tuple[int, ...], device: torch.device, *wanted: Any) -> _Grid:
    return _made(space, Wanted(*wanted), device)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _made(space: tuple[int, ...], wanted: Wanted, device: torch.device) -> _Grid:
    ndim, orders = len(space), torch.arange(wanted.order + 1)
    exponents, *coordinates, scale, shift = tensors(space, wanted)
    flat = (exponents * torch.tensor([len(orders) ** 2, len(orders), 1])).sum(-1)
    last = axes(torch.empty(1, 1, *space), None)[-1]
    along = [powers_of(each, wanted.order) for each in coordinates[:2]]
    binomials = [[math.comb(p, q) for p in orders] for q in orders]
    neighbours = wanted.neighbours(ndim)
    steps = [in_3d(offset, 0) for offset, _ in neighbours]
    weights = [weight for _, weight in neighbours]
    return _Grid(
        powers=[each.to(device) for each in (*along, torch.eye(len(orders), dtype=torch.float64))],
        binomials=torch.tensor(binomials, dtype=torch.float64, device=device),
        falling=(orders - orders.unsqueeze(-1)).clamp(min=0).to(device),
        axes=torch.tensor([0, 2] if ndim == 2 else [0, 1, 2], device=device),
        squares=2 * flat[1 : 1 + ndim].to(device),
        higher=flat[1 + ndim :].to(device),
        scale=scale.to(device),
        shift=shift.to(device),
        falling_half=(last.half ** -orders.double()).to(device),
        steps=torch.tensor(steps, dtype=torch.int32, device=device),
        weights=torch.tensor(weights, dtype=torch.float64, device=device),
        middle=last.centre,
        half=last.half,
    )


def _shift(by: Tensor, grid: _Grid) -> Tensor:
    """The matrices that take the powers of x to those of x + by: ``(...)`` to ``(..., q, p)``."""
    return grid.binomials * powers_of(by, len(grid.binomials) - 1)[..., grid.falling]


class _Rows(torch.autograd.Function):
    """Keeps the input and each class's own column."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, wanted: Wanted) -> tuple[Tensor, Tensor]:
        """Return sums of s u^n over each row, ``(B, K, planes, rows, order + 1)``, and lengths ``(B, K)``."""
        sums, lengths = _sum_rows(input, *wanted)
        mass, first = sums[..., :2].sum((2, 3)).unbind(-1)
        ctx.save_for_backward(input, divide(first, mass))
        ctx.wanted = wanted
        return sums, lengths

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Evaluate polynomials about each class's own column, and signs of differences."""
        input, centre = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient will be differentiated in its turn
            return _plain_gradient(input, grads, ctx.wanted), None
        grid = _grid(input, ctx.wanted)
        # Rounded before the polynomial is brought there: it is the very number that the kernel subtracts.
        column = (centre * grid.half + grid.middle).to(input.dtype)
        about = _shift((column.double() - grid.middle) / grid.half, grid)
        coefficients = grads[0].flatten(2, 3) @ about.mT * grid.falling_half
        told = coefficients.to(input.dtype), column, grads[1].to(input.dtype).contiguous()
        return _pull_rows(input, *told, *ctx.wanted), None


def _plain_rows(input: Tensor, wanted: Wanted) -> tuple[Tensor, Tensor]:
    """What the kernels compute, in plain PyTorch."""
    objects = (input.softmax(1) if wanted.kind == LOGITS else input)[:, wanted.first :]
    ndim, precise = input.ndim - 2, objects.double()
    sums = precise @ powers_of(axes(precise, None)[-1].scaled, wanted.order)
    lengths = cut_pairs(objects, wanted.neighbours(ndim)) if wanted.length else objects.new_zeros(1)
    return sums.unsqueeze(3) if ndim == 2 else sums, lengths.double().expand(sums.shape[:2])


def _plain_gradient(input: Tensor, grads: tuple[Tensor, ...], wanted: Wanted) -> Tensor:
    """The same gradient, to be differentiated."""
    some = 2 if wanted.length else 1  # lengths that are not wanted have no gradient
    rows = _plain_rows(input, wanted)[:some]
    (gradient,) = torch.autograd.grad(rows, input, grads[:some], create_graph=True)
    return gradient


# Operations that torch.compile puts into its graphs and does not look inside.


@torch.library.custom_op("shapewise::sum_rows", mutates_args=())
def _sum_rows(
    input: Tensor, kind: int, first: int, order: int, length: str | None, spacing: Sequence[float] | None
) -> tuple[Tensor, Tensor]:
    from shapewise.descriptors import gpu_kernels  # where Triton is

    wanted = Wanted.of(kind, first, order, length, spacing)
    grid = _grid(input, wanted)
    sums, lengths = gpu_kernels.sum_rows(_in_3d(input), grid.steps, grid.weights, wanted)
    return sums, lengths.sum((2, 3))


@_sum_rows.register_fake
def _(
    input: Tensor, kind: int, first: int, order: int, length: str | None, spacing: Sequence[float] | None
) -> tuple[Tensor, Tensor]:
    batch, classes, planes, rows, _ = _in_3d(input).shape
    kept = batch, classes - first
    sums = input.new_empty((*kept, planes, rows, order + 1), dtype=torch.float64)
    return sums, input.new_empty(kept, dtype=torch.float64)


@torch.library.custom_op("shapewise::pull_rows", mutates_args=())
def _pull_rows(
    input: Tensor,
    coefficients: Tensor,
    column: Tensor,
    of_lengths: Tensor,
    kind: int,
    first: int,
    order: int,
    length: str | None,
    spacing: Sequence[float] | None,
) -> Tensor:
    from shapewise.descriptors import gpu_kernels

    wanted = Wanted.of(kind, first, order, length, spacing)
    grid = _grid(input, wanted)
    given = grid.steps, grid.weights, coefficients, column, of_lengths
    return gpu_kernels.pull_rows(_in_3d(input), *given, wanted).view_as(input)


@_pull_rows.register_fake
def _(input: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(input)


def _in_3d(input: Tensor) -> Tensor:
    """A 2-D image is a stack of planes of one row, as in plan.py."""
    return input.unsqueeze(3) if input.ndim == 4 else input


@constant
def _right(device: torch.device, dtype: torch.dtype) -> bool:
    return found_right(device, dtype)


@cache
def found_right(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernels compute on this device what plain PyTorch does: tried once, on small images."""
    try:
        for kind in (LOGITS, PROBABILITIES):
            require_right((1, 3, 2, 2, 5), Wanted(kind, 1, 4, "length", None), device, dtype)
            require_right((1, 3, 1, 600), Wanted(kind, 1, 2, None, None), device, dtype)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # no Triton, or whatever a driver, a compiler or a newer version may say
        _log.warning("descriptors in plain PyTorch on %s: %s", device, str(error).partition("\n")[0])
        return False
    return True


@torch.inference_mode(False)
@torch.enable_grad()
def require_right(shape: tuple[int, ...], wanted: Wanted, device: torch.device, dtype: torch.dtype) -> None:
    """Compare the kernels with plain PyTorch, sums and gradients.

    Raises:
        RuntimeError: they differ, and whatever Triton raises.
    """
    random = torch.Generator().manual_seed(0)
    given = torch.rand(*shape, generator=random, dtype=dtype, device="cpu").to(device).requires_grad_()
    found = []
    for rows in (_Rows.apply, _plain_rows):
        values = rows(given, wanted)[: 2 if wanted.length else 1]
        total = torch.stack([value.square().sum() for value in values]).sum()
        found.append([*values, *torch.autograd.grad(total, given)])
    for own, plain in zip(*found, strict=True):
        if not torch.allclose(own, plain, rtol=1e-4, atol=1e-4 * plain.abs().max().item()):
            raise RuntimeError("the kernels in Triton do not agree with plain PyTorch")
