"""The search of `shapewise.projection.newton` by the compiled kernel: one pass over the logits a round."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor
from torch.nn import functional as F

from shapewise.descriptors.compiled import reads
from shapewise.descriptors.kernel import kernel
from shapewise.descriptors.plan import LOGITS, TYPES, Size, address, threads
from shapewise.projection.annotated import AnnotatedMoments

MAX_ORDER = 4
"""As in moments.h."""

MANY = 300
"""Sums that a row's products go into: more of them leave the cache, and the plain search is faster."""


def searches(log_probs: Tensor, moments: AnnotatedMoments) -> bool:
    """Whether the kernel is there and knows these moments of this prediction."""
    highest, objects = max(map(max, moments.exponents)), moments.known.shape[1]
    few = objects * (objects + 1) // 2 * (highest + 1) ** 2 <= MANY
    return highest <= MAX_ORDER and few and reads(log_probs)


def minimise_compiled(
    log_probs: Tensor,
    moments: AnnotatedMoments,
    weight: Tensor,
    *,
    iterations: int,
    accuracy: float,
    near: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the multipliers as `newton.minimise` does.

    Args:
        log_probs: ``(B, 1 + K, *S)``, what `searches` says the kernel has.
        moments: what the K objects are to have.
        weight: of λ²/2, ``(B, K, P)``.
        iterations: rounds, at most.
        accuracy: as there.
        near: as there.

    Returns:
        Multipliers and residuals, ``(B, K, P)``, and which images have converged, ``(B,)``.
    """
    log_probs = log_probs.contiguous()
    batch, classes, *space = log_probs.shape
    shape = batch, classes - 1, len(moments.exponents)
    flat = 3 - len(space)  # a 2-D image is one plane
    powers = F.pad(torch.tensor(moments.exponents), (flat, 0))
    places = (*shape[:2], len(space))
    centre, scale = (
        F.pad(_double(each, places), (flat, 0), value=1.0) for each in (moments.centre, moments.scale)
    )
    numbers = [_double(each, shape) for each in (moments.lower, moments.upper, weight)]
    numbers.append(_double(moments.size, shape[:2]))
    guess = None if near is None else _double(near, shape)
    multipliers, residual = (torch.empty_like(numbers[0]) for _ in range(2))
    known = moments.known.to("cpu", torch.bool).expand(shape).contiguous()
    converged = torch.empty(batch, dtype=torch.bool)
    told = (
        Size(batch, classes, 1, *[1] * flat, *space, LOGITS),
        _Features(max(map(max, moments.exponents)), len(powers), *map(address, (powers, centre, scale))),
        _Dual(
            *map(address, numbers),
            None if guess is None else address(guess),
            address(known),
            accuracy,
            iterations,
        ),
        _Solution(*map(address, (multipliers, residual, converged))),
    )
    call = getattr(kernel(), f"minimise_{TYPES[log_probs.dtype]}")
    call(address(log_probs), *map(ctypes.byref, told), threads())
    return multipliers.to(log_probs.dtype), residual.to(log_probs.dtype), converged


def _double(each: Tensor, shape: tuple[int, ...]) -> Tensor:
    """What the kernel reads; an error where it is of another shape."""
    return each.to("cpu", torch.float64).expand(shape).contiguous()


class _Features(ctypes.Structure):
    """As in tilted.h."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("order", "count")),
        *((name, ctypes.c_void_p) for name in ("powers", "centre", "scale")),
    ]


class _Dual(ctypes.Structure):
    """As in newton.h."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("lower", "upper", "weight", "size", "near", "known")),
        ("accuracy", ctypes.c_double),
        ("iterations", ctypes.c_long),
    ]


class _Solution(ctypes.Structure):
    """As in newton.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("multipliers", "residual", "converged")]
