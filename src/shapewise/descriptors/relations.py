"""How two classes relate: ratio and difference of any descriptor, and how far they touch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapewise.descriptors.geometry import volume
from shapewise.descriptors.neighbours import Weights, sides, weighted_neighbours
from shapewise.descriptors.precision import at_least_float32
from shapewise.descriptors.registry import get, names
from shapewise.descriptors.safe import divide
from shapewise.errors import ArgumentError
from shapewise.typing import PairValues, Probs, Spacing, Tensor


def ratio(
    probs: Probs,
    pair: tuple[int, int],
    *,
    descriptor: str | Callable[..., Tensor] = volume,
    spacing: Spacing | None = None,
    **options: Any,
) -> PairValues:
    """Ratio of a descriptor of two classes, f(k) / f(l), component by component.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        pair: the classes k and l.
        descriptor: a function from probabilities to values, or a registered name.
        spacing: passed to the descriptor.
        **options: passed to the descriptor.

    Returns:
        ``(B, C)``. Where f(l) is 0, as it is for the volume of an absent class, the ratio does not exist;
        f(k) in pixels stands in for it.

    Raises:
        ArgumentError: the pair is not two different classes of the image, or no descriptor has that name.

    Source: Kervadec et al., MIDL 2021, section 2.2.

    >>> import torch
    >>> probs = torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1) / 4 * torch.ones(2, 2)
    >>> ratio(probs, (1, 0))
    tensor([[3.]])
    """
    numerator, denominator = _both(probs, pair, descriptor, spacing, options)
    return divide(numerator, denominator, unit=_unit(descriptor, spacing, probs.ndim - 2))


def difference(
    probs: Probs,
    pair: tuple[int, int],
    *,
    descriptor: str | Callable[..., Tensor] = volume,
    spacing: Spacing | None = None,
    **options: Any,
) -> PairValues:
    """Difference of a descriptor of two classes, f(k) − f(l): 0 for the centroids of concentric objects.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        pair: the classes k and l.
        descriptor: a function from probabilities to values, or a registered name.
        spacing: passed to the descriptor.
        **options: passed to the descriptor.

    Returns:
        ``(B, C)``. For an absent class it does not exist; the descriptor's own stand-in counts.

    Raises:
        ArgumentError: the pair is not two different classes of the image, or no descriptor has that name.

    Source: Kervadec et al., MIDL 2021, section 3.1 (equal centroids of two classes).

    >>> import torch
    >>> difference(torch.eye(2).reshape(1, 2, 1, 2), (1, 0), descriptor="centroid")
    tensor([[0., 1.]])
    """
    first, second = _both(probs, pair, descriptor, spacing, options)
    return first - second


@at_least_float32
def contact(
    probs: Probs,
    pair: tuple[int, int],
    *,
    connectivity: int | None = None,
    weights: Weights = "potts",
    spacing: Spacing | None = None,
) -> PairValues:
    """Length of the boundary that two classes share, Σ w_ij (s_i^k s_j^l + s_j^k s_i^l) over neighbours.

    Args:
        probs: class probabilities ``(B, K, *S)``.
        pair: the classes k and l.
        connectivity: 4 or 8 neighbours in 2-D, 6, 18 or 26 in 3-D; the largest if None.
        weights: ``potts`` counts pairs, ``crofton`` gives a Euclidean length or area.
        spacing: distance between pixel centres along each axis. Crofton weights only.

    Returns:
        ``(B, 1)``; 0 if a class is absent.

    Raises:
        ArgumentError: the pair is not two different classes of the image, and as in `length`.

    Source: the Potts interaction of two classes of a Markov random field.

    >>> import torch
    >>> halves = torch.eye(2).repeat_interleave(2, dim=1).reshape(1, 2, 1, 4)
    >>> contact(halves, (0, 1), connectivity=4)
    tensor([[1.]])
    """
    one, other = (probs[:, index] for index in _checked_pair(probs, pair))
    total = probs.new_zeros(len(probs))
    for offset, weight in weighted_neighbours(probs.ndim - 2, connectivity, weights, spacing):
        first, second = sides(offset)
        touching = one[first] * other[second] + one[second] * other[first]
        total = total + weight * touching.flatten(1).sum(-1)
    return total.unsqueeze(-1)


def _both(
    probs: Tensor,
    pair: tuple[int, int],
    descriptor: str | Callable[..., Tensor],
    spacing: Spacing | None,
    options: dict[str, Any],
) -> tuple[Tensor, Tensor]:
    """The descriptor of the two classes; the other classes are never described."""
    function = get(descriptor).function if isinstance(descriptor, str) else descriptor
    values = function(probs[:, list(_checked_pair(probs, pair))], spacing=spacing, **options)
    return values[:, 0], values[:, 1]


def _unit(descriptor: str | Callable[..., Tensor], spacing: Spacing | None, ndim: int) -> float:
    """One pixel in the descriptor's unit; 1 for a function that is not registered and has no known unit."""
    entries = [get(descriptor)] if isinstance(descriptor, str) else [get(name) for name in names()]
    known = [entry.unit(spacing, ndim) for entry in entries if descriptor in (entry.name, entry.function)]
    return known[0] if known else 1.0


def _checked_pair(probs: Tensor, pair: tuple[int, int]) -> tuple[int, int]:
    classes = probs.shape[1]
    if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= index < classes for index in pair):
        raise ArgumentError("pair", expected=f"two different classes below {classes}", found=pair)
    return pair
