"""From what is known of an object to what is allowed: margins, and the objects that are not there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from shapewise.constraints.bounds import Bounds
from shapewise.constraints.relation import Relation
from shapewise.constraints.scales import ScaleKind, own_size


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
    return constrain_together({"": value}, {"": given}, {"": rule}, spread=spread, present=present)


def constrain_together(
    values: Mapping[str, Tensor],
    given: Mapping[str, Tensor | Bounds],
    rules: Mapping[str, Rule],
    *,
    spread: Tensor,
    present: Tensor,
) -> Constraint:
    """Bound several descriptors as `constrain` bounds one, in no more steps than one takes.

    Args:
        values: the prediction's, ``(B, K, C)`` each.
        given: what is known, as in `constrain`.
        rules: one for each descriptor to be bounded; all of them ``raw``, or none.
        spread: of the annotated objects, ``(B, K, ndim)``.
        present: ``(B, K)``, which of the objects are there.

    Returns:
        Tensors ``(B, K, N)`` of all components, descriptor after descriptor.

    >>> area, rules = {"volume": torch.tensor([[[100.0], [50.0]]])}, {"volume": Rule("value", 0.5)}
    >>> there = torch.tensor([[True, True]])
    >>> constrain_together(area, area, rules, spread=torch.ones(2), present=there).upper
    tensor([[[110.],
             [ 55.]]])
    """
    known, sides = _join([given[name] for name in rules])
    counts = tuple(values[name].shape[-1] for name in rules)
    rows = _rows(tuple(rules.values()), counts, known)
    each = zip(rules.values(), known.split(counts, -1), strict=True)
    size = torch.cat([own_size(rule.kind, part, spread) for rule, part in each], -1).maximum(rows.floor)
    raw = any(rule.raw for rule in rules.values())
    reach = torch.where(rows.by_value, known.abs(), size) if raw else size
    lower, upper, absent_upper = _sides(
        sides, torch.addcmul(rows.absolute, rows.margin, reach), rows.absent_upper
    )
    absent = ~present.unsqueeze(-1)
    lower = lower.masked_fill(absent, -math.inf)
    # What is not known at all, not even as absent, stays free.
    upper = torch.where(absent & ~known.isnan(), absent_upper, upper)
    scale = torch.ones_like(size) if raw else torch.where(absent, rows.absent_scale, size)
    return Constraint(torch.cat([values[name] for name in rules], -1), lower, upper, scale)


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


def present_classes(given: Mapping[str, Tensor | Bounds]) -> Tensor:
    """Tell which classes an annotation says are there.

    Args:
        given: descriptor -> annotated values ``(B, K, C)``, NaN where unknown, or bounds; at least one.

    Returns:
        ``(B, K)`` bool: something is known, and the volume is neither 0 nor bounded to be. A volume from 0
        on, open above, may be any.

    >>> present_classes({"volume": torch.tensor([[[9.0], [0.0], [torch.nan]]])})
    tensor([[ True, False, False]])
    """
    centers = [each.center() if isinstance(each, Bounds) else each for each in given.values()]
    known = torch.cat(centers, dim=-1).isfinite().any(-1)
    volume = given.get("volume")
    if volume is None:
        return known
    if not isinstance(volume, Bounds):
        return known & ~(volume[..., 0] <= 0)
    absent = volume.upper <= 0
    if volume.reference is not None:
        absent = absent | (volume.reference <= 0)
    return known & ~absent[..., 0]


def relate(value: Tensor, relation: Relation, absent: Tensor) -> Constraint:
    """Bound a relation ``(B, C)``, but for the images ``(B, 1)`` in which one of its classes is absent.

    >>> relate(torch.tensor([[4.0]]), Relation("ratio", (1, 2), upper=3.0), torch.tensor([[False]])).upper
    tensor([[3.]])
    """
    lower, upper = (torch.full_like(value, side).masked_fill(absent, math.nan) for side in relation.interval)
    return Constraint(value, lower, upper, torch.full_like(value, relation.scale))


class _Rows(NamedTuple):
    """What rules say of every component, ``(N,)``."""

    floor: Tensor
    margin: Tensor
    absolute: Tensor
    absent_upper: Tensor
    absent_scale: Tensor
    by_value: Tensor


def _build_rows(
    rules: Sequence[Rule], counts: Sequence[int], dtype: torch.dtype, device: torch.device
) -> _Rows:
    def row(number: Callable[[Rule], float]) -> Tensor:
        each = [number(rule) for rule, count in zip(rules, counts, strict=True) for _ in range(count)]
        return torch.tensor(each, dtype=dtype).to(device)

    return _Rows(
        floor=row(lambda rule: rule.floor),
        margin=row(lambda rule: rule.margin if rule.absolute is None else 0.0),
        absolute=row(lambda rule: rule.absolute or 0.0),
        absent_upper=row(lambda rule: math.inf if rule.absent_upper is None else rule.absent_upper),
        absent_scale=row(lambda rule: rule.absent_scale),
        by_value=row(lambda rule: rule.kind in ("value", "spread")).bool(),
    )


_kept_rows = lru_cache(maxsize=32)(torch.inference_mode(False)(_build_rows))


def _rows(rules: tuple[Rule, ...], counts: tuple[int, ...], like: Tensor) -> _Rows:
    """Built once, but for the compiler, which makes constants of them."""
    build = _build_rows if torch.compiler.is_compiling() else _kept_rows
    return build(rules, counts, like.dtype, like.device)


def _join(given: Sequence[Tensor | Bounds]) -> tuple[Tensor, Tensor | Bounds]:
    """What is known ``(B, K, N)``, and the same or, if there are any, bounds of that shape."""
    values = [x for x in given if isinstance(x, Tensor)]
    if len(values) == len(given):
        known = torch.cat(values, -1)
        return known, known
    each = [x if isinstance(x, Bounds) else Bounds.unknown(x) for x in given]
    references = [torch.full_like(x.lower, math.nan) if x.reference is None else x.reference for x in each]
    lower, upper = torch.cat([x.lower for x in each], -1), torch.cat([x.upper for x in each], -1)
    sides = Bounds(lower, upper, torch.cat(references, -1), validate=False)
    return sides.center(), sides


def _sides(given: Tensor | Bounds, half_width: Tensor, absent_upper: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lower and upper bounds of what is there, and the upper bound of what is not."""
    if not isinstance(given, Bounds):
        return given - half_width, given + half_width, absent_upper
    filled = given.filled(half_width)
    open_ = given.upper.isnan() | absent_upper.isinf()
    return filled.lower, filled.upper, torch.where(open_, absent_upper, given.upper)
