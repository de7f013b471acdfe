"""The projection itself: a prediction and a few numbers in, a dense target out."""

from __future__ import annotations

import math
from dataclasses import replace
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


ACCURACY = 1e-2
"""Largest slope of the cost, in sizes of the object, that counts as converged."""

HALF_A_PIXEL = 0.5


class Projection(NamedTuple):
    """The closest distribution with the annotated moments.

    Attributes:
        probs: ``(B, 1 + K, *S)``.
        multipliers: λ, ``(B, K, P)``.
        residual: how far the moments are from where they must be, in sizes of their object, ``(B, K, P)``; 0
            between two bounds. Where an error is allowed for, they must be where `doubted` moves them.
        converged: ``(B,)`` bool: nothing is left to gain, no moment a quarter of its object's size off.
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
    accuracy: float = ACCURACY,
    near: Tensor | None = None,
) -> Projection:
    """Find the distribution with the annotated moments that is closest to a prediction in KL divergence.

    Args:
        logits: ``(B, 1 + K, *S)``, background first, 2-D or 3-D; log-probabilities will do.
        moments: of the K objects, see `annotated_moments`.
        ridge: weight of λ²/2, in sizes of the object; keeps λ small where no distribution has the moments.
        iterations: of Newton's method, at most. About twelve are needed from nothing, six from near by;
            objects of a few pixels need twice as many.
        accuracy: largest slope of the cost, in sizes of the object, that counts as converged.
        near: multipliers to be tried first, ``(B, K, P)``, such as those that an image had an epoch before;
            an image's are left out if they are no numbers.

    Returns:
        The projection, at least in float32, without a gradient. Absent classes have probability 0. An image
        that has not converged says so, and has the best distribution found on the way; its own prediction,
        if it ends farther from its moments than it began, comes to rest a quarter of an object's volume off,
        or loses more than half of an object.

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
        if near is not None:
            if near.shape != moments.known.shape:
                expected = f"of shape {tuple(moments.known.shape)}"
                raise ArgumentError("near", expected=expected, found=tuple(near.shape))
            near = near.to(log_probs)
        log_probs, moments = log_probs.masked_fill(~there, -math.inf), moments.like(log_probs)
        problem = Problem(log_probs, moments)
        if moments.variance is not None:
            sums = problem.sums(log_probs.exp()[:, 1:])
            problem = problem.onto(doubted(moments, moments.variance, sums))
        found = minimise(problem, ridge=ridge, iterations=iterations, accuracy=accuracy, near=near)
        probs = problem.tilted(found.multipliers, problem.bound(found.multipliers)).softmax(1)
        return Projection(probs, *found)


@torch.no_grad()
def sharpen_within(
    probs: Probs, factor: float, moments: AnnotatedMoments, *, ridge: float = 1e-3, iterations: int = 4
) -> Probs:
    """Sharpen a distribution, and bring it back to the moments that it had: what is unsure does not shrink.

    Args:
        probs: ``(B, 1 + K, *S)``, such as a projection; of an absent class 0.
        factor: what the log-probabilities are multiplied by.
        moments: which moments these are, of objects that are there; their bounds do not count.
        ridge: as in `moment_projection`.
        iterations: as in `moment_projection`; four bring it most of the way back, twenty all of it.

    Returns:
        ``(B, 1 + K, *S)``. An object of less than half a pixel is not brought back. A whole image is what
        `sharpen` makes of it where `moment_projection` would leave its own prediction.

    >>> from shapewise.projection import annotated_moments
    >>> unsure = torch.tensor([0.7, 0.3])[None, :, None, None].expand(1, 2, 8, 8)
    >>> volume = annotated_moments({"volume": torch.tensor([[[0.3 * 64]]])}, 2)
    >>> sharpen(unsure, 3.0)[0, 1].sum().round(), sharpen_within(unsure, 3.0, volume)[0, 1].sum().round()
    (tensor(5.), tensor(19.))
    """
    if factor == 1:
        return probs
    with torch.autocast(probs.device.type, enabled=False):
        probs = probs.to(torch.promote_types(probs.dtype, torch.float32))
        return _sharpened_within(probs, factor, moments.like(probs), ridge, iterations)


def _sharpened_within(
    probs: Probs, factor: float, moments: AnnotatedMoments, ridge: float, iterations: int
) -> Probs:
    log_probs = (factor * probs.log()).log_softmax(1)
    problem = Problem(torch.where(log_probs.isneginf(), log_probs, log_probs.clamp_min(FLOOR)), moments)
    sums = problem.sums(probs[:, 1:])
    volume = sums[..., :1]
    own = torch.cat([volume, sums[..., 1:] / volume.clamp_min(HALF_A_PIXEL)], -1)
    known = moments.known & (volume > HALF_A_PIXEL)
    problem = problem.onto(replace(moments, lower=own, upper=own, known=known, variance=None))
    found = minimise(problem, ridge=ridge, iterations=iterations, accuracy=ACCURACY)
    return problem.tilted(found.multipliers, problem.bound(found.multipliers)).softmax(1)


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
    if logits.ndim != ndim + 2 or logits.shape[:2] != (batch, classes + 1) or 0 in logits.shape:
        expected = f"of shape ({batch}, {classes + 1}, ...) with {ndim} axes of space, not empty"
        raise ArgumentError("logits", expected=expected, found=tuple(logits.shape))
