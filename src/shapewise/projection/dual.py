"""The convex dual of the projection: its value, gradient and Hessian are moments of the tilted prediction.

For features φ of class k, the tilted prediction is q_k ∝ s_k exp(λ_k · φ_k), and

    F(λ) = Σ_i log Σ_k s_ik exp(λ_k · φ_ik) − Σ_k λ_k0 V_k, with φ_0 = 1 and φ_p = u^p − mean_p.

Its gradient is what the constraints are off by, Σ q − V and Σ q (u^p − mean_p); its Hessian holds moments, of
twice the order, of the products q_k q_l. All of it is contracted axis by axis with powers of one coordinate:
no feature is ever computed on the full grid.
"""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from shapewise.descriptors.moments import contract, powers_of
from shapewise.projection.annotated import AnnotatedMoments


class Dual(NamedTuple):
    """The dual at one λ: ``value`` (B,), ``sums`` Σ q u^p (B, K, P), and the objects' q, ``(B, K, *S)``."""

    value: Tensor
    sums: Tensor
    probs: Tensor


class Problem:
    """All that stays the same while λ changes.

    Args:
        log_probs: ``(B, 1 + K, *S)``, the background first; -inf removes a class.
        moments: what the K objects are to have.
    """

    def __init__(self, log_probs: Tensor, moments: AnnotatedMoments) -> None:
        self.log_probs, self.moments = log_probs, moments
        self.highest = max(map(max, moments.exponents))
        self.powers = [self._powers(axis, size) for axis, size in enumerate(log_probs.shape[2:])]
        classes = moments.known.shape[1]
        self.pairs = [(first, second) for first in range(classes) for second in range(first, classes)]
        first, second = (list(side) for side in zip(*self.pairs, strict=True))
        self.pair_powers = [
            (power[:, first, :, :, None] * power[:, second, :, None, :]).flatten(3) for power in self.powers
        ]

    def onto(self, moments: AnnotatedMoments) -> Problem:
        """The same with other bounds on the same features."""
        other = copy(self)
        other.moments = moments
        return other

    def bound(self, sign: Tensor) -> Tensor:
        """What each constraint is measured from, ``(B, K, P)``.

        A positive λ pushes a moment up, to its lower bound; a negative one down, to its upper.
        """
        bound = torch.where(sign > 0, self.moments.lower, self.moments.upper)
        return torch.where(bound.isfinite(), bound, 0.0)

    def tilted(self, multipliers: Tensor, bound: Tensor) -> Tensor:
        """Logits of the tilted prediction, ``(B, 1 + K, *S)``, from λ ``(B, K, P)``."""
        tilt = self._polynomial(multipliers, bound)
        return torch.cat([self.log_probs[:, :1], self.log_probs[:, 1:] + tilt], 1)

    def evaluate(self, multipliers: Tensor, bound: Tensor) -> Dual:
        """The dual and what its gradient is made of, at λ ``(B, K, P)``, measured from the bounds."""
        logits = self.tilted(multipliers, bound)
        log_probs = logits.log_softmax(1)
        probs = log_probs[:, 1:].exp()
        partition = logits.amax(1) - log_probs.amax(1)  # of the likeliest class: no other need be possible
        value = partition.flatten(1).sum(1) - (multipliers * bound)[..., 0].sum(1)
        return Dual(value, self.sums(probs), probs)

    def sums(self, probs: Tensor) -> Tensor:
        """Σ q u^p of the objects' q ``(B, K, *S)``, ``(B, K, P)``."""
        return self._pick(contract(probs, self.powers))

    def hessian(self, probs: Tensor, bound: Tensor) -> Tensor:
        """Covariances of the features under q, ``(B, K P, K P)``."""
        classes, count = self.moments.known.shape[1:]
        weights = probs.new_empty(len(probs), len(self.pairs), *probs.shape[2:])
        for index, (first, second) in enumerate(self.pairs):
            torch.mul(probs[:, first], -probs[:, second], out=weights[:, index])
            if first == second:
                weights[:, index] += probs[:, first]
        blocks = self._pick_pairs(contract(weights, self.pair_powers))
        full = blocks.new_empty(len(blocks), classes, classes, count, count)
        for index, (first, second) in enumerate(self.pairs):
            full[:, first, second] = blocks[:, index]
            full[:, second, first] = blocks[:, index].mT
        # From powers u^p to features u^p - mean_p, on both sides; the first has no mean.
        mean = F.pad(bound[..., 1:], (1, 0))
        full = full - mean[:, :, None, :, None] * full[..., :1, :]
        full = full - mean[:, None, :, None, :] * full[..., :1]
        return full.transpose(2, 3).flatten(3).flatten(1, 2)

    def _polynomial(self, multipliers: Tensor, bound: Tensor) -> Tensor:
        """λ · φ on the grid, ``(B, K, *S)``."""
        constant = multipliers[..., :1] - (multipliers * bound)[..., 1:].sum(-1, keepdim=True)
        multipliers = torch.cat([constant, multipliers[..., 1:]], -1)
        side, ndim = self.highest + 1, len(self.powers)
        coefficients = multipliers.new_zeros(*multipliers.shape[:2], side**ndim)
        coefficients[..., self._flat_exponents(side)] = multipliers
        return contract(coefficients.unflatten(-1, (side,) * ndim), [power.mT for power in self.powers])

    def _pick(self, table: Tensor) -> Tensor:
        """The P moments that count, from the table of all powers."""
        return table.flatten(2)[..., self._flat_exponents(self.highest + 1)]

    def _pick_pairs(self, table: Tensor) -> Tensor:
        """``(B, pairs, P, P)`` from tables over pairs of powers, one axis an axis of the image."""
        side = self.highest + 1
        flat = torch.zeros((), dtype=torch.long)
        for axis in range(len(self.powers)):
            power = torch.tensor([exponent[axis] for exponent in self.moments.exponents])
            flat = flat * side**2 + (power[:, None] * side + power)
        return table.flatten(2)[..., flat.to(table.device)]

    def _flat_exponents(self, side: int) -> Tensor:
        flat = [0] * len(self.moments.exponents)
        for axis in range(len(self.powers)):
            flat = [index * side + e[axis] for index, e in zip(flat, self.moments.exponents, strict=True)]
        return torch.tensor(flat, device=self.log_probs.device)

    def _powers(self, axis: int, size: int) -> Tensor:
        """Powers of one coordinate of every object, ``(B, K, size, highest + 1)``."""
        centre, scale = self.moments.centre[..., axis, None], self.moments.scale[..., axis, None]
        position = torch.arange(size, device=centre.device, dtype=centre.dtype)
        return powers_of((position - centre) / scale, self.highest)
