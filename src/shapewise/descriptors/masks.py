"""Masks as probabilities: what annotators draw, in the form that descriptors read."""

from __future__ import annotations

import torch
from torch import Tensor

from shapewise.errors import ArgumentError
from shapewise.typing import Probs


def one_hot(target: Tensor, probs: Probs, *, first: int = 0) -> Probs:
    """Make a one-hot mask of the classes from the first one on; the mask's shape tells which kind it is.

    Args:
        target: a label mask ``(B, *S)`` or ``(B, 1, *S)``, or a one-hot or soft mask ``(B, K, *S)``.
        probs: class probabilities ``(B, K, *S)``, whose device and type the result has. Where K is 1 that
            class is the object, which masks call 1.
        first: the class to begin with: 1 leaves the background out.

    Returns:
        ``(B, K - first, *S)``.

    Raises:
        ArgumentError: the shape does not fit, a label is no whole number or outside the classes, or a
            one-hot mask leaves 0 to 1. All but the shape is not looked at while ``torch.compile`` traces.

    >>> one_hot(torch.tensor([[[0, 2]]]), torch.zeros(1, 3, 1, 2), first=1).tolist()
    [[[[0.0, 0.0]], [[0.0, 1.0]]]]
    """
    each, classes = checked_mask(target, probs), probs.shape[1]
    if target.shape == probs.shape:
        return each[:, first:]
    batch, _, *space = probs.shape
    if classes == 1:
        first, classes = 1, 2
    index = torch.arange(first, classes, dtype=probs.dtype, device=each.device)
    # Comparing to floats is several times as fast as to bools, and those would have to become floats.
    found = probs.new_empty(batch, classes - first, *space)
    return torch.eq(each, index.reshape(-1, *[1] * len(space)), out=found)


def checked_mask(target: Tensor, probs: Probs) -> Tensor:
    """Refuse a mask that does not fit; give the other the device and the type of the probabilities.

    Returns:
        Labels ``(B, 1, *S)``, or a one-hot or soft mask ``(B, K, *S)``; see `one_hot`.

    >>> checked_mask(torch.tensor([[[0, 2]]]), torch.zeros(1, 3, 1, 2)).tolist()
    [[[[0.0, 2.0]]]]
    """
    require_tensor(target)
    plain = target if type(target) is Tensor else target.as_subclass(Tensor)
    plain = plain.detach().to(probs.device)
    if plain.shape == probs.shape:
        plain = plain.to(probs.dtype)
        _check_range(plain, 1, "a one-hot mask of values")
        return plain
    batch, classes, *space = probs.shape
    if tuple(plain.shape) not in ((batch, *space), (batch, 1, *space)):
        expected = f"of shape {(batch, *space)}, {(batch, 1, *space)} or {tuple(probs.shape)}"
        raise ArgumentError("target", expected=expected, found=tuple(plain.shape))
    each = plain.reshape(batch, 1, *space).to(probs.dtype)
    _check_range(each, max(1, classes - 1), "labels")
    if plain.is_floating_point():
        _check_whole(plain)
    return each


def require_tensor(target: object) -> None:
    """Refuse what is no tensor.

    >>> require_tensor(torch.zeros(1))
    """
    if not isinstance(target, Tensor):
        raise ArgumentError("target", expected="a tensor, or numbers by name", found=type(target).__name__)


def _check_range(mask: Tensor, largest_allowed: int, what: str) -> None:
    if torch.compiler.is_compiling():
        return
    smallest, largest = (float(extreme) for extreme in torch.aminmax(mask))
    if not (smallest >= 0 and largest <= largest_allowed):  # NaN is neither
        kind = what.split()[-1]
        found = f"{kind} from {smallest:g} to {largest:g}"
        raise ArgumentError("target", expected=f"{what} from 0 to {largest_allowed}", found=found)


def _check_whole(labels: Tensor) -> None:
    """Refuse labels between two classes, such as a soft or a resampled mask has: they are of neither."""
    if torch.compiler.is_compiling():
        return
    between = labels != labels.trunc()
    if bool(between.any()):
        found = f"the label {labels[between][0].item():g}"
        raise ArgumentError("target", expected="labels that are whole numbers", found=found)
