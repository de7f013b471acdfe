"""Descriptor tables as poorer annotators write them: with errors, of few slices, of presence alone."""

from __future__ import annotations

import hashlib
import math
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from shapewise.data.table import COLUMNS
from shapewise.descriptors.higher import exponents
from shapewise.descriptors.registry import get
from shapewise.errors import ArgumentError, TableError

OBJECT = ["case", "frame", "slice", "class"]
NUMBERS = ["value", "lower", "upper"]

SMALLEST = 0.1
"""What an amount keeps of itself at least, however large its error: it stays positive."""

CENTROID = 2.0
"""A centroid's error in spreads, as a multiple of the relative error of an amount."""


def perturb(table: pd.DataFrame, error: float, seed: int) -> pd.DataFrame:
    """Give every number an annotator's error: one fixed draw a number, whatever the table's order.

    With n a standard normal draw of (seed, case, frame, slice, class, descriptor, component):

    - volume, spread, length and whatever is not named here: times ``1 + error n``, but at least times 0.1;
    - centroid: plus ``2 error n`` spreads along its axis;
    - covariance and higher central moments: those of the object stretched along each axis by the factor that
      its spread takes. Correlations stay, and so does the covariance's positive definiteness.

    Bounds move along. Rows of absent classes, and what is empty, stay.

    Args:
        table: a table as `read_table` returns it.
        error: standard deviation of the relative error, such as 0.1.
        seed: another one is another annotator.

    Raises:
        ArgumentError: the error is negative or not finite.
        TableError: an object has a centroid, but no spread in the same unit.

    >>> columns = dict(case="a", frame=0, slice=pd.array([3, 3], "Int64"), component=0, unit="px")
    >>> table = pd.DataFrame(columns | {"class": "LV", "descriptor": ["volume", "spread"]})
    >>> table = table.assign(value=[100.0, 5.0], lower=[90.0, np.nan], upper=np.nan)
    >>> perturb(table, 0.1, seed=0)[["value", "lower"]].round(1).values.tolist()
    [[83.1, 74.8], [5.1, nan]]
    """
    if not 0 <= error < math.inf:
        raise ArgumentError("error", expected="a finite number of at least 0", found=error)
    numbers = table[NUMBERS].to_numpy(float, copy=True)
    names, whole = table["descriptor"].to_numpy(str), table["slice"].isna().to_numpy()
    objects, components = _names_of_objects(table), table["component"].to_numpy(int)
    spreads, absent = _spreads(table, objects), _absent(table).to_numpy()
    for name, ndim in product(np.unique(names), (2, 3)):
        rows = np.flatnonzero((names == name) & (whole == (ndim == 3)) & ~absent)
        draw = partial(_draws, seed, objects[rows])
        if get(name).per_axis == "position":
            numbers[rows] += (CENTROID * error * spreads[rows] * draw(name, components[rows]))[:, None]
        elif get(name).per_axis == "product":
            powers = _powers(name, ndim)[components[rows]]
            for axis, power in enumerate(powers.T):
                numbers[rows] *= (_factor(error, draw("spread", axis)) ** power)[:, None]
        else:
            numbers[rows] *= _factor(error, draw(name, components[rows]))[:, None]
    return table.assign(**dict(zip(NUMBERS, numbers.T, strict=True)))


def thin(table: pd.DataFrame, every: int) -> pd.DataFrame:
    """Keep the first of every so many slices that have rows, case by case and frame by frame.

    Rows about whole volumes are kept.

    Args:
        table: a table as `read_table` returns it.
        every: 1 keeps every slice, 2 every second one.

    Raises:
        ArgumentError: ``every`` is less than 1.

    >>> table = pd.DataFrame({"case": "a", "frame": 0, "slice": pd.array([2, 3, 3, 5, None], "Int64")})
    >>> thin(table, 2)["slice"].tolist()
    [2, 5, <NA>]
    """
    if every < 1:
        raise ArgumentError("every", expected="at least 1", found=every)
    place = table.groupby(["case", "frame"])["slice"].rank("dense") - 1
    return table[(place % every == 0).fillna(True).to_numpy(bool)]


def presence_only(table: pd.DataFrame) -> pd.DataFrame:
    """Keep of every object whether it is there, and no number.

    A class that is there has one row: its volume, at least 1 px, value and upper bound empty. A class that
    is not there has a volume of 0. An object of which the table knows nothing is left out.

    Args:
        table: a table as `read_table` returns it.

    Returns:
        One row an object, by case, frame, slice and class; units px.

    >>> columns = {"case": "a", "frame": 0, "slice": pd.array([1, 1], "Int64"), "class": ["LV", "RV"]}
    >>> table = pd.DataFrame(columns | {"descriptor": "volume", "source": "mask"})
    >>> rows = presence_only(table.assign(value=[73.0, 0.0], lower=np.nan))
    >>> rows[["class", "value", "lower"]].values.tolist()
    [['LV', nan, 1.0], ['RV', 0.0, nan]]
    """
    absent = _absent(table)
    known = table["value"].notna() | ((table["descriptor"] == "volume") & (table["lower"] > 0))
    states = table.assign(absent=absent, known=known).groupby(OBJECT, dropna=False)
    objects = states.agg({"absent": "any", "known": "any", "source": "first"}).reset_index()
    objects = objects[objects["known"]]
    found = objects.assign(
        descriptor="volume",
        component=0,
        value=np.where(objects["absent"], 0.0, np.nan),
        lower=np.where(objects["absent"], np.nan, 1.0),
        upper=np.nan,
        unit="px",
    )
    return found.astype({"slice": "Int64"}).loc[:, list(COLUMNS)].reset_index(drop=True)


def _absent(table: pd.DataFrame) -> pd.Series:
    """Which rows are about objects that are not there: their volume is 0."""
    gone = (table["descriptor"] == "volume") & (table["value"] == 0)
    return gone.groupby([table[key] for key in OBJECT], dropna=False).transform("any")


def _powers(name: str, ndim: int) -> NDArray[np.int64]:
    """The powers of the coordinates, a row a component, that a central moment is the mean of."""
    return np.array(exponents(get(name).unit_power(ndim), ndim))


def _factor(error: float, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1 + error * draws, SMALLEST)


def _names_of_objects(table: pd.DataFrame) -> NDArray[np.str_]:
    slices = table["slice"].astype("Int64").astype("string").fillna("")
    parts = (table["case"], table["frame"].astype(int), slices, table["class"])
    return np.array(["\n".join(map(str, row)) for row in zip(*parts, strict=True)], dtype=str)


def _draws(
    seed: int, objects: NDArray[np.str_], name: str, components: int | NDArray[np.int64]
) -> NDArray[np.float64]:
    """One standard normal number for each object and component, from a hash of their names."""
    each = np.broadcast_to(components, np.shape(objects))
    keys = [f"{seed}\n{row}\n{name}\n{component}" for row, component in zip(objects, each, strict=True)]
    digests = b"".join(hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    uniform = (np.frombuffer(digests, "<u8") + 0.5) / 2.0**64
    return np.asarray(ndtri(np.clip(uniform, 2.0**-53, 1 - 2.0**-53)), float)


def _spreads(table: pd.DataFrame, objects: NDArray[np.str_]) -> NDArray[np.float64]:
    """What each row's object spreads along the axis of its component; NaN where no centroid asks for it."""
    keys = list(zip(objects, table["unit"], table["component"], strict=True))
    names, values = table["descriptor"], table["value"].to_numpy(float)
    known = {keys[row]: values[row] for row in np.flatnonzero((names == "spread") & table["value"].notna())}
    found = np.array([known.get(key, np.nan) for key in keys], float)
    asked = [name for name in names.unique() if get(name).per_axis == "position"]
    lacking = names.isin(asked).to_numpy() & np.isnan(found) & table[NUMBERS].notna().any(axis=1).to_numpy()
    if lacking.any():
        row = table.iloc[int(lacking.argmax())]
        raise TableError(
            f"descriptor table, case {row['case']} frame {row['frame']} slice {row['slice']}",
            expected=f"the spread of {row['class']} in {row['unit']} beside its {row['descriptor']}",
            found="none",
        )
    return found
