"""The regions that moments alone describe: what a person would draw who has only the numbers."""

from __future__ import annotations

from collections.abc import Sequence

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
        Labels ``(B, *S)``, the background being 0, and which images ``(B,)`` are described: of every class
        it is known that it is absent, or how large it is.

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
    known = (moments.known[..., 0] | ~moments.present).all(1)
    return found.probs.argmax(1), known
