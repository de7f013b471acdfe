"""How the mass of each class is distributed along each axis: all that volume, centroid and spread need."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from shapewise.descriptors.axes import Axis, axes
from shapewise.descriptors.safe import divide, square_root
from shapewise.typing import Probs, Spacing, Values


class Marginals(NamedTuple):
    """The sums of the probabilities over all axes but one.

    Attributes:
        along: one ``(B, K, n)`` for each axis of the image.
        grid: the axes themselves.

    >>> Marginals.of(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), None).along
    [tensor([[[3., 7.]]]), tensor([[[4., 6.]]])]
    """

    along: list[Tensor]
    grid: list[Axis]

    @classmethod
    def of(cls, probs: Probs, spacing: Spacing | None) -> Marginals:
        """Sum the probabilities, two passes over them in 2-D and in 3-D."""
        return cls(_sums(probs), axes(probs, spacing))

    def mass(self) -> Values:
        """Pixels in each class, ``(B, K, 1)``."""
        return self.along[0].sum(-1, keepdim=True)

    def volume(self) -> Values:
        """Area or volume in the axes' own unit, ``(B, K, 1)``."""
        return self.mass() * math.prod([axis.step for axis in self.grid])

    def scaled_means(self) -> list[Values]:
        """Centroid along each axis in [-1, 1]; 0, the image's centre, for an absent class."""
        mass = self.mass()
        pairs = zip(self.along, self.grid, strict=True)
        return [divide(along @ axis.scaled[:, None], mass) for along, axis in pairs]

    def centroid(self) -> Values:
        """Centroid in the axes' own unit, ``(B, K, ndim)``."""
        pairs = zip(self.grid, self.scaled_means(), strict=True)
        return torch.cat([axis.centre + axis.half * mean for axis, mean in pairs], dim=-1)

    def spread(self) -> Values:
        """Standard deviation along each axis in its own unit, ``(B, K, ndim)``; 0 for an absent class."""
        mass, spreads = self.mass(), []
        for along, axis, mean in zip(self.along, self.grid, self.scaled_means(), strict=True):
            square = (along * (axis.scaled - mean) ** 2).sum(-1, keepdim=True)
            spreads.append(axis.half * square_root(divide(square, mass)))
        return torch.cat(spreads, dim=-1)


def _sums(probs: Tensor) -> list[Tensor]:
    last = probs.sum(dim=tuple(range(2, probs.ndim - 1)))
    rest = probs.sum(dim=-1)
    return [rest, last] if rest.ndim == 3 else [*_sums(rest), last]
