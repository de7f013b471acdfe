"""From the values of descriptors to the moments that a projection has to meet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from shapewise.constraints import SIZES, Bounds, object_spread, require_possible
from shapewise.descriptors import get
from shapewise.descriptors.higher import exponents
from shapewise.descriptors.least import least_values
from shapewise.errors import ArgumentError
from shapewise.typing import Values

CENTRAL = {"covariance": 2, "third_moments": 3, "fourth_moments": 4}
"""Descriptors that are means of powers about the centroid, and their degree."""

MOMENT_DESCRIPTORS = ("volume", "centroid", "spread", *CENTRAL)
"""Descriptors that are moments, or functions of moments that turn into linear constraints."""

SMALLEST_SPREAD = 0.5
"""In pixels; the coordinates of a one-pixel object are divided by it."""

Given: TypeAlias = Mapping[str, Values | Bounds]

Sides: TypeAlias = tuple[Tensor, Tensor]
"""A lower and an upper bound, ``(B, K, P)`` each: infinite where open."""


@dataclass(frozen=True)
class AnnotatedMoments:
    """What the moments of every object must come to, in coordinates of the object's own.

    With u = (x − centre) / scale, the volume Σ q and the means Σ q u^p / Σ q lie between a lower and an upper
    bound, equal where a number is known exactly. A mean is a constraint by itself: Σ q (u^p − bound) is to be
    0, or of one sign, whatever the volume.

    Attributes:
        exponents: the P multi-indices p, the first of them 0: the volume's.
        centre: ``(B, K, n)``, pixels.
        scale: ``(B, K, n)``, pixels; positive.
        lower: ``(B, K, P)``, of the volume in pixels and of the means; -inf where open.
        upper: likewise; inf where open.
        known: ``(B, K, P)`` bool: the constraints to be met.
        present: ``(B, K)`` bool: False removes the class from the image.
        size: ``(B, K)``, pixels, positive: what residuals are measured against.
        variance: ``(B, K, P)``, pixels squared: of the annotator's error in each sum; None: there is none.
    """

    exponents: tuple[tuple[int, ...], ...]
    centre: Tensor
    scale: Tensor
    lower: Tensor
    upper: Tensor
    known: Tensor
    present: Tensor
    size: Tensor
    variance: Tensor | None = None

    def like(self, tensor: Tensor) -> AnnotatedMoments:
        """The same on a tensor's device, numbers in its type."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "exponents"}
        moved: dict[str, Any] = {
            name: each.to(tensor.device, each.dtype if each.dtype == torch.bool else tensor.dtype)
            for name, each in tensors.items()
            if each is not None
        }
        return replace(self, **moved)


def annotated_moments(
    given: Given,
    ndim: int,
    *,
    descriptors: Sequence[str] | None = None,
    error: float = 0.0,
    tolerance: float = 0.0,
    called: str = "given",
) -> AnnotatedMoments:
    """Turn descriptor values, in pixels, into moments.

    A class of volume 0 is absent. One of which nothing is known stays as it is predicted.

    Args:
        given: descriptor -> values ``(B, K, C)``, NaN where unknown, or bounds: a side that is NaN is the
            known value, or open where none is known.
        ndim: 2 or 3.
        descriptors: those to be met, among ``volume``, ``centroid``, ``spread``, ``covariance``,
            ``third_moments`` and ``fourth_moments``; all that are given if None. The others only tell how
            large the classes are, and a volume which are there. Where the covariance is not known the spread
            counts; without a centroid nothing but the volume does. Third and fourth moments are taken about
            the middle of a centroid's bounds.
        error: standard deviation of the annotator's error, relative: of a volume in volumes, of a spread in
            spreads; a centroid's is twice that, in spreads.
        tolerance: likewise, how far a number may be off and be left alone: its bounds move apart.
        called: what errors call ``given``; they count classes from 1, the background being 0.

    Raises:
        ArgumentError: a descriptor is no moment or has another number of components, a number is infinite, an
            amount or a variance negative, or nothing is given.

    >>> disc = {"volume": torch.tensor([[[9.0]]]), "centroid": torch.tensor([[[4.0, 4.0]]])}
    >>> annotated_moments(disc | {"spread": torch.tensor([[[1.5, 1.5]]])}, 2).exponents
    ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2))
    """
    wanted = tuple(given if descriptors is None else descriptors)
    check_moments(wanted)
    for name in wanted:
        if name not in given:
            raise ArgumentError("given", expected=f"to have {name!r}", found=", ".join(given) or "nothing")
    _check_values(given, ndim, called)
    found = {name: _Interval.of(each) for name, each in given.items() if name in MOMENT_DESCRIPTORS}
    open_ = _Interval.open_like(next(iter(found.values())).lower[..., :1])
    volume = found.get("volume", open_)
    scale = _scale(found, open_, ndim)
    middle = volume.middle()
    features = [_Features(exponents(0, ndim), (volume if "volume" in wanted else open_)[:2], 1.0)]
    if "centroid" in wanted:
        features += _about_the_centroid(found, wanted, scale)
    lower, upper = (torch.cat([f.sides[side] for f in features], -1) for side in (0, 1))
    # Where the volume is not known, that of a box one spread to each side is as good a measure.
    size = torch.where(middle > 0, middle, (2 * scale).prod(-1, keepdim=True))
    present = ~((volume.value == 0) | (volume.upper <= 0))
    reach = scale.new_tensor([f.reach for f in features for _ in f.exponents])
    slack = tolerance * reach * torch.cat([size, torch.ones_like(lower[..., 1:])], -1)
    lower, upper = lower - slack, upper + slack
    return AnnotatedMoments(
        exponents=tuple(exponent for f in features for exponent in f.exponents),
        centre=found["centroid"].middle().nan_to_num(0.0) if "centroid" in wanted else 0 * scale,
        scale=scale,
        lower=lower,
        upper=upper,
        known=(lower.isfinite() | upper.isfinite()) & present,
        present=present[..., 0],
        size=size[..., 0],
        variance=(error * reach * size) ** 2 if error else None,
    )


def check_moments(names: Sequence[str] | Given) -> None:
    """Refuse descriptors that are no moments, or none at all."""
    unknown = [name for name in names if name not in MOMENT_DESCRIPTORS]
    twice = [f"{name} twice" for name in MOMENT_DESCRIPTORS if list(names).count(name) > 1]
    if unknown or twice or not names:
        expected = f"moments, each once, from {', '.join(MOMENT_DESCRIPTORS)}"
        raise ArgumentError("descriptors", expected=expected, found=[*unknown, *twice, "none"][0])


class _Interval(NamedTuple):
    """Where a number lies, ``(B, K, C)`` each: infinite where open, and the value that is NaN if unknown."""

    lower: Tensor
    upper: Tensor
    value: Tensor

    @classmethod
    def of(cls, given: Tensor | Bounds) -> _Interval:
        if not isinstance(given, Bounds):
            given = Bounds(given, given, given, validate=False)
        sides = given.filled(0.0)
        value = torch.full_like(sides.lower, math.nan) if given.reference is None else given.reference
        lower, upper = (
            torch.where(side.isnan(), limit, side)
            for side, limit in ((sides.lower, -math.inf), (sides.upper, math.inf))
        )
        return cls(lower, upper, value)

    @classmethod
    def open_like(cls, tensor: Tensor) -> _Interval:
        return cls(*(torch.full_like(tensor, side) for side in (-math.inf, math.inf, math.nan)))

    def middle(self) -> Tensor:
        """The middle, or the one bound that there is; NaN where both sides are open."""
        one = torch.where(self.lower.isfinite(), self.lower, self.upper)
        one = torch.where(one.isfinite(), one, math.nan)
        return torch.where(self.closed(), (self.lower + self.upper) / 2, one)

    def closed(self) -> Tensor:
        return self.lower.isfinite() & self.upper.isfinite()

    def half_width(self) -> Tensor:
        return torch.where(self.closed(), (self.upper - self.lower) / 2, 0.0)


class _Features(NamedTuple):
    """Some features of all objects, ``(B, K, P)``: exponents, the bounds of their means, and their reach.

    The reach says by how many sizes of the object a sum is off where a spread is off by one spread.
    """

    exponents: tuple[tuple[int, ...], ...]
    sides: Sides
    reach: float


def _about_the_centroid(
    found: Mapping[str, _Interval], wanted: Sequence[str], scale: Tensor
) -> list[_Features]:
    """The features that need to know where an object is: its first moments, and means of higher powers."""
    ndim, centroid = scale.shape[-1], found["centroid"]
    centre = centroid.middle().nan_to_num(0.0)
    first = (centroid.lower - centre) / scale, (centroid.upper - centre) / scale
    features = [_Features(exponents(1, ndim), first, 2.0)]
    located = centroid.closed().all(-1, keepdim=True)
    for name, order in {"spread": 2, **CENTRAL}.items():
        # The covariance holds all that a spread says, and takes it in where it is not known itself.
        if name not in wanted or (name == "spread" and "covariance" in wanted):
            continue
        powers, (lower, upper) = exponents(order, ndim), found[name][:2]
        if order == 2:
            powers, (lower, upper) = _second_moments(found, wanted, centroid.half_width())
        unit = (scale.unsqueeze(-2) ** scale.new_tensor(powers)).prod(-1)
        lower = torch.where(located, lower / unit, -math.inf)
        upper = torch.where(located, upper / unit, math.inf)
        features.append(_Features(powers, (lower, upper), float(order)))
    return features


def _second_moments(
    found: Mapping[str, _Interval], wanted: Sequence[str], doubt: Tensor
) -> tuple[tuple[tuple[int, ...], ...], Sides]:
    """Squares, and products if there is a covariance, about a centre that the centroid may be off by `doubt`.

    About another point than the centroid a second moment is larger, by the product of the distances.
    """
    ndim = doubt.shape[-1]
    powers = exponents(2, ndim)
    diagonal = [index for index, power in enumerate(powers) if 2 in power]
    spread = found["spread"] if "spread" in wanted else _Interval.open_like(doubt)
    least = torch.where(spread.lower.isfinite(), spread.lower.clamp_min(0) ** 2, -math.inf)
    most = spread.upper**2
    if "covariance" not in wanted:
        return tuple(powers[index] for index in diagonal), (least, most + doubt**2)
    lower, upper = found["covariance"].lower.clone(), found["covariance"].upper.clone()
    unknown = ~(lower[..., diagonal].isfinite() | upper[..., diagonal].isfinite())
    lower[..., diagonal] = torch.where(unknown, least, lower[..., diagonal])
    upper[..., diagonal] = torch.where(unknown, most, upper[..., diagonal])
    rows, columns = torch.triu_indices(ndim, ndim, device=doubt.device)
    off = doubt[..., rows] * doubt[..., columns]
    return powers, (torch.where(rows == columns, lower, lower - off), upper + off)


def _scale(found: Mapping[str, _Interval], like: _Interval, ndim: int) -> Tensor:
    """How far every object spreads, ``(B, K, n)``: from whatever tells it, else a pixel."""
    middles = {name: found[name].middle() for name in SIZES if name in found}
    scale = object_spread(ndim, **middles, fallback=like.lower.new_ones(ndim))
    return scale.expand(*like.lower.shape[:2], ndim).clamp_min(SMALLEST_SPREAD)


def _check_values(given: Given, ndim: int, called: str) -> None:
    """Refuse shapes that do not fit and numbers that no object has; one question to the device."""
    shapes = {name: (each.lower if isinstance(each, Bounds) else each).shape for name, each in given.items()}
    first = next(iter(shapes.values()))[:2]
    batch = ", ".join(map(str, first)) if len(first) == 2 else "B, K"
    for name, shape in shapes.items():
        count = get(name).components(ndim)
        if len(shape) != 3 or shape != (*first, count):
            expected = f"of shape ({batch}, {count})"
            raise ArgumentError(f"{called}[{name!r}]", expected=expected, found=tuple(shape))
    require_possible(given, {name: least_values(name, ndim) for name in given}, argument=called)
