"""Several descriptors of the same probabilities, sharing what they have in common."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from shapewise.descriptors.boundary import can_fuse
from shapewise.descriptors.compiled import COVERED, covers, describe_compiled, describe_labels
from shapewise.descriptors.fused import describe_fused
from shapewise.descriptors.marginals import Marginals
from shapewise.descriptors.masks import checked_mask, one_hot, require_tensor
from shapewise.descriptors.precision import at_least_float32
from shapewise.descriptors.registry import get
from shapewise.typing import Probs, Spacing, Tensor, Values


@at_least_float32
def describe_together(
    probs: Probs, names: Iterable[str], *, spacing: Spacing | None = None, first: int = 0
) -> dict[str, Values]:
    """Compute several descriptors by name: the same values as one by one, in less time.

    Volume, centroid and spread all follow from the marginals, which are computed once.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        names: registered names.
        spacing: distance between pixel centres along each axis; pixels without it.
        first: the class to begin with: 1 leaves the background out, in less time than ``probs[:, 1:]``.

    Returns:
        name -> values ``(B, K - first, C)``; absent classes as each descriptor has them.

    Raises:
        ArgumentError: no descriptor has that name, or the spacing does not fit.

    >>> import torch
    >>> describe_together(torch.ones(1, 1, 3, 5), ["volume", "centroid"])
    {'volume': tensor([[[15.]]]), 'centroid': tensor([[[1., 2.]]])}
    """
    chosen, spacing = [get(name) for name in names], None if spacing is None else tuple(spacing)
    values = _fused(probs, [d.name for d in chosen], spacing, first)
    objects = probs[:, first:] if first else probs
    rest = [d for d in chosen if d.name not in values]
    shared = Marginals.of(objects, spacing) if any(d.from_marginals for d in rest) else None
    for d in rest:
        if d.from_marginals and shared:
            values[d.name] = d.from_marginals(shared)
        else:
            values[d.name] = d.function(objects, spacing=spacing)
    return {d.name: values[d.name] for d in chosen}


def describe_mask(
    target: Tensor, probs: Probs, names: Iterable[str], *, spacing: Spacing | None = None, first: int = 0
) -> dict[str, Values]:
    """Compute several descriptors of a mask, without a gradient.

    Args:
        target: a label mask, a one-hot mask or a soft one, see `one_hot`.
        probs: class probabilities or logits ``(B, K, *S)``, of whose device and type the values are.
        names: registered names.
        spacing: distance between pixel centres along each axis; pixels without it.
        first: the class to begin with.

    Returns:
        name -> values ``(B, K - first, C)``.

    Raises:
        ArgumentError: the mask does not fit, no descriptor has that name, or the spacing does not fit.

    >>> import torch
    >>> describe_mask(torch.tensor([[[0, 2], [2, 2]]]), torch.zeros(1, 3, 2, 2), ["volume"], first=1)
    {'volume': tensor([[[0.],
             [3.]]])}
    """
    require_tensor(target)
    chosen = list(names)
    with torch.no_grad():
        by_labels = target.shape != probs.shape and probs.shape[1] > 1 and not probs.is_cuda
        if by_labels and covers(probs, chosen):
            labels = checked_mask(target, probs)
            return describe_labels(labels, probs.shape[1], chosen, spacing=spacing, first=first)
        return {**describe_together(one_hot(target, probs, first=first), chosen, spacing=spacing)}


def _fused(probs: Tensor, names: list[str], spacing: Spacing | None, first: int) -> dict[str, Values]:
    """What is faster together: in the compiled kernel, or else in one step of autograd."""
    known = [name for name in names if name in COVERED]
    if covers(probs, known):
        return describe_compiled(probs, known, spacing=spacing, first=first)
    return describe_fused(probs, names, spacing=spacing, first=first) if can_fuse() else {}
