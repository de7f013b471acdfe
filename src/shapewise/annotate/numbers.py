"""From drawn objects to the numbers of a descriptor table, measured on pixels as a mask's would be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from shapewise.annotate.schema import Absent, Drawn
from shapewise.annotate.shapes import regions
from shapewise.data.describe import DESCRIPTORS, describe_labels
from shapewise.descriptors.least import AMOUNTS

Values = dict[str, NDArray[np.float64]]

OBJECTS = TypeAdapter(dict[str, Drawn])

SPREAD_OF_DOUBT = 1 / math.sqrt(2)
"""By how much a spread grows where an outline moves out by 1: 1/2 for a disc, this for a thin ring."""


@dataclass(frozen=True)
class Grid:
    """The pixels of a slice: how many rows and columns, and their distances in mm where they are known."""

    size: tuple[int, int]
    spacing: tuple[float, float] | None


@dataclass(frozen=True)
class Measured:
    """Name of a descriptor -> its components; NaN where an absent class has none, and no bounds there."""

    values: Values
    lower: Values
    upper: Values


def measure(objects: Mapping[str, Drawn], grid: Grid, unit: str) -> dict[str, Measured]:
    """Measure every object in px or mm; what says it is absent, or covers no pixel, has volume 0.

    >>> box = {"shape": {"kind": "polygon", "points": [(0.5, 0.5), (0.5, 2.5), (2.5, 2.5), (2.5, 0.5)]}}
    >>> found = measure(OBJECTS.validate_python({"LV": box | {"doubt": 0.5}}), Grid((4, 4), None), "px")
    >>> {name: getattr(found["LV"], name)["centroid"].tolist() for name in ("lower", "values", "upper")}
    {'lower': [1.0, 1.0], 'values': [1.5, 1.5], 'upper': [2.0, 2.0]}
    """
    return _measure(OBJECTS.dump_json(dict(objects)), grid, unit)


@lru_cache(maxsize=4096)
def _measure(objects: bytes, grid: Grid, unit: str) -> dict[str, Measured]:
    drawn = OBJECTS.validate_json(objects)
    if not drawn:
        return {}
    spacing = grid.spacing if unit == "mm" else None
    masks = np.stack(list(regions(drawn, grid.size).values())).astype(np.uint8)
    numbers = describe_labels(masks, 1, DESCRIPTORS, spacing=spacing)
    return {
        name: _bounded(
            {key: values[index, 0] for key, values in numbers.items()},
            each,
            spacing,
            ring=_is_ring(each, drawn),
        )
        for index, (name, each) in enumerate(drawn.items())
    }


def _is_ring(each: Drawn, drawn: Mapping[str, Drawn]) -> bool:
    """Whether it lies around an outline that is there."""
    inner = drawn.get(each.around) if each.around else None
    return inner is not None and not isinstance(inner.shape, Absent)


def _bounded(values: Values, drawn: Drawn, spacing: tuple[float, ...] | None, *, ring: bool) -> Measured:
    reach = half_widths(values, drawn, spacing, ring=ring)
    lower = {name: values[name] - reach[name] for name in values}
    for name in AMOUNTS:
        if name in lower:
            lower[name] = np.maximum(lower[name], 0.0)
    return Measured(values, lower, {name: values[name] + reach[name] for name in values})


def half_widths(values: Values, drawn: Drawn, spacing: tuple[float, ...] | None, *, ring: bool) -> Values:
    """By how much each number may be off where the outline may be off by ``drawn.doubt`` pixels.

    The volume by that seam along the outline, L δ; the length by a circle's, 2πδ for each outline; the
    centroid by δ; a spread by δ / √2, a thin ring's; covariances as products of the spreads. NaN where the
    person did not say, and for an absent class.
    """
    if drawn.doubt == 0 or values["volume"][0] == 0 or isinstance(drawn.shape, Absent):
        return {name: np.full_like(each, np.nan) for name, each in values.items()}
    steps = np.array(spacing or (1.0, 1.0))
    doubt, seam = drawn.doubt * steps, drawn.doubt * math.sqrt(steps.prod())
    spread, more = values["spread"], SPREAD_OF_DOUBT * doubt
    rows, columns = np.triu_indices(2)
    product = spread[rows] * more[columns] + spread[columns] * more[rows] + more[rows] * more[columns]
    return {
        "volume": values["length"] * seam,
        "centroid": doubt,
        "spread": more,
        "covariance": product,
        "length": np.array([2 * math.pi * seam * (2 if ring else 1)]),
    }
