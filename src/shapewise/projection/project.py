"""The projection itself: a prediction and a few numbers in, a dense target out."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from shapewise.errors import ArgumentError
from shapewise.projection.annotated import AnnotatedMoments
from shapewise.projection.doubt import doubted
from shapewise.projection.dual import Problem
from shapewise.projection.newton import minimise
from shapewise.typing import Logits, Probs

FLOOR = -14.0
"""The least log-probability: a network that is sure of its mistake can still be talked out of it."""


class Projection(NamedTuple):
    """The closest distribution with the annotated moments.

    Attributes:
        probs: ``(B, 1 + K, *S)``.
        multipliers: λ, ``(B, K, P)``.
        residual: how far the moments are from where they must be, in sizes of their object, ``(B, K, P)``; 0
            between two bounds. Where an error is allowed for, they must be where `doubted` moves them.
        converged: ``(B,)`` bool: nothing is left to gain.
    """

    probs: Tensor
    multipliers: Tensor
    residual: Tensor
    converged: Tensor


@torch.no_grad()
def moment_projection(
    logits: Logits,
    moments: AnnotatedMoments,
    *,
    ridge: float = 1e-3,
    iterations: int = 12,
    accuracy: float = 1e-2,
    near: Tensor | None = None,
) -> Projection:
    """Find the distribution with the annotated moments that is closest to a prediction in KL divergence.

    Args:
        logits: ``(B, 1 + K, *S)``, background first, 2-D or 3-D; log-probabilities will do.
        moments: of the K objects, see `annotated_moments`.
        ridge: weight of λ²/2, in sizes of the object; keeps λ small where no distribution has the moments.
        iterations: of Newton's method, at most. About twelve are needed from nothing, six from near by.
        accuracy: largest slope of the cost, in sizes of the object, that counts as converged.
        near: multipliers to be tried first, ``(B, K, P)``, such as those that an image had an epoch before;
            an image's are left out if they are no numbers.

    Returns:
        The projection, at least in float32, without a gradient. Absent classes have probability 0. An image
        that has not converged says so, and has the best distribution found on the way; its own prediction,
        if it ends farther from its moments than it began.

    Raises:
        ArgumentError: the logits do not fit the moments, or the multipliers them.

    Source: DESIGN 3; Csiszár, Annals of Probability 1975, for the form of the solution.

    >>> from shapewise.projection import annotated_moments
    >>> logits = torch.zeros(1, 2, 8, 8)
    >>> nine = {"volume": torch.tensor([[[9.0]]]), "centroid": torch.tensor([[[4.0, 2.0]]])}
    >>> moment_projection(logits, annotated_moments(nine, 2)).probs[:, 1].sum().round()
    tensor(9.)
    """
    _check(logits, moments)
    with torch.autocast(logits.device.type, enabled=False):
        precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
        log_probs = precise.log_softmax(1).clamp_min(FLOOR)
        there = torch.cat([torch.ones_like(moments.present[:, :1]), moments.present], 1)
        there = there.reshape(*there.shape, *[1] * (logits.ndim - 2))
        if near is not None and near.shape != moments.known.shape:
            expected = f"of shape {tuple(moments.known.shape)}"
            raise ArgumentError("near", expected=expected, found=tuple(near.shape))
        log_probs, moments = log_probs.masked_fill(~there, -math.inf), moments.like(log_probs)
        problem = Problem(log_probs, moments)
        if moments.variance is not None:
            start = torch.zeros_like(moments.lower)
            sums = problem.evaluate(start, problem.bound(start)).sums
            problem = Problem(log_probs, doubted(moments, moments.variance, sums))
        found = minimise(problem, ridge=ridge, iterations=iterations, accuracy=accuracy, near=near)
        probs = problem.tilted(found.multipliers, problem.bound(found.multipliers)).softmax(1)
        return Projection(probs, *found)


def sharpen(probs: Probs, factor: float) -> Probs:
    """Multiply the log-probabilities by a positive factor and normalise again: above 1, sharper.

    What has probability 0 keeps it.

    >>> sharpen(torch.tensor([[[0.8]], [[0.5]]]).repeat(1, 2, 1), 2.0)[:, 0]
    tensor([[0.5000],
            [0.5000]])
    """
    return (factor * probs.log()).softmax(1)


def _check(logits: Logits, moments: AnnotatedMoments) -> None:
    batch, classes, ndim = moments.scale.shape
    if logits.ndim != ndim + 2 or logits.shape[:2] != (batch, classes + 1):
        expected = f"of shape ({batch}, {classes + 1}, ...) with {ndim} axes of space"
        raise ArgumentError("logits", expected=expected, found=tuple(logits.shape))
