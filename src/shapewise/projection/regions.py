"""The regions that moments alone describe: what a person would draw who has only the numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from shapewise.projection.annotated import Given, annotated_moments
from shapewise.projection.project import moment_projection
from shapewise.typing import Labels

ROUNDS = 40


def described_regions(
    given: Given, size: Sequence[int], *, descriptors: Sequence[str] | None = None
) -> tuple[Labels, Tensor]:
    """Draw the most likely label of each pixel, from the projection of a uniform prediction.

    With volume, centroid and covariance these are ellipses; one class within another makes a ring of the
    outer.

    Args:
        given: as `annotated_moments` takes it: descriptor -> values ``(B, K, C)`` in pixels, or bounds.
        size: of the image, 2-D or 3-D.
        descriptors: those that count; all that are given if None.

    Returns:
        Labels ``(B, *S)``, the background being 0, and which images ``(B,)`` are described: every class is
        absent, or its volume, centroid and second moments are known, and it got a pixel.

    Raises:
        ArgumentError: as `annotated_moments`.

    >>> square = {"volume": torch.tensor([[[16.0]]]), "centroid": torch.tensor([[[3.0, 4.0]]])}
    >>> square |= {"spread": torch.tensor([[[1.2, 1.2]]])}
    >>> labels, known = described_regions(square, (8, 8))
    >>> labels[0, 3, 4].item(), labels[0, 7, 0].item(), known.tolist()
    (1, 0, [True])
    """
    moments = annotated_moments(given, len(size), descriptors=descriptors)
    batch, classes = moments.present.shape
    logits = moments.scale.new_zeros(batch, classes + 1, *size)
    found = moment_projection(logits, moments, iterations=ROUNDS)
    labels = found.probs.argmax(1)
    drawn = torch.stack([(labels == label).flatten(1).any(1) for label in range(1, classes + 1)], 1)
    spread = any(sum(exponent) == 2 for exponent in moments.exponents)
    described = moments.known.all(-1) & drawn & spread
    return labels, (described | ~moments.present).all(1)
