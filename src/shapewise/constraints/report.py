"""A loss taken apart: what every constraint adds to it, and how many hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    """

    total: Tensor
    contributions: dict[str, Tensor]
    satisfied: dict[str, Tensor]


def summarise(
    residuals: Mapping[str, Tensor], costs: Mapping[str, Tensor], *, reduction: Reduction, average: bool
) -> LossReport:
    """Sum up what the residuals cost.

    Args:
        residuals: constraint -> ``(B, ..., 2)``, positive where violated, ``-inf`` where inactive.
        costs: constraint -> what each of them costs, same shape.
        reduction: over the images.
        average: over the active bounds of an image; else their sum, as in the paper's model (2).

    Returns:
        The report; all but its total is detached.

    >>> z = {"volume": torch.tensor([[-0.1, 0.3], [-torch.inf, -torch.inf]])}
    >>> report = summarise(z, {"volume": z["volume"].relu()}, reduction="none", average=True)
    >>> report.total, report.satisfied
    (tensor([0.1500, 0.0000]), {'volume': tensor(0.5000)})
    """
    active = torch.stack([_sum(z != -math.inf) for z in residuals.values()])
    held = torch.stack([_sum((z <= 0) & (z != -math.inf)) for z in residuals.values()])
    cost = torch.stack([_sum(cost) for cost in costs.values()])
    if average:
        cost = cost / active.sum(0).clamp_min(1)
    if reduction == "mean":
        cost = cost / cost.shape[1]
    added = cost.detach().mean(1) if reduction == "none" else cost.detach().sum(1)
    fraction = torch.where(active.sum(1) > 0, held.sum(1) / active.sum(1).clamp_min(1), 1.0)
    total = cost.sum(0) if reduction == "none" else cost.sum()
    contributions = dict(zip(residuals, added.unbind(), strict=True))
    return LossReport(total, contributions, dict(zip(residuals, fraction.unbind(), strict=True)))


def _sum(per_bound: Tensor) -> Tensor:
    return per_bound.flatten(1).sum(1)
