"""From the values of descriptors to the moments that a projection has to meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TypeAlias

import torch
from torch import Tensor

from shapewise.constraints import Bounds
from shapewise.errors import ArgumentError
from shapewise.typing import Values

MOMENT_DESCRIPTORS = ("volume", "centroid", "spread", "covariance", "third_moments", "fourth_moments")
"""Descriptors that are moments, or functions of moments that turn into linear constraints."""

SMALLEST_SPREAD = 0.5
"""In pixels; the coordinates of a one-pixel object are divided by it."""

Given: TypeAlias = Mapping[str, Values | Bounds]


@dataclass(frozen=True)
class AnnotatedMoments:
    """What Σ q φ_p must come to for every object, in coordinates of the object's own.

    With u = (x − centre) / scale, the features are φ_0 = 1 and φ_p = u^p − mean_p. Then Σ q φ_0 = V, and all
    other sums are 0 whatever V is: each number is a constraint by itself, and a volume that nobody measured
    leaves the others as they are.

    Attributes:
        exponents: the P multi-indices p, the first of them 0.
        centre: ``(B, K, n)``, pixels.
        scale: ``(B, K, n)``, pixels; positive.
        mean: ``(B, K, P)``; 0 for the first.
        value: ``(B, K, P)``; the volume, then zeros.
        known: ``(B, K, P)`` bool: the constraints to be met.
        present: ``(B, K)`` bool: False removes the class from the image.
        size: ``(B, K)``, pixels, positive: what residuals are measured against.
        tolerance: ``(B, K, P)``: how far each sum may be off, 0 for equality.
        variance: ``(B, K, P)``: of the annotator's error in each sum.
    """

    exponents: tuple[tuple[int, ...], ...]
    centre: Tensor
    scale: Tensor
    mean: Tensor
    value: Tensor
    known: Tensor
    present: Tensor
    size: Tensor
    tolerance: Tensor
    variance: Tensor


def annotated_moments(given: Given, ndim: int, *, error: float = 0.0) -> AnnotatedMoments:
    """Turn descriptor values, in pixels, into moments.

    Args:
        given: descriptor -> values ``(B, K, C)``, NaN where unknown, or bounds; of ``volume``, ``centroid``,
            ``spread``, ``covariance``, ``third_moments`` and ``fourth_moments``. The covariance replaces the
            spread. Moments about a centroid that is not known are left out, as are those without a spread.
        ndim: 2 or 3.
        error: standard deviation of the annotator's error, relative: of a volume in volumes, of a spread in
            spreads, of a centroid in halves of a spread.

    A class of volume 0 is absent. One of which nothing is known stays as it is predicted.

    Raises:
        ArgumentError: a descriptor is no moment, or nothing is given.

    >>> disc = {"volume": torch.tensor([[[9.0]]]), "centroid": torch.tensor([[[4.0, 4.0]]])}
    >>> annotated_moments(disc | {"spread": torch.tensor([[[1.5, 1.5]]])}, 2).exponents
    ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2))
    """
    _check(given)
    values, widths = _values_and_widths(given)
    first = next(iter(values.values()))
    nothing = first.new_full((*first.shape[:2], 1), torch.nan)
    volume = values.get("volume", nothing)
    spread = _spread(values, nothing.expand(*first.shape[:2], ndim))
    scale = spread.nan_to_num(1.0).clamp_min(SMALLEST_SPREAD)
    columns = [_Column((0,) * ndim, torch.zeros_like(volume), ~volume.isnan(), widths.get("volume"), 1.0)]
    columns += _centroid(values, widths, scale, ndim)
    if "centroid" in values:
        columns += _central(values, widths, scale, ndim)
    mean = torch.cat([column.mean.nan_to_num(0.0) for column in columns], -1)
    known = torch.cat([column.known for column in columns], -1)
    width = torch.cat([_or_zero(column.width, column.mean) for column in columns], -1)
    # What nobody has said anything about may be there: it keeps its share of the prediction.
    present = volume[..., 0] != 0
    size = _size(volume, scale)
    reach = torch.cat([torch.full_like(column.mean, column.reach) for column in columns], -1)
    per_volume = torch.ones_like(width) * size[..., None]
    per_volume[..., 0] = 1  # a volume's width is in pixels already
    value = torch.zeros_like(mean)
    value[..., 0] = volume[..., 0].nan_to_num(0.0)
    return AnnotatedMoments(
        exponents=tuple(column.exponent for column in columns),
        centre=values.get("centroid", torch.zeros_like(scale)).nan_to_num(0.0),
        scale=scale,
        mean=mean,
        value=value,
        known=known & present[..., None],
        present=present,
        size=size,
        tolerance=width * per_volume,
        variance=(error * reach * size[..., None]) ** 2,
    )


@dataclass(frozen=True)
class _Column:
    """One feature of all objects: its exponent, what is subtracted from it, and how well it is known.

    ``reach`` says by how many sizes of the object its sum is off where a spread is off by one spread.
    """

    exponent: tuple[int, ...]
    mean: Tensor
    known: Tensor
    width: Tensor | None
    reach: float


def degree(order: int, ndim: int) -> list[tuple[int, ...]]:
    """List the exponents of one total degree, in the order of the components of covariance.

    >>> degree(2, 2)
    [(2, 0), (1, 1), (0, 2)]
    """
    axes = combinations_with_replacement(range(ndim), order)
    return [tuple(chosen.count(axis) for axis in range(ndim)) for chosen in axes]


def _centroid(
    values: Mapping[str, Tensor], widths: Mapping[str, Tensor], scale: Tensor, ndim: int
) -> list[_Column]:
    if "centroid" not in values:
        return []
    width = widths["centroid"] / scale
    return [
        _Column(exponent, torch.zeros_like(part), ~part.isnan(), half, 2.0)
        for exponent, part, half in zip(
            degree(1, ndim), values["centroid"].split(1, -1), width.split(1, -1), strict=True
        )
    ]


def _central(
    values: Mapping[str, Tensor], widths: Mapping[str, Tensor], scale: Tensor, ndim: int
) -> list[_Column]:
    """Second moments and those above: means of u^p over the object."""
    located = ~values["centroid"].isnan().any(-1, keepdim=True)
    found = []
    if "covariance" in values:
        found += [("covariance", degree(2, ndim), values["covariance"], widths["covariance"], 2.0)]
    elif "spread" in values:
        squares = [tuple(2 * (axis == other) for other in range(ndim)) for axis in range(ndim)]
        least, most = values["spread"] - widths["spread"], values["spread"] + widths["spread"]
        least, most = least.clamp_min(0) ** 2, most**2
        found += [("spread", squares, (least + most) / 2, (most - least) / 2, 2.0)]
    for order, name in ((3, "third_moments"), (4, "fourth_moments")):
        if name in values:
            found += [(name, degree(order, ndim), values[name], widths[name], float(order))]
    columns = []
    for _, exponents, value, width, reach in found:
        for index, exponent in enumerate(exponents):
            unit = torch.ones_like(scale[..., :1])
            for axis, power in enumerate(exponent):
                unit = unit * scale[..., axis : axis + 1] ** power
            mean = value[..., index : index + 1] / unit
            columns.append(
                _Column(exponent, mean, located & ~mean.isnan(), width[..., index : index + 1] / unit, reach)
            )
    return columns


def _values_and_widths(given: Given) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The middle of what is allowed, and half of its width: 0 for plain values."""
    values, widths = {}, {}
    for name, annotation in given.items():
        if isinstance(annotation, Bounds):
            middle, half = (
                (annotation.lower + annotation.upper) / 2,
                (annotation.upper - annotation.lower) / 2,
            )
            bounded = middle.isfinite()
            centre = annotation.center()
            values[name] = torch.where(bounded, middle, centre)
            widths[name] = torch.where(bounded, half, torch.zeros_like(half))
        else:
            values[name], widths[name] = annotation, torch.zeros_like(annotation)
    return values, widths


def _spread(values: Mapping[str, Tensor], unknown: Tensor) -> Tensor:
    ndim = unknown.shape[-1]
    if "covariance" in values:
        diagonal = [index for index, exponent in enumerate(degree(2, ndim)) if 2 in exponent]
        return values["covariance"][..., diagonal].clamp_min(0).sqrt()
    return values.get("spread", unknown)


def _size(volume: Tensor, scale: Tensor) -> Tensor:
    """The volume, or that of a box two spreads to each side where it is not known."""
    box = (2 * scale).prod(-1)
    return torch.where(volume[..., 0] > 0, volume[..., 0], box)


def _or_zero(width: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if width is None else width.nan_to_num(0.0)


def _check(given: Given) -> None:
    if not given:
        raise ArgumentError("given", expected="at least one descriptor", found="none")
    for name in given:
        if name not in MOMENT_DESCRIPTORS:
            expected = f"moments, from {', '.join(MOMENT_DESCRIPTORS)}"
            raise ArgumentError("descriptors", expected=expected, found=repr(name))
