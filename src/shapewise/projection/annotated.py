"""From the values of descriptors to the moments that a projection has to meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from shapewise.constraints import Bounds
from shapewise.descriptors.higher import exponents
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
            A bound that is open on one side counts by its known value alone.
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
    values, widths = _middles_and_widths(given)
    first = next(iter(values.values()))
    unknown = torch.full_like(first[..., :1], torch.nan)
    volume = values.get("volume", unknown)
    spread = _spread(values, unknown.expand(*unknown.shape[:2], ndim))
    scale = spread.nan_to_num(1.0).clamp_min(SMALLEST_SPREAD)
    # Where the volume is not known, that of a box one spread to each side is as good a measure.
    size = torch.where(volume > 0, volume, (2 * scale).prod(-1, keepdim=True))
    width = widths["volume"] / size if "volume" in widths else torch.zeros_like(volume)
    features = [_Features(exponents(0, ndim), torch.zeros_like(volume), width, ~volume.isnan(), 1.0)]
    if "centroid" in values:
        features += _about_the_centroid(values, widths, scale)
    present = volume != 0  # NaN too: what nobody has said anything about may be there
    mean, width, known = (
        torch.cat(columns, -1)
        for columns in zip(*((f.mean, f.width, f.known) for f in features), strict=True)
    )
    reach = mean.new_tensor([f.reach for f in features for _ in f.exponents])
    return AnnotatedMoments(
        exponents=tuple(exponent for f in features for exponent in f.exponents),
        centre=values.get("centroid", torch.zeros_like(scale)).nan_to_num(0.0),
        scale=scale,
        mean=mean.nan_to_num(0.0),
        value=F.pad(volume.nan_to_num(0.0), (0, mean.shape[-1] - 1)),
        known=known & present,
        present=present[..., 0],
        size=size[..., 0],
        tolerance=width.nan_to_num(0.0) * size,
        variance=(error * reach * size) ** 2,
    )


class _Features(NamedTuple):
    """Some features of all objects.

    Attributes:
        exponents: P of them.
        mean: what is subtracted from each power, ``(B, K, P)``.
        width: how far the mean may be off.
        known: bool.
        reach: by how many sizes of the object a sum is off where a spread is off by one spread.
    """

    exponents: tuple[tuple[int, ...], ...]
    mean: Tensor
    width: Tensor
    known: Tensor
    reach: float


def _about_the_centroid(
    values: Mapping[str, Tensor], widths: Mapping[str, Tensor], scale: Tensor
) -> list[_Features]:
    """The features that need to know where an object is: its first moments, and means of higher powers."""
    ndim = scale.shape[-1]
    centroid = values["centroid"]
    located = ~centroid.isnan().any(-1, keepdim=True)
    found = [
        _Features(
            exponents(1, ndim), torch.zeros_like(scale), widths["centroid"] / scale, ~centroid.isnan(), 2.0
        )
    ]
    for order, name in enumerate(("covariance", "third_moments", "fourth_moments"), start=2):
        if name in values:
            powers = exponents(order, ndim)
            unit = (scale.unsqueeze(-2) ** scale.new_tensor(powers)).prod(-1)
            mean = values[name] / unit
            found.append(_Features(powers, mean, widths[name] / unit, located & ~mean.isnan(), float(order)))
        elif name == "covariance" and "spread" in values:
            squares = tuple(power for power in exponents(2, ndim) if 2 in power)
            least, most = ((values["spread"] + side * widths["spread"]) / scale for side in (-1, 1))
            least, most = least.clamp_min(0) ** 2, most**2
            mean = (least + most) / 2
            found.append(_Features(squares, mean, (most - least) / 2, located & ~mean.isnan(), 2.0))
    return found


def _middles_and_widths(given: Given) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The middle of what is allowed, and half of its width: 0 for plain values and for open bounds."""
    values, widths = {}, {}
    for name, annotation in given.items():
        if isinstance(annotation, Bounds):
            middle = (annotation.lower + annotation.upper) / 2
            half = (annotation.upper - annotation.lower) / 2
            # Not its `center`: a bound open on one side is no value.
            value = (
                torch.full_like(middle, torch.nan) if annotation.reference is None else annotation.reference
            )
            values[name] = torch.where(middle.isfinite(), middle, value)
            widths[name] = torch.where(middle.isfinite(), half, 0.0)
        else:
            values[name], widths[name] = annotation, torch.zeros_like(annotation)
    return values, widths


def _spread(values: Mapping[str, Tensor], unknown: Tensor) -> Tensor:
    if "covariance" not in values:
        return values.get("spread", unknown)
    diagonal = [index for index, power in enumerate(exponents(2, unknown.shape[-1])) if 2 in power]
    return values["covariance"][..., diagonal].clamp_min(0).sqrt()


def _check(given: Given) -> None:
    if not given:
        raise ArgumentError("given", expected="at least one descriptor", found="none")
    for name in given:
        if name not in MOMENT_DESCRIPTORS:
            expected = f"moments, from {', '.join(MOMENT_DESCRIPTORS)}"
            raise ArgumentError("descriptors", expected=expected, found=repr(name))
