"""A loss taken apart: what every constraint adds to it, and how many hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

Reduction: TypeAlias = Literal["mean", "sum", "none"]


@dataclass(frozen=True, eq=False)
class LossReport:
    """A loss taken apart.

    Attributes:
        total: the loss.
        contributions: constraint -> what it adds to the total, or to its mean if that is not reduced.
        satisfied: constraint -> which fraction of its active bounds holds, 1 if none is active.
        active: constraint -> how many of its bounds are active. Weigh the fractions of several batches with
            it: a batch in which a constraint has no bound says nothing about it.
    """

    total: Tensor
    contributions: dict[str, Tensor]
    satisfied: dict[str, Tensor]
    active: dict[str, Tensor]


def reduce(residuals: Tensor, costs: Tensor, *, reduction: Reduction, average: bool) -> Tensor:
    """Sum up what the residuals of every image cost.

    Args:
        residuals: ``(B, N, 2)``, positive where violated, ``-inf`` where inactive.
        costs: what each of them costs, same shape.
        reduction: over the images.
        average: over the active bounds of an image; else their sum, as in the paper's model (2).

    Returns:
        A scalar, or ``(B,)`` without reduction.

    >>> z = torch.tensor([[[-0.1, 0.3]], [[-torch.inf, -torch.inf]]])
    >>> reduce(z, z.relu(), reduction="none", average=True)
    tensor([0.1500, 0.0000])
    """
    total = costs.sum((1, 2))
    if average:
        total = total / (residuals != -math.inf).sum((1, 2)).clamp_min(1)
    if reduction == "none":
        return total
    return total.mean() if reduction == "mean" else total.sum()


@torch.no_grad()
def contributions(
    residuals: Tensor, costs: Tensor, sizes: Mapping[str, int], *, reduction: Reduction, average: bool
) -> dict[str, Tensor]:
    """Say what every constraint adds to the loss, or to its mean if that is not reduced.

    Args:
        residuals: as in `reduce`.
        costs: as in `reduce`.
        sizes: constraint -> how many of the N are its own, in their order.
        reduction: as in `reduce`.
        average: as in `reduce`.

    >>> z = torch.tensor([[[-0.1, 0.3], [-torch.inf, 0.1]]])
    >>> contributions(z, z.relu(), {"volume": 1, "length": 1}, reduction="sum", average=False)
    {'volume': tensor(0.3000), 'length': tensor(0.1000)}
    """
    if average:
        costs = costs / (residuals != -math.inf).sum((1, 2), keepdim=True).clamp_min(1)
    parts = costs.sum(0) if reduction == "sum" else costs.mean(0)
    return {name: part.sum() for name, part in _split(parts, sizes)}


@torch.no_grad()
def satisfied(residuals: Tensor, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Say which fraction of every constraint's active bounds holds: 1 if none is active.

    >>> satisfied(torch.tensor([[[-0.1, 0.3], [-torch.inf, 0.1]]]), {"volume": 1, "length": 1})
    {'volume': tensor(0.5000), 'length': tensor(0.)}
    """
    held = _count((residuals <= 0) & (residuals != -math.inf), sizes)
    counts = active(residuals, sizes)
    return {name: _fraction(held[name], counts[name]) for name in sizes}


@torch.no_grad()
def active(residuals: Tensor, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Count every constraint's active bounds, over all images.

    >>> active(torch.tensor([[[-0.1, 0.3], [-torch.inf, 0.1]]]), {"volume": 1, "length": 1})
    {'volume': tensor(2), 'length': tensor(1)}
    """
    return _count(residuals != -math.inf, sizes)


def _count(which: Tensor, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    return {name: part.sum() for name, part in _split(which.sum((0, 2)), sizes)}


def _split(tensor: Tensor, sizes: Mapping[str, int]) -> Iterator[tuple[str, Tensor]]:
    return zip(sizes, torch.split_with_sizes(tensor, list(sizes.values())), strict=True)


def _fraction(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole.clamp_min(1), 1.0)
