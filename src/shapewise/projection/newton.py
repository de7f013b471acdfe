"""Newton's method with backtracking, for a batch of small convex problems at once.

Where there is the compiled kernel it takes the same steps (cpp/newton.h).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from shapewise.projection.annotated import AnnotatedMoments
from shapewise.projection.compiled import minimise_compiled, searches
from shapewise.projection.dual import Problem

SHRINK = 0.25
SUFFICIENT = 1e-4
JITTER = 1e-6

VOLUME = 0.02
"""The ridge on the volume's multiplier, as a part of that on the others.

No distribution is more compact than a full ellipse of its volume: an annotator's errors towards a
larger volume and a smaller spread cannot be met. Were both to give way, volumes would come out too small.
"""

FAR = 0.25
"""Sizes of the object that a moment may still be off, at rest against the ridge, and count as met.

Numbers that err by a fifth leave volumes a tenth off at most, `VOLUME` sees to that: a volume this far off is
one that no distribution has.
"""

LOST = 0.5
"""Likewise, how far a search may take a volume below its bound: what is gone breaks no other moment."""


class Solution(NamedTuple):
    """Where the search ended.

    Attributes:
        multipliers: λ, ``(B, K, P)``.
        residual: by how much the moments lie outside their bounds, in sizes of their object, ``(B, K, P)``.
        converged: ``(B,)`` bool: nothing is left to gain, and no moment is `FAR` off.
    """

    multipliers: Tensor
    residual: Tensor
    converged: Tensor


def minimise(
    problem: Problem, *, ridge: float, iterations: int, accuracy: float, near: Tensor | None = None
) -> Solution:
    """Minimise F(λ) + λ² · ridge · size / 2 over λ, from 0; `VOLUME` times that for the volume's.

    Every round evaluates one candidate of every image. It is taken where it is better by enough, and a
    quarter of the way to it is tried next where it is not: no image waits for another's line search, and
    none of it asks the device for an answer. A λ between two bounds keeps its sign, which says from which of
    them its constraint is measured; it rests at 0 while its moment lies between them.

    An image whose numbers no distribution has gets λ = 0: its own prediction. That is one whose moments end
    farther from where they must be than they began; one that comes to rest with a volume `FAR` off; and one
    that has `LOST` an object on the way.

    Args:
        problem: the dual.
        ridge: of λ²/2, in sizes of the object.
        iterations: rounds, at most.
        accuracy: largest slope, in sizes of the object, that counts as converged.
        near: a λ that is expected to be near, ``(B, K, P)``: the first candidate.
    """
    moments = problem.moments
    size = moments.size[..., None].expand(moments.known.shape)
    weight = ridge * torch.cat([VOLUME * size[..., :1], size[..., 1:]], -1)
    if searches(problem.log_probs, moments):
        told = problem.log_probs, moments, weight
        return Solution(*minimise_compiled(*told, iterations=iterations, accuracy=accuracy, near=near))
    crossing = moments.lower != moments.upper
    at = torch.zeros_like(size)
    begun = problem.evaluate(at, problem.bound(at))
    best, sums, step = begun.value, begun.sums, torch.ones_like(begun.value)
    slope, sign = _slope(sums, at, weight, moments)

    def direction_from(probs: Tensor) -> Tensor:
        curvature = problem.hessian(probs, problem.bound(sign))
        return _direction(curvature, weight, slope, moments.known & (sign != 0))

    newton = direction = direction_from(begun.probs)
    if near is not None:
        usable = near.isfinite().flatten(1).all(1)[:, None, None]
        direction = torch.where(usable, near, newton)
    for round_ in range(iterations):
        resting = _rests(slope, size, accuracy)  # whatever the rest of the batch does
        if not at.is_cuda and bool(resting.all()):
            break
        candidate = at + step[:, None, None] * direction
        candidate = torch.where(crossing & (candidate.sign() != sign), 0.0, candidate)
        tried = problem.evaluate(candidate, problem.bound(sign))
        found = tried.value + (weight * candidate**2 / 2).flatten(1).sum(1)
        rounding = 1e-6 * (1 + best.abs())
        enough = best + SUFFICIENT * (slope * (candidate - at)).flatten(1).sum(1) + rounding
        better = (found <= enough) & ~resting  # False for NaN
        chosen = better[:, None, None]
        at, best = torch.where(chosen, candidate, at), torch.where(better, found, best)
        sums = torch.where(chosen, tried.sums, sums)
        slope, sign = _slope(sums, at, weight, moments)
        step = torch.where(better, 1.0, SHRINK * step)
        direction = torch.where(chosen, direction_from(tried.probs), direction)
        if round_ == 0 and near is not None:  # a guess that does not help is not tried again
            direction = torch.where(chosen, direction, newton)
            step = torch.ones_like(step)
    return _conclude(begun.sums, sums, at, _rests(slope, size, accuracy), moments)


def _rests(slope: Tensor, size: Tensor, accuracy: float) -> Tensor:
    """Which images ``(B,)`` have nothing left to gain."""
    return (slope.abs() <= accuracy * size).flatten(1).all(1)


def _conclude(
    begun: Tensor, ended: Tensor, at: Tensor, resting: Tensor, moments: AnnotatedMoments
) -> Solution:
    """Keep what was found, and λ = 0 where no distribution has the moments; see `minimise`."""
    before, after = _outside(begun, moments), _outside(ended, moments)
    worse = after.flatten(1).amax(1) > before.flatten(1).amax(1)
    volume, least = ended[..., 0], moments.lower[..., 0] - LOST * moments.size
    lost = moments.known[..., 0] & (volume < begun[..., 0]) & (volume < least)
    given_up = worse | lost.any(1) | (resting & (after[..., 0] > FAR).any(1))
    where = given_up[:, None, None]
    residual = torch.where(where, before, after)
    met = (residual <= FAR).flatten(1).all(1)  # False for NaN
    return Solution(torch.where(where, 0.0, at), residual, resting & ~given_up & met)


def _gaps(sums: Tensor, moments: AnnotatedMoments) -> tuple[Tensor, Tensor]:
    """How far the sums lie above what either bound allows, ``(B, K, P)``; never outside an open one."""
    mass = torch.cat([torch.ones_like(sums[..., :1]), sums[..., :1].expand_as(sums[..., 1:])], -1)
    above = [
        sums - torch.where(bound.isfinite(), bound, 0.0) * mass for bound in (moments.lower, moments.upper)
    ]
    return (
        torch.where(moments.lower.isfinite(), above[0], math.inf),
        torch.where(moments.upper.isfinite(), above[1], -math.inf),
    )


def _outside(sums: Tensor, moments: AnnotatedMoments) -> Tensor:
    """By how much the bounds are broken, in sizes of the object."""
    from_lower, from_upper = _gaps(sums, moments)
    outside = torch.maximum(-from_lower, from_upper).clamp_min(0) / moments.size[..., None]
    return torch.where(moments.known, outside, 0.0)


def _slope(sums: Tensor, at: Tensor, weight: Tensor, moments: AnnotatedMoments) -> tuple[Tensor, Tensor]:
    """The gradient of the cost, and the sign that λ has or takes next; 0 where it rests between bounds."""
    from_lower, from_upper = _gaps(sums, moments)
    broken = (from_lower < 0).to(at.dtype) - (from_upper > 0).to(at.dtype)
    sign = torch.where(at != 0, at.sign(), broken)
    sign = torch.where(moments.lower == moments.upper, 1.0, sign)
    gap = torch.where(sign > 0, from_lower, from_upper)
    return torch.where(moments.known & (sign != 0), gap + weight * at, 0.0), sign


def _direction(hessian: Tensor, weight: Tensor, slope: Tensor, free: Tensor) -> Tensor:
    """Newton's step for the free unknowns, ``(B, K, P)``, their curvatures brought to one scale first."""
    shape = slope.shape
    weight, slope, free = weight.flatten(1), slope.flatten(1), free.flatten(1)
    both = free[:, :, None] & free[:, None, :]
    curvature = torch.where(both, hessian + weight.diag_embed(), 0.0)
    scale = torch.where(free, curvature.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12).rsqrt(), 1.0)
    identity = torch.eye(slope.shape[1], device=slope.device, dtype=slope.dtype)
    scaled = torch.where(both, scale[:, :, None] * curvature * scale[:, None, :], identity)
    factor, failed = torch.linalg.cholesky_ex(scaled + JITTER * identity)
    steps = torch.cholesky_solve((scale * slope)[..., None], factor)[..., 0]
    # Where rounding has spoilt the curvature, its diagonal alone gives a shorter way down.
    steps = torch.where((failed == 0)[:, None] & steps.isfinite(), steps, scale * slope)
    return torch.where(free, -scale * steps, 0.0).view(shape)
