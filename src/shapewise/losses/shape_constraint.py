"""The loss of the paper: descriptors of a prediction kept between bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Literal

import torch
from torch import Tensor, nn

from shapewise.constraints import (
    PENALTIES,
    SIZES,
    Bounds,
    Constraint,
    LossReport,
    Penalty,
    Reduction,
    Relation,
    Rule,
    active,
    constrain,
    constrain_together,
    contributions,
    object_spread,
    only_absent,
    present_classes,
    reduce,
    relate,
    residuals,
    satisfied,
    smallest_size,
)
from shapewise.constraints.logarithm import in_logarithms
from shapewise.descriptors import Descriptor, contact, describe_together, get
from shapewise.descriptors.axes import pixel_size
from shapewise.descriptors.compiled import covers, describe_compiled
from shapewise.descriptors.safe import divide
from shapewise.descriptors.together import describe_mask
from shapewise.errors import ArgumentError
from shapewise.losses.inputs import Target, look_up_possible, probabilities
from shapewise.typing import Logits, Probs, Values

__all__ = ["ShapeConstraintLoss", "Target"]

ABSENT_SHARE = 0.02
"""The share of the image that a false positive is measured against.

An absent class has no size of its own. Objects worth annotating cover a few percent of an image, so a class
that should not be there is pushed out about as hard as the volume of one that should be is corrected.
"""


class ShapeConstraintLoss(nn.Module):
    """Penalise every shape descriptor of a prediction that lies outside its bounds (paper, model (2)).

    **Absent classes.** A class that the target says is absent (volume 0) keeps one constraint, ``volume <=
    absent_volume``. Everything else about it is dropped, its relations but for contacts too. If the volume is
    not among the descriptors, that one constraint is called ``absent_volume``; a loss of relations alone
    leaves it out.

    **Relative residuals** (default): every residual is divided by a size of the annotated object, so that all
    weigh alike. Volume, spread and length by their annotated value; the centroid by the annotated spread
    along each axis; a covariance by the product of two spreads; angles and the like by 1; an absent class's
    volume by 2% of the image. ``margin`` counts in the same unit, so a centroid may be off by ``margin``
    spreads. That departs from the paper's text, ±10% of the coordinate, which depends on where the image
    begins. Where a mapping gives no spread it comes from the covariance, else from the disc or ball of that
    volume, else it is a tenth of the image's shortest side. The loss is the mean over images of the mean
    over active bounds.

    **Logarithmic residuals** allow the same values, and compare volumes, spreads and lengths by their
    logarithms: a class that the network has stopped predicting still gets a gradient.

    **Raw residuals** are the paper's: in px or mm, ±``margin`` of the value itself for volume, centroid,
    spread and length, summed over bounds. A volume then weighs a thousand times as much as a centroid.

    Args:
        descriptors: registered names; see ``shapewise.descriptors.names()``.
        penalty: ``log_barrier``, ``quadratic``, ``hinge``, ``augmented_lagrangian``, or a ``Penalty``.
        margin: half-width of the bounds around known values, where the target brings none.
        absolute_margins: descriptor -> half-width in px or mm, in place of ``margin``.
        relations: bounds on pairs of classes, or on one, that are known in advance.
        include_background: constrain class 0 too. Mappings then hold values for it.
        softmax: the input is logits; apply a softmax over the classes.
        sigmoid: the input is logits; apply a sigmoid.
        residual_scale: ``relative``, ``logarithmic`` or ``raw``.
        absent_volume: the volume that an absent class may have, in px or mm; one pixel if None.
        spacing: distance between pixel centres along each axis in mm, pixels if None. Mappings
            share the unit.
        reduction: over the images: ``mean``, ``sum``, or ``none`` for a loss of shape ``(B,)``.

    Raises:
        ArgumentError: an argument is unknown or out of range.

    >>> mask = torch.zeros(2, 32, 32, dtype=torch.long)
    >>> mask[:, 8:20, 10:22] = 1
    >>> logits = torch.zeros(2, 2, 32, 32, requires_grad=True)
    >>> loss = ShapeConstraintLoss(softmax=True)
    >>> loss(logits, mask).backward()
    >>> loss.report(logits, mask).satisfied["centroid"]
    tensor(0.7500)
    """

    def __init__(
        self,
        descriptors: Sequence[str] = ("volume", "centroid", "spread", "length"),
        *,
        penalty: nn.Module | str = "log_barrier",
        margin: float = 0.1,
        absolute_margins: Mapping[str, float] | None = None,
        relations: Sequence[Relation] = (),
        include_background: bool = False,
        softmax: bool = False,
        sigmoid: bool = False,
        residual_scale: Literal["relative", "logarithmic", "raw"] = "relative",
        absent_volume: float | None = None,
        spacing: Sequence[float] | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.descriptors = tuple(get(name) for name in descriptors)
        self.penalty = _penalty(penalty)
        self.margin = margin
        self.absolute_margins = dict(absolute_margins or {})
        self.relations = tuple(relations)
        self.include_background, self.softmax, self.sigmoid = include_background, softmax, sigmoid
        self.raw, self.logarithmic = residual_scale == "raw", residual_scale == "logarithmic"
        self.absent_volume, self.reduction = absent_volume, reduction
        if isinstance(spacing, int | float):
            raise ArgumentError("spacing", expected="a number for each axis", found=spacing)
        self.spacing = None if spacing is None else tuple(map(float, spacing))
        _check_choice("residual_scale", residual_scale, ("relative", "logarithmic", "raw"))
        _check_choice("reduction", reduction, ("mean", "sum", "none"))
        _check(self)

    def forward(self, input: Logits | Probs, target: Target) -> Tensor:
        """Return the loss.

        Args:
            input: ``(B, K, *S)``, 2-D or 3-D: logits with ``softmax`` or ``sigmoid``, else probabilities.
            target: a label mask ``(B, *S)`` or ``(B, 1, *S)``; a one-hot mask ``(B, K, *S)``; or a mapping
                from every descriptor's name to values ``(B, K', C)``, NaN where unknown, or to ``Bounds``
                of that shape, whose NaN sides get the margin where the reference is known. K' leaves the
                background out unless ``include_background``. Values of the ``spread`` set the scale,
                constrained or not.

        Returns:
            A scalar, or ``(B,)`` without reduction; at least float32. Finite, as is its gradient, for empty,
            full and one-hot predictions.

        Raises:
            ArgumentError: a shape does not fit, a label is outside the classes, a descriptor is missing, or
                a number is one that no object has: infinite, or a negative amount or variance.
        """
        z, costs, _ = self._evaluate(input, target)
        return reduce(z, costs, reduction=self.reduction, average=not self.raw)

    def report(self, input: Logits | Probs, target: Target) -> LossReport:
        """Return the loss with what every constraint adds to it and how many hold; see ``forward``.

        It is an evaluation of the loss like any other: call it in place of ``forward``, not after it.
        """
        z, costs, sizes = self._evaluate(input, target)
        total = reduce(z, costs, reduction=self.reduction, average=not self.raw)
        parts = contributions(z, costs, sizes, reduction=self.reduction, average=not self.raw)
        return LossReport(total, parts, satisfied(z, sizes), active(z, sizes))

    def start_epoch(self, epoch: int) -> None:
        """Tell the penalty that an epoch begins, counted from 0: t grows, multipliers are updated."""
        self.penalty.start_epoch(epoch)

    def _evaluate(self, input: Tensor, target: Target) -> tuple[Tensor, Tensor, dict[str, int]]:
        """Residuals and costs ``(B, N, 2)`` of all constraints, and how many of the N each name has."""
        with torch.autocast(input.device.type, enabled=False):
            scores = probabilities(input, softmax=False, sigmoid=self.sigmoid)
            if scores.shape[1] <= self._first:
                expected = "of two classes or more, unless `include_background` is True"
                raise ArgumentError("input", expected=expected, found=tuple(input.shape))
            constraints, sizes = self._constraints(scores, target)
            parts = [_residuals(each) for each in constraints]
            # One tensor for all of them: a penalty of each would cost as much time as their descriptors.
            z = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
            return z, self.penalty(z, "+".join(sizes)), sizes

    def _constraints(self, scores: Tensor, target: Target) -> tuple[list[Constraint], dict[str, int]]:
        """Describe the prediction once, and find what its values are to be compared with."""
        names = [d.name for d in (*self.descriptors, *self._unconstrained_volume)]
        how: dict[str, Any] = {"spacing": self.spacing, "first": self._first}
        if self.softmax and not any(map(self._needs_probs, self.relations)) and covers(scores, names):
            probs = scores.detach()  # only the shape matters from here on
            values = describe_compiled(scores, names, softmax=True, **how)
        else:
            probs = scores.softmax(1) if self.softmax else scores
            values = describe_together(probs, names, **how)
        objects = probs.detach()[:, self._first :]
        given = self._annotated(target, probs.detach())
        known = {name: x.center() if isinstance(x, Bounds) else x for name, x in given.items()}
        spread = self._object_spread(known, objects)
        present = present_classes(given) if given else objects.new_ones(objects.shape[:2], dtype=torch.bool)
        found = {}
        for d in self._unconstrained_volume:
            rule, none = self._rule(d, objects), torch.full_like(values[d.name], math.nan)
            bound = constrain(values[d.name], given.get(d.name, none), rule, spread=spread, present=present)
            found["absent_volume"] = only_absent(bound, present)
        for relation in self.relations:
            value = self._relation_value(relation, values, probs)
            found[relation.key] = relate(value, relation, self._absent(relation, present))
        parts = list(found.values())
        sizes = {d.name: values[d.name].shape[1:].numel() for d in self.descriptors}
        if self.descriptors:
            parts.insert(0, self._described(values, given, objects, spread=spread, present=present))
        sizes |= {key: each.value.shape[1:].numel() for key, each in found.items()}
        return parts, sizes

    def _described(
        self,
        values: Mapping[str, Tensor],
        given: Mapping[str, Tensor | Bounds],
        objects: Tensor,
        *,
        spread: Tensor,
        present: Tensor,
    ) -> Constraint:
        """Bound the descriptors, ``(B, K, N)``; compare amounts by their logarithms if so wanted."""
        rules = {d.name: self._rule(d, objects) for d in self.descriptors}
        found = constrain_together(values, given, rules, spread=spread, present=present)
        if self.logarithmic:
            ndim, there = objects.ndim - 2, present.unsqueeze(-1)
            amounts = [d.scale == "value" and d.unit_power(ndim) > 0 for d in self.descriptors]
            each = zip(self.descriptors, amounts, strict=True)
            which = [(there & amount).expand_as(values[d.name]) for d, amount in each]
            found = in_logarithms(found, torch.cat(which, -1))
        return found

    def _annotated(self, target: Target, probs: Tensor) -> dict[str, Values | Bounds]:
        """Turn any target into values or bounds ``(B, K', C)``; sizes come along to set the scale."""
        names = [d.name for d in self.descriptors]
        objects = probs[:, self._first :]
        if isinstance(target, Mapping):
            return look_up_possible(names, target, objects, first=self._first)
        names += [name for name in ("volume", "spread") if name not in names]
        return {**describe_mask(target, probs, names, spacing=self.spacing, first=self._first)}

    def _object_spread(self, known: Mapping[str, Tensor], objects: Tensor) -> Tensor:
        space = objects.shape[2:]
        steps = self.spacing or (1.0,) * len(space)
        side = min(count * step for count, step in zip(space, steps, strict=True))
        sizes = {name: known[name] for name in SIZES if name in known}
        return object_spread(len(space), **sizes, fallback=objects.new_full((len(space),), side / 10))

    def _rule(self, descriptor: Descriptor, objects: Tensor) -> Rule:
        ndim = objects.ndim - 2
        pixel = pixel_size(self.spacing, ndim)
        allowed = pixel if self.absent_volume is None else self.absent_volume
        return Rule(
            descriptor.scale,
            floor=smallest_size(descriptor.unit_power(ndim), pixel ** (1 / ndim)),
            margin=self.margin,
            absolute=self.absolute_margins.get(descriptor.name),
            raw=self.raw,
            absent_upper=allowed if descriptor.name == "volume" else None,
            absent_scale=max(allowed, ABSENT_SHARE * math.prod(objects.shape[2:]) * pixel),
        )

    def _absent(self, relation: Relation, present: Tensor) -> Tensor:
        """Images ``(B, 1)`` in which a class that the relation is about is not there."""
        if relation.kind == "contact":
            return torch.zeros_like(present[:, :1])
        described = [index for index in self._indices(relation) if index >= 0]
        return ~present[:, described].all(1, keepdim=True)

    def _relation_value(self, relation: Relation, values: Mapping[str, Tensor], probs: Tensor) -> Tensor:
        """The relation's value ``(B, C)``, from those that are computed already if they are there."""
        pair, indices = relation.pair, self._indices(relation)
        if max(pair) >= probs.shape[1]:
            expected = f"of more than {max(pair)} classes, as there is a relation of {pair}"
            raise ArgumentError("input", expected=expected, found=tuple(probs.shape))
        if relation.kind == "contact":
            return contact(probs, (pair[0], pair[1]), weights="crofton", spacing=self.spacing)
        described = get(relation.descriptor)
        if relation.descriptor in values and min(indices) >= 0:
            each = [values[relation.descriptor][:, index] for index in indices]
        else:
            each = list(described.function(probs[:, list(pair)], spacing=self.spacing).unbind(1))
        if relation.kind == "value":
            return each[0]
        if relation.kind == "difference":
            return each[0] - each[1]
        return divide(each[0], each[1], unit=described.unit(self.spacing, probs.ndim - 2))

    def _needs_probs(self, relation: Relation) -> bool:
        described = [d.name for d in self.descriptors]
        known = relation.descriptor in described and min(self._indices(relation)) >= 0
        return relation.kind == "contact" or not known

    def _indices(self, relation: Relation) -> list[int]:
        """Its classes among the described ones: -1 for a background that is not."""
        return [index - self._first for index in relation.pair]

    @property
    def _unconstrained_volume(self) -> list[Descriptor]:
        """The volume, where it is measured only to keep absent classes away."""
        constrained = [d.name for d in self.descriptors]
        return [] if "volume" in constrained or not constrained else [get("volume")]

    @property
    def _first(self) -> int:
        return 0 if self.include_background else 1


def _residuals(constraint: Constraint) -> Tensor:
    """Residuals ``(B, N, 2)``: of one component of all classes, then of the next."""
    value, lower, upper, scale = constraint
    z = residuals(value, Bounds(lower, upper, validate=False), scale)
    return z.transpose(1, 2).flatten(1, 2) if z.ndim == 4 else z


def _penalty(penalty: nn.Module | str) -> Penalty:
    if isinstance(penalty, Penalty):
        return penalty
    if isinstance(penalty, str) and penalty in PENALTIES:
        return PENALTIES[penalty]()
    expected = f"a `Penalty` or one of {', '.join(PENALTIES)}"
    raise ArgumentError("penalty", expected=expected, found=repr(penalty))


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ArgumentError(name, expected=f"one of {', '.join(choices)}", found=repr(value))


def _check(loss: ShapeConstraintLoss) -> None:
    if loss.softmax and loss.sigmoid:
        raise ArgumentError("sigmoid", expected="False where `softmax` is True", found=True)
    if not loss.descriptors and not loss.relations:
        raise ArgumentError("descriptors", expected="at least one, as there are no relations", found="none")
    margins = {"margin": loss.margin, "absent_volume": loss.absent_volume or 0.0}
    margins |= {f"absolute_margins[{name!r}]": width for name, width in loss.absolute_margins.items()}
    for name, value in margins.items():
        if not isinstance(value, Real) or not 0 <= value < math.inf:
            raise ArgumentError(name, expected="a finite number of at least 0", found=value)
    names = [d.name for d in loss.descriptors]
    for name in loss.absolute_margins:
        _check_choice("absolute_margins", name, tuple(names))
    for relation in loss.relations:
        get(relation.descriptor)
    keys = names + [relation.key for relation in loss.relations]
    if len(set(keys)) < len(keys):
        raise ArgumentError("descriptors", expected="all different, as `relations`", found=", ".join(keys))
