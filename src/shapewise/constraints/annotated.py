"""From what is known of an object to what is allowed: margins, and the objects that are not there."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from shapewise.constraints.bounds import Bounds
from shapewise.constraints.scales import ScaleKind


def with_margin(
    given: Bounds, scale: Tensor, kind: ScaleKind, *, margin: float, absolute: float | None, raw: bool
) -> Bounds:
    """Put a margin around every known value, where the annotation brings no bound of its own.

    Args:
        given: NaN sides where the margin is to apply.
        scale: the size that a relative margin is a share of, see `relative_scale`.
        kind: what that size is.
        margin: half-width as a share of the scale; of the value itself, as in the paper, if ``raw`` and the
            value is an amount or a coordinate.
        absolute: half-width in the value's own unit, in place of ``margin``.
        raw: the paper's margins.

    Source: paper, section 2.3, for ``raw``; relative to the object's size otherwise, which is ours.

    >>> centroid = Bounds.unknown(torch.tensor([[[100.0, 50.0]]]))
    >>> spread = torch.tensor([[[10.0, 10.0]]])
    >>> with_margin(centroid, spread, "spread", margin=0.1, absolute=None, raw=False).upper
    tensor([[[101.,  51.]]])
    >>> with_margin(centroid, spread, "spread", margin=0.1, absolute=None, raw=True).upper
    tensor([[[110.,  55.]]])
    """
    value = given.center()
    if absolute is not None:
        return given.filled(torch.full_like(value, absolute))
    return given.filled(margin * (value.abs() if raw and kind in ("value", "spread") else scale))


def absent_bounds(given: Bounds, volume: float) -> Bounds:
    """Bound the volume of classes that are not there: at most ``volume``, unless an upper bound was given.

    >>> absent_bounds(Bounds.unknown(torch.zeros(1, 1, 1)), 1.0).active
    tensor([[[[False,  True]]]])
    """
    upper = given.upper.nan_to_num(nan=volume, posinf=math.inf, neginf=-math.inf)
    return Bounds(torch.full_like(upper, -math.inf), upper, given.reference, validate=False)


def present_classes(values: Mapping[str, Tensor]) -> Tensor | None:
    """Tell which classes an annotation says are there.

    Args:
        values: descriptor -> annotated values ``(B, K, C)``, NaN where unknown.

    Returns:
        ``(B, K)`` bool: the volume is positive, or, where no volume is known, any value is known. None for an
        empty mapping, which says nothing.

    >>> present_classes({"volume": torch.tensor([[[9.0], [0.0], [torch.nan]]])})
    tensor([[ True, False, False]])
    """
    if not values:
        return None
    known = torch.stack([value.isfinite().any(-1) for value in values.values()]).any(0)
    volume = values.get("volume")
    return known if volume is None else torch.where(volume[..., 0].isnan(), known, volume[..., 0] > 0)
