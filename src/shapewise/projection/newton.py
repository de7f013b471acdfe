"""Newton's method with backtracking, for a batch of small convex problems at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shapewise.projection.dual import Dual, Problem

SHRINK = 0.25
SUFFICIENT = 1e-4
JITTER = 1e-6


class Projection(NamedTuple):
    """The closest distribution with the annotated moments.

    Attributes:
        probs: ``(B, 1 + K, *S)``.
        multipliers: λ, ``(B, K, P)``.
        residual: how far the moments are from where they must be, in sizes of their object, ``(B, K, P)``; 0
            inside a tolerance.
        converged: ``(B,)`` bool: no residual is above the accuracy.
    """

    probs: Tensor
    multipliers: Tensor
    residual: Tensor
    converged: Tensor


def minimise(problem: Problem, *, ridge: float, iterations: int, accuracy: float) -> tuple[Tensor, Tensor]:
    """Minimise F(λ) + λ² · (ridge · size + variance) / 2 + |λ| · tolerance over λ.

    Every round evaluates one candidate of every image. It is taken where it is better by enough, and a
    quarter of the way to it is tried next where it is not: no image waits for another's line search, and
    none of it asks the device for an answer. A tolerance makes the dual soft-thresholded: steps stay within
    the orthant they begin in.

    Returns:
        The best λ ``(B, K, P)``, and the residual there.
    """
    moments = problem.moments
    known = moments.known.flatten(1)
    size = moments.size[..., None].expand(moments.known.shape).flatten(1)
    tolerance, weight = moments.tolerance.flatten(1), ridge * size + moments.variance.flatten(1)
    bounded = tolerance > 0

    def cost(dual: Dual, at: Tensor) -> Tensor:
        return dual.value + (weight * at**2 / 2 + tolerance * at.abs()).sum(1)

    at = torch.zeros_like(size)
    dual = problem.evaluate(at.view(moments.known.shape))
    best, step = cost(dual, at), torch.ones_like(dual.value)
    slope, sign = _slope(dual.gradient + weight * at, at, tolerance, known)
    direction = _direction(dual.hessian, weight, slope, known & (~bounded | (sign != 0)))
    for _ in range(iterations):
        candidate = at + step[:, None] * direction
        candidate = torch.where(bounded & (candidate.sign() != sign), 0.0, candidate)
        tried = problem.evaluate(candidate.view(moments.known.shape))
        found = cost(tried, candidate)
        rounding = 1e-6 * (1 + best.abs())
        enough = best + SUFFICIENT * (slope * (candidate - at)).sum(1) + rounding
        resting = (slope.abs() <= accuracy * size).all(1)  # an image is not to depend on others of its batch
        better = (found <= enough) & ~resting  # False for NaN
        chosen = better[:, None]
        at, best = torch.where(chosen, candidate, at), torch.where(better, found, best)
        gradient = torch.where(chosen, tried.gradient, dual.gradient)
        hessian = torch.where(chosen[..., None], tried.hessian, dual.hessian)
        dual = Dual(best, gradient, hessian)
        slope, sign = _slope(gradient + weight * at, at, tolerance, known)
        step = torch.where(better, 1.0, SHRINK * step)
        direction = _direction(hessian, weight, slope, known & (~bounded | (sign != 0)))
        if not at.is_cuda and bool((slope.abs() <= accuracy * size).all()):
            break
    outside = torch.where(known, dual.gradient.abs() - tolerance, 0.0).clamp_min(0)
    return at.view(moments.known.shape), (outside / size).view(moments.known.shape)


def _slope(gradient: Tensor, at: Tensor, tolerance: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of the whole cost, and the orthant to go on in; both 0 where λ rests in a tolerance."""
    down = torch.where(gradient.abs() > tolerance, -gradient.sign(), 0.0)
    sign = torch.where(at != 0, at.sign(), down)
    slope = torch.where((tolerance > 0) & (sign == 0), 0.0, gradient + tolerance * sign)
    return torch.where(known, slope, 0.0), sign


def _direction(hessian: Tensor, weight: Tensor, slope: Tensor, free: Tensor) -> Tensor:
    """Newton's step for the free unknowns, their curvatures brought to one scale first."""
    both = free[:, :, None] & free[:, None, :]
    curvature = torch.where(both, hessian + weight.diag_embed(), 0.0)
    scale = curvature.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12).rsqrt()
    scale = torch.where(free, scale, 1.0)
    identity = torch.eye(slope.shape[1], device=slope.device, dtype=slope.dtype)
    scaled = scale[:, :, None] * curvature * scale[:, None, :]
    scaled = torch.where(both, scaled, identity) + JITTER * identity
    factor, failed = torch.linalg.cholesky_ex(scaled)
    steps = torch.cholesky_solve((scale * slope)[..., None], factor)[..., 0]
    # Where rounding has spoilt the curvature, its diagonal alone gives a shorter way down.
    steps = torch.where((failed == 0)[:, None] & steps.isfinite(), steps, scale * slope)
    return torch.where(free, -scale * steps, 0.0)
