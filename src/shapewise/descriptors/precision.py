"""Every descriptor computes in at least float32, whatever the network's precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from shapewise.errors import ArgumentError

Function = TypeVar("Function", bound=Callable[..., Any])


def at_least_float32(function: Function) -> Function:
    """Make a function of probabilities cast them to float32 or wider, with autocast off inside.

    Sums over an image overflow float16 at 65504 and lose their last digits in bfloat16 after 256 pixels.

    Args:
        function: takes probabilities ``(B, K, *S)`` first.

    Returns:
        The same function; it raises ``ArgumentError`` unless it gets a floating tensor ``(B, K, H, W)``
        or ``(B, K, D, H, W)``.

    >>> @at_least_float32
    ... def total(probs):
    ...     return probs.sum()
    >>> total(torch.ones(1, 2, 300, 300, dtype=torch.float16))
    tensor(180000.)
    """

    @wraps(function)
    def precise(probs: Tensor, *args: Any, **options: Any) -> Any:
        _check(probs)
        probs = probs.to(torch.promote_types(probs.dtype, torch.float32))
        if not torch.is_autocast_enabled(probs.device.type):
            return function(probs, *args, **options)
        with torch.autocast(probs.device.type, enabled=False):
            return function(probs, *args, **options)

    return cast(Function, precise)


def _check(probs: Tensor) -> None:
    if probs.ndim not in (4, 5):
        raise ArgumentError(
            "probs", expected="of shape (B, K, H, W) or (B, K, D, H, W)", found=tuple(probs.shape)
        )
    if not probs.is_floating_point():
        raise ArgumentError("probs", expected="a floating tensor of probabilities", found=probs.dtype)
