"""Masks in, descriptor table out: after this, training needs no mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from shapewise.data.cases import Case, Study
from shapewise.data.table import COLUMNS, UNITS
from shapewise.descriptors import registry
from shapewise.errors import ArgumentError, DataError, ShapewiseError
from shapewise.progress import watched

DESCRIPTORS = ("volume", "centroid", "spread", "covariance", "length")


def describe(
    study: Study, *, descriptors: Sequence[str] = DESCRIPTORS, unit: str = "px", whole: bool = False
) -> pd.DataFrame:
    """Describe every class on every slice of every case that has a mask, in the image's own grid.

    Args:
        study: the cases; those without a mask are left out.
        descriptors: registered names.
        unit: "px", or "mm" for physical units from each case's spacing.
        whole: describe the 3-D object instead, its axes (slice, row, column): one row a number and case,
            its ``slice`` empty. In px a step from slice to slice is 1, however thick they are.

    Returns:
        A descriptor table as `read_table` gives it: rows by case, slice, class, descriptor and component,
        bounds empty, source "mask". A class that is absent from what is described has volume 0
        and NaN for the rest.

    Raises:
        ArgumentError: a descriptor that is not registered, or that has no value in mm or in 3-D; another
            unit.
        DataError: no case has a mask, an image or mask cannot be read or they do not fit; mm are asked for
            where the spacing is not known.
    """
    if unit not in UNITS:
        raise ArgumentError("unit", expected=" or ".join(UNITS), found=repr(unit))
    for name, count in Counter(descriptors).items():
        if count > 1:
            raise ArgumentError("descriptors", expected="names, each once", found=f"{name} {count} times")
    cases = [case for case in study.cases if case.mask is not None]
    if not cases:
        where = study.cases[0].image if study.cases else "describe"
        raise DataError(where, expected="a mask of this image or another", found="none")
    tables = [
        _describe_case(case, study.classes, descriptors, unit, whole)
        for case in watched(cases, "Describing masks")
    ]
    return pd.concat(tables, ignore_index=True)


def _describe_case(
    case: Case, classes: Sequence[str], descriptors: Sequence[str], unit: str, whole: bool
) -> pd.DataFrame:
    if unit == "mm" and not case.spacing_known:
        raise DataError(case.image, expected="a known spacing, to measure in mm", found="a placeholder")
    volume = case.read_image()
    labels = case.read_mask(classes, volume)
    spacing = volume.spacing if unit == "mm" else None
    if whole:
        numbers = describe_labels(labels[None], len(classes), descriptors, spacing=spacing)
    else:
        in_plane = None if spacing is None else spacing[1:]
        numbers = describe_labels(labels, len(classes), descriptors, spacing=in_plane)
    rows = pd.concat([_rows(name, values, classes) for name, values in numbers.items()])
    rows = rows.sort_values(["slice", "class"], kind="stable").assign(
        case=case.name, frame=case.frame, lower=np.nan, upper=np.nan, unit=unit, source="mask"
    )
    return _named(rows.assign(slice=np.nan) if whole else rows, classes)


def describe_labels(
    labels: NDArray[np.integer],
    classes: int,
    descriptors: Sequence[str],
    *,
    spacing: tuple[float, ...] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Describe every slice of a label mask, or every volume.

    Summed in float64 and rounded to float32, whose nine digits a table keeps.

    Args:
        labels: (slice, row, column), or (volume, slice, row, column); 0 is the background.
        classes: number of foreground classes.
        descriptors: registered names.
        spacing: distance between pixel centres in mm along each axis but the first; pixels without it.

    Returns:
        name -> values (slice or volume, class, component), NaN where an absent class has no such number.

    Raises:
        ArgumentError: a descriptor is not registered, refuses the spacing, or fails.

    >>> labels = np.zeros((1, 4, 4), np.uint8)
    >>> labels[0, 1:3, 1:3] = 1
    >>> describe_labels(labels, 2, ["volume", "centroid"])
    {'volume': array([[[4.],
            [0.]]]), 'centroid': array([[[1.5, 1.5],
            [nan, nan]]])}
    """
    images = [_describe_image(pixels, classes, descriptors, spacing) for pixels in labels]
    return {name: np.stack([values[name] for values in images]) for name in descriptors}


def _describe_image(
    pixels: NDArray[np.integer],
    classes: int,
    descriptors: Sequence[str],
    spacing: tuple[float, ...] | None,
) -> dict[str, NDArray[np.float64]]:
    """One image at a time, so that memory does not grow with their number."""
    labels = np.arange(1, classes + 1).reshape(-1, *[1] * pixels.ndim)
    masks = torch.from_numpy(pixels == labels)[None].double()
    absent = masks.flatten(2).sum(dim=-1) == 0
    values = {}
    for name in descriptors:
        numbers = _measure(name, masks, spacing)
        if name != "volume":
            numbers = numbers.masked_fill(absent[..., None], torch.nan)
        values[name] = numbers[0].float().double().numpy()
    return values


def _measure(name: str, masks: Tensor, spacing: tuple[float, ...] | None) -> Tensor:
    """Values (1, class, component), as the descriptor promised."""
    entry = registry.get(name)
    try:
        numbers = entry.function(masks, spacing=spacing)
    except ShapewiseError:
        raise
    except Exception as error:  # somebody else's code may raise anything
        raise ArgumentError(name, expected="a descriptor that works", found=repr(error)) from error
    shape = (1, masks.shape[1], entry.components(masks.ndim - 2))
    found = tuple(numbers.shape) if isinstance(numbers, Tensor) else type(numbers).__name__
    if found != shape:
        raise ArgumentError(name, expected=f"values {shape}", found=found)
    return numbers


def _rows(name: str, values: NDArray[np.float64], classes: Sequence[str]) -> pd.DataFrame:
    index, label, component = (axis.ravel() for axis in np.indices(values.shape))
    columns = {"slice": index, "class": label, "component": component, "value": values.ravel()}
    return pd.DataFrame(columns).assign(descriptor=name)


def _named(rows: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Give classes their names, last, so that rows sort in label order; and columns their order and types."""
    named = rows.assign(**{"class": pd.Series(np.asarray(classes)[rows["class"]], rows.index, dtype=str)})
    named["slice"] = named["slice"].astype("Int64")
    named["case"] = named["case"].astype(str)
    return named.loc[:, list(COLUMNS)]
