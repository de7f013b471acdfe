"""From what is known of an object to what is allowed: margins, and the objects that are not there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from shapewise.constraints.bounds import Bounds
from shapewise.constraints.relation import Relation
from shapewise.constraints.scales import ScaleKind, relative_scale


class Constraint(NamedTuple):
    """Numbers and what they are compared with, tensors of one shape."""

    value: Tensor
    lower: Tensor
    upper: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Rule:
    """How a descriptor's values are bounded and measured.

    Attributes:
        kind: what size of the object its residuals are divided by.
        floor: the smallest such size, which keeps one-pixel objects from dividing by zero.
        margin: half-width of the bounds as a share of that size.
        absolute: half-width in the value's own unit, in place of ``margin``.
        raw: the paper's way: residuals are not divided, and ``margin`` is a share of the value itself, where
            the value is an amount or a coordinate.
        absent_upper: upper bound for a class that is not there; None drops every bound on it.
        absent_scale: what residuals of a class that is not there are divided by.
    """

    kind: ScaleKind
    floor: float
    margin: float = 0.1
    absolute: float | None = None
    raw: bool = False
    absent_upper: float | None = None
    absent_scale: float = 1.0


def constrain(
    value: Tensor, given: Tensor | Bounds, rule: Rule, *, spread: Tensor, present: Tensor
) -> Constraint:
    """Bound a prediction's descriptor by what is known of the annotated objects.

    Args:
        value: the prediction's values ``(B, K, C)``.
        given: annotated values ``(B, K, C)``, NaN where unknown, or bounds whose NaN sides get the margin.
        rule: how.
        spread: of the annotated objects, ``(B, K, ndim)``.
        present: ``(B, K)``, which of the objects are there.

    Source: paper, section 2.3, for ``raw``; sizes of the object in place of the value are ours.

    >>> centroid, spread = torch.tensor([[[100.0, 50.0]]]), torch.tensor([[[10.0, 8.0]]])
    >>> there = torch.tensor([[True]])
    >>> constrain(centroid, centroid, Rule("spread", 0.5), spread=spread, present=there).upper
    tensor([[[101.0000,  50.8000]]])
    >>> constrain(centroid, centroid, Rule("spread", 0.5, raw=True), spread=spread, present=there).upper
    tensor([[[110.,  55.]]])
    """
    known = given.center() if isinstance(given, Bounds) else given
    size = relative_scale(rule.kind, known, spread, rule.floor)
    lower, upper, absent_upper = _sides(given, _half_width(rule, known, size), rule.absent_upper)
    absent = ~present.unsqueeze(-1)
    lower = lower.masked_fill(absent, -math.inf)
    # What is not known at all, not even as absent, stays free.
    upper = torch.where(absent & ~known.isnan(), absent_upper, upper)
    scale = torch.ones_like(size) if rule.raw else size.masked_fill(absent, rule.absent_scale)
    return Constraint(value, lower, upper, scale)


def only_absent(constraint: Constraint, present: Tensor) -> Constraint:
    """Keep the bounds on objects that are not there, and drop those on all others.

    >>> one = torch.ones(1, 2, 1)
    >>> only_absent(Constraint(one, one, one, one), torch.tensor([[True, False]])).upper
    tensor([[[nan],
             [1.]]])
    """
    there = present.unsqueeze(-1)
    lower, upper = (side.masked_fill(there, math.nan) for side in (constraint.lower, constraint.upper))
    return constraint._replace(lower=lower, upper=upper)


def present_classes(values: Mapping[str, Tensor]) -> Tensor:
    """Tell which classes an annotation says are there.

    Args:
        values: descriptor -> annotated values ``(B, K, C)``, NaN where unknown; at least one.

    Returns:
        ``(B, K)`` bool: the volume is positive, or, where no volume is known, any value is known.

    >>> present_classes({"volume": torch.tensor([[[9.0], [0.0], [torch.nan]]])})
    tensor([[ True, False, False]])
    """
    known = torch.cat([value.isfinite() for value in values.values()], dim=-1).any(-1)
    volume = values.get("volume")
    return known if volume is None else known & (volume[..., 0].nan_to_num(1.0) > 0)


def relate(value: Tensor, relation: Relation, absent: Tensor) -> Constraint:
    """Bound a relation of two classes ``(B, C)``, but for the images ``(B, 1)`` in which one is absent.

    >>> relate(torch.tensor([[4.0]]), Relation("ratio", (1, 2), upper=3.0), torch.tensor([[False]])).upper
    tensor([[3.]])
    """
    lower, upper = (torch.full_like(value, side).masked_fill(absent, math.nan) for side in relation.interval)
    return Constraint(value, lower, upper, torch.full_like(value, relation.scale))


def _half_width(rule: Rule, known: Tensor, size: Tensor) -> Tensor:
    if rule.absolute is not None:
        return torch.full_like(known, rule.absolute)
    return rule.margin * (known.abs() if rule.raw and rule.kind in ("value", "spread") else size)


def _sides(
    given: Tensor | Bounds, half_width: Tensor, absent_upper: float | None
) -> tuple[Tensor, Tensor, Tensor | float]:
    """Lower and upper bounds of what is there, and the upper bound of what is not."""
    if not isinstance(given, Bounds):
        return given - half_width, given + half_width, math.inf if absent_upper is None else absent_upper
    filled = given.filled(half_width)
    if absent_upper is None:
        return filled.lower, filled.upper, math.inf
    return filled.lower, filled.upper, given.upper.nan_to_num(absent_upper, math.inf, -math.inf)
