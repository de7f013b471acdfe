"""Cross-entropy towards the network's own prediction, projected onto the annotated moments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from shapewise.constraints import Reduction
from shapewise.descriptors.together import describe_mask
from shapewise.errors import ArgumentError
from shapewise.losses.inputs import Target, look_up, probabilities
from shapewise.projection import Projection, annotated_moments, moment_projection, sharpen_within
from shapewise.projection.annotated import AnnotatedMoments, check_moments
from shapewise.typing import Logits, Probs


class ProjectionReport(NamedTuple):
    """The loss, the projection behind it before it was sharpened, and the target that it became."""

    total: Tensor
    projection: Projection
    target: Probs


class MomentProjectionLoss(nn.Module):
    """Turn a few moments of each object into a dense target, and train towards it.

    The network's prediction is moved, as little as possible, to where it has the annotated moments
    (`shapewise.projection.moment_projection`); the result is sharpened, and cross-entropy compares the
    prediction with it. No gradient goes through the target.

    **Absent classes** (volume 0) have no place in the target. A class, or a number, that is NaN is left as it
    is predicted. Numbers that contradict one another are met as far as the ridge lets them. A whole image is
    left as it is predicted if its moments end farther off than they began, a volume comes to rest a quarter
    off, or more than half of an object is lost.

    Args:
        descriptors: moments to be met, among ``volume``, ``centroid``, ``spread``, ``covariance``,
            ``third_moments`` and ``fourth_moments``.
        sharpening: what the target's log-probabilities are multiplied by, before it is given its moments
            back; 1 leaves it as it is.
        error: standard deviation of the annotator's error, relative: discrepancies that it explains move the
            target by a fifth of what they would.
        tolerance: likewise, how far a number may be off and be left alone.
        iterations: of Newton's method, at most.
        softmax: the input is logits; apply a softmax over the classes.
        reduction: over the images: ``mean``, ``sum``, or ``none`` for a loss of shape ``(B,)``. Over the
            pixels of an image it is always the mean, as cross-entropy's.

    Raises:
        ArgumentError: an argument is unknown or out of range.

    Source: DESIGN 3 (ours); posterior regularisation of Ganchev et al., JMLR 2010, is a relative.

    >>> mask = torch.zeros(2, 32, 32, dtype=torch.long)
    >>> mask[:, 8:20, 10:22] = 1
    >>> logits = torch.zeros(2, 2, 32, 32, requires_grad=True)
    >>> loss = MomentProjectionLoss(softmax=True)
    >>> loss(logits, mask).backward()
    >>> bool(logits.grad[0, 1, 14, 16] < 0 < logits.grad[0, 1, 2, 2])
    True
    """

    def __init__(
        self,
        descriptors: Sequence[str] = ("volume", "centroid", "covariance"),
        *,
        sharpening: float = 1.2,
        error: float = 0.0,
        tolerance: float = 0.0,
        iterations: int = 12,
        softmax: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.descriptors = tuple(descriptors)
        self.sharpening, self.iterations = sharpening, iterations
        self.error, self.tolerance = error, tolerance
        self.softmax, self.reduction = softmax, reduction
        _check(self)

    def forward(self, input: Logits | Probs, target: Target) -> Tensor:
        """Return the loss.

        Args:
            input: ``(B, 1 + K, *S)``, background first, 2-D or 3-D: logits with ``softmax``, else
                probabilities.
            target: a label mask ``(B, *S)`` or ``(B, 1, *S)``; a one-hot mask ``(B, 1 + K, *S)``; or a
                mapping from every descriptor's name to values ``(B, K, C)`` in pixels, NaN where unknown, or
                to ``Bounds``: then the moments only have to lie between them. A volume that is no
                descriptor of the loss still tells which classes are there and how large they are; a spread or
                a covariance tells only how large.

        Returns:
            A scalar, or ``(B,)`` without reduction; at least float32.

        Raises:
            ArgumentError: a shape does not fit, a descriptor is missing, or a number is one that no object
                has: infinite, or a negative amount or variance.
        """
        return self.report(input, target).total

    def report(
        self,
        input: Logits | Probs,
        target: Target,
        *,
        near: Tensor | None = None,
        belief: Tensor | None = None,
    ) -> ProjectionReport:
        """Return the loss with the distribution that its target is made of; see ``forward``.

        Args:
            input: as in ``forward``.
            target: as in ``forward``.
            near: multipliers to begin with, ``(B, K, P)``. Keep ``projection.multipliers`` of every image,
                and half the iterations will do in the next epoch.
            belief: what is projected in place of ``input``, of the same kind and shape: what a teacher says.

        Raises:
            ArgumentError: as ``forward``, and where ``near`` or ``belief`` has another shape.
        """
        if belief is not None and belief.shape != input.shape:
            expected = f"of shape {tuple(input.shape)}"
            raise ArgumentError("belief", expected=expected, found=tuple(belief.shape))
        with torch.autocast(input.device.type, enabled=False):
            log_probs = self._log_probs(input)
            prior = log_probs if belief is None else self._log_probs(belief)
            moments = self._moments(prior.detach(), target)
            projection = moment_projection(prior.detach(), moments, iterations=self.iterations, near=near)
            target_probs = sharpen_within(projection.probs, self.sharpening, moments)
            # Where the target is 0 it costs nothing to rule a class out, by a logit of -inf even.
            costs = torch.where(target_probs > 0, -target_probs * log_probs, 0.0)
            each = costs.sum(1).flatten(1).mean(1)
        if self.reduction != "none":
            each = each.mean() if self.reduction == "mean" else each.sum()
        return ProjectionReport(each, projection, target_probs)

    def _moments(self, log_probs: Tensor, target: Target) -> AnnotatedMoments:
        if isinstance(target, Mapping):
            given = look_up(self.descriptors, target, log_probs[:, 1:])
        else:
            names = list(dict.fromkeys((*self.descriptors, "volume", "spread")))
            given = {**describe_mask(target, log_probs, names, first=1)}
        doubt = {"error": self.error, "tolerance": self.tolerance}
        return annotated_moments(
            given, log_probs.ndim - 2, descriptors=self.descriptors, called="target", **doubt
        )

    def _log_probs(self, input: Tensor) -> Tensor:
        plain = probabilities(input, softmax=False, sigmoid=False)
        if plain.shape[1] < 2:
            raise ArgumentError("input", expected="of two classes or more", found=tuple(input.shape))
        return plain.log_softmax(1) if self.softmax else plain.clamp_min(1e-12).log()


def _check(loss: MomentProjectionLoss) -> None:
    check_moments(loss.descriptors)
    if loss.reduction not in ("mean", "sum", "none"):
        raise ArgumentError("reduction", expected="one of mean, sum, none", found=repr(loss.reduction))
    if not 0 < loss.sharpening < math.inf:
        raise ArgumentError("sharpening", expected="a positive finite number", found=loss.sharpening)
    for name in ("error", "tolerance"):
        if not 0 <= getattr(loss, name) < math.inf:
            raise ArgumentError(name, expected="a finite number of at least 0", found=getattr(loss, name))
    if not isinstance(loss.iterations, int) or loss.iterations < 1:
        raise ArgumentError("iterations", expected="a whole number from 1", found=loss.iterations)
