"""Comparing amounts by their ratio instead of their difference."""

from __future__ import annotations

import torch
from torch import Tensor

from shapewise.constraints.annotated import Constraint

TINY = 1e-4
"""Added to an amount before its logarithm; its inverse, the largest slope, is still a float16."""


def in_logarithms(constraint: Constraint, which: Tensor) -> Constraint:
    """Compare the logarithms of non-negative amounts.

    A difference divided by the annotated value pushes equally hard from anywhere, but a softmax that has all
    but ruled a class out passes nothing on: a network that once predicts nothing goes on predicting nothing.
    The slope of the logarithm grows as the amount vanishes and makes up for it; above the bounds it falls, so
    that a prediction forty times too large does not outweigh all others. The same values are allowed.

    Args:
        constraint: amounts and bounds; a lower bound at or below 0 never binds.
        which: bool, broadcasting against the amounts: those of objects that are there. The others stay as
            they are.

    Source: ours; see docs/results.md for what it does on PROMISE12.

    >>> one = torch.ones(1, 1, 1)
    >>> there = torch.tensor([[True]])
    >>> in_logarithms(Constraint(100 * one, 90 * one, 110 * one, 100 * one), there).upper
    tensor([[[4.7005]]])
    """

    def logarithm(amount: Tensor) -> Tensor:
        return torch.where(which, (amount.clamp_min(0) + TINY).log(), amount)

    value, lower, upper, scale = constraint
    lower = torch.where(which & (lower <= 0), -torch.inf, logarithm(lower))
    return Constraint(logarithm(value), lower, logarithm(upper), scale.masked_fill(which, 1.0))
