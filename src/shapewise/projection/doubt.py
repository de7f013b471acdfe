"""How far numbers of a known error are to be believed, against a prediction that has numbers of its own."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from shapewise.projection.annotated import AnnotatedMoments

BLAME = 2.0
"""How many times the annotator's variance is taken off a discrepancy's square before the image is blamed."""

BELIEVED = 0.2
"""The part of a discrepancy that is always met: errors even out over images, a network's habits do not."""


def doubted(moments: AnnotatedMoments, variance: Tensor, sums: Tensor) -> AnnotatedMoments:
    """Move the annotated moments to where the annotator's error may have come from.

    With z² the mean square of an object's discrepancies, each in standard deviations of the annotator's
    error, a part 2 / z² of each of them, but at most 0.8, is put down to the annotator. An untrained network
    is so brought to the numbers nearly at once, and one that has learned from many images is not bent to
    each image's error. All moments of an object move by the same part: a mixture of the prediction and of a
    distribution with the annotated moments has them. An object that is not predicted contradicts no number
    but the volume.

    Args:
        moments: as annotated.
        variance: of the error of each sum, ``(B, K, P)``, pixels squared; positive.
        sums: Σ s u^p of the prediction, ``(B, K, P)``.

    Source: ours; the part is that of a positive-part shrinkage estimator (James and Stein 1961; Breiman's
    non-negative garrote, Technometrics 1995).
    """
    volume = sums[..., :1]
    mass = torch.cat([torch.ones_like(volume), volume.expand_as(sums[..., 1:])], -1)
    lower = torch.where(moments.lower.isfinite(), moments.lower, 0.0)
    upper = torch.where(moments.upper.isfinite(), moments.upper, 0.0)
    below = torch.where(moments.lower.isfinite(), sums - lower * mass, 0.0).clamp_max(0)
    above = torch.where(moments.upper.isfinite(), sums - upper * mass, 0.0).clamp_min(0)
    discrepancy = torch.where(moments.known, below + above, 0.0)
    there = (volume / moments.size[..., None]).clamp(0, 1)
    heard = moments.known * torch.cat([torch.ones_like(there), there.expand_as(sums[..., 1:])], -1)
    count = heard.sum(-1, keepdim=True).clamp_min(1)
    z_squared = (discrepancy**2 / variance).sum(-1, keepdim=True) / count
    left = discrepancy * (BLAME / z_squared.clamp_min(1e-6)).clamp_max(1 - BELIEVED)
    # A mean times the volume is what a sum comes to: both move, so that exactly this part is left.
    size = (volume - (discrepancy - left)[..., :1]).clamp_min(1.0)
    shift = torch.cat([left[..., :1], left[..., 1:] / size], -1)
    return replace(moments, lower=moments.lower + shift, upper=moments.upper + shift)
