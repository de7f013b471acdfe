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
    """The sums of the probabilities over all axes but one, and what every user of them computes first.

    Attributes:
        along: one ``(B, K, n)`` for each axis of the image.
        grid: the axes themselves.
        mass: pixels in each class, ``(B, K, 1)``.
        means: centroid along each axis in [-1, 1], ``(B, K, ndim)``; 0, the image's centre, where there is
            no mass.

    >>> Marginals.of(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), None).along
    [tensor([[[3., 7.]]]), tensor([[[4., 6.]]])]
    """

    along: list[Tensor]
    grid: list[Axis]
    mass: Values
    means: Values

    @classmethod
    def of(cls, probs: Probs, spacing: Spacing | None) -> Marginals:
        """Sum the probabilities, two passes over them in 2-D and in 3-D."""
        along, grid = sums_along(probs), axes(probs, spacing)
        mass = along[0].sum(-1, keepdim=True)
        firsts = [sums @ axis.scaled[:, None] for sums, axis in zip(along, grid, strict=True)]
        return cls(along, grid, mass, divide(torch.cat(firsts, dim=-1), mass))

    def volume(self) -> Values:
        """Area or volume in the axes' own unit, ``(B, K, 1)``."""
        return self.mass * math.prod([axis.step for axis in self.grid])

    def centroid(self) -> Values:
        """Centroid in the axes' own unit, ``(B, K, ndim)``."""
        centre = self.means.new_tensor([axis.centre for axis in self.grid])
        return centre + self._half * self.means

    def spread(self) -> Values:
        """Standard deviation along each axis in its own unit, ``(B, K, ndim)``; 0 for an absent class."""
        squares = [
            (axis.scaled - mean) ** 2 for axis, mean in zip(self.grid, self.split_means(), strict=True)
        ]
        seconds = [(sums * square).sum(-1) for sums, square in zip(self.along, squares, strict=True)]
        return self._half * square_root(divide(torch.stack(seconds, dim=-1), self.mass))

    def split_means(self) -> tuple[Values, ...]:
        """The means one axis at a time, each ``(B, K, 1)``."""
        return torch.split(self.means, 1, dim=-1)

    @property
    def _half(self) -> Tensor:
        return self.means.new_tensor([axis.half for axis in self.grid])


def sums_along(probs: Tensor) -> list[Tensor]:
    """The sums over all axes but one, ``(B, K, n)`` for each axis: two passes over the probabilities.

    >>> sums_along(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    [tensor([[[3., 7.]]]), tensor([[[4., 6.]]])]
    """
    last = probs.sum(dim=tuple(range(2, probs.ndim - 1)))
    rest = probs.sum(dim=-1)
    return [rest, last] if rest.ndim == 3 else [*sums_along(rest), last]
