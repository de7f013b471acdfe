"""Division and square root whose gradients stay finite where the function's own do not."""

from __future__ import annotations

import torch
from torch import Tensor

NO_MASS = 1e-6
"""A class of less than this many pixels counts as absent."""

NO_SQUARE = 1e-12
"""A square that is not above this counts as 0."""


def divide(numerator: Tensor, denominator: Tensor, *, floor: float = NO_MASS, unit: float = 1.0) -> Tensor:
    """Divide; a denominator no larger than ``floor`` units in magnitude counts as one, so that 0 / 0 is 0.

    >>> divide(torch.tensor([6.0, 0.0]), torch.tensor([3.0, 0.0]))
    tensor([2., 0.])
    >>> divide(torch.tensor(6e-8), torch.tensor(3e-8), unit=1e-8)
    tensor(2.)
    """
    return numerator / torch.where(denominator.abs() > floor * unit, denominator, unit)


def square_root(square: Tensor, *, floor: float = NO_SQUARE) -> Tensor:
    """Square root; 0, with gradient 0, where the argument is not above the floor.

    >>> square_root(torch.tensor([4.0, 0.0, -1e-9]))
    tensor([2., 0., 0.])
    """
    positive = square > floor
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)
