"""The descriptor table: one tidy row a number, CSV or Parquet.

=============  =================================================================================
column         meaning
=============  =================================================================================
`case`         the case's name
`frame`        time frame, 0 where the data have none
`slice`        0-based index along the first axis; empty: the row describes the whole volume
`class`        the class's name
`descriptor`   a registered descriptor's name
`component`    0-based; components follow array-index order
`value`        the number; empty or NaN where it does not exist, as for an absent class
`lower`        lower bound; empty: the experiment's margin applies; -inf: there is none
`upper`        upper bound; empty: the experiment's margin applies; inf: there is none
`unit`         px or mm: what lengths are measured in, or squared or cubed
`source`       mask, click, prior or report
=============  =================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from shapewise.descriptors import registry
from shapewise.descriptors.least import AMOUNTS, least_values
from shapewise.errors import ArgumentError, TableError
from shapewise.whole_file import whole_file

COLUMNS = (
    "case",
    "frame",
    "slice",
    "class",
    "descriptor",
    "component",
    "value",
    "lower",
    "upper",
    "unit",
    "source",
)
KEY = ["case", "frame", "slice", "class", "descriptor", "component"]
"""What makes a row unique."""

UNITS = ("px", "mm")
SOURCES = ("mask", "click", "prior", "report")

LARGEST = 1e30
"""A larger number is a mistake, and not the last one that single precision holds."""

_TEXTS = ("case", "class", "descriptor", "unit", "source")
_COUNTS = ("frame", "slice", "component")
_NUMBERS = ("value", "lower", "upper")


def read_table(path: str | Path, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a descriptor table, whole and valid or not at all.

    Args:
        path: a ``.csv`` or ``.parquet`` file with the columns above; other columns are left out.
        classes: the foreground classes that rows may name; None allows any.

    Returns:
        The columns `COLUMNS` in order: text; `frame` and `component` int64; `slice` Int64, NA for a whole
        volume; `value`, `lower`, `upper` float64, NaN where empty. ``attrs["path"]`` is the file's name.

    Raises:
        TableError: the file is missing or unreadable, lacks columns or rows, or a row breaks the contract;
            the message names the first such row, counting the header as row 1.
    """
    path = Path(path)
    raw = _read_raw(path)
    missing = [column for column in COLUMNS if column not in raw.columns]
    if missing:
        raise TableError(path, expected=f"the columns {', '.join(COLUMNS)}", found=f"no {', '.join(missing)}")
    raw = raw.loc[:, list(COLUMNS)]
    raw = raw[~(raw.isna() | (raw == "")).all(axis=1)]
    if raw.empty:
        raise TableError(path, expected="at least one row", found="none")
    table = _parse(path, raw)
    _check_names(path, table, classes)
    _check_components(path, table)
    _check_numbers(path, table)
    _check_bounds(path, table)
    _check_unique(path, table)
    table = table.reset_index(drop=True)
    table.attrs["path"] = str(path)
    return table


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a descriptor table, CSV or Parquet by the name's ending, so that a reader never sees half of it.

    CSV carries nine significant digits: a float32 comes back as it was.

    Raises:
        ArgumentError: the name ends in neither.
        TableError: the file cannot be written.
    """
    path = Path(path)
    write = _to_parquet if check_suffix(path) == ".parquet" else _to_csv
    with whole_file(path, TableError) as unfinished:
        write(frame.loc[:, list(COLUMNS)], unfinished)


def check_suffix(path: str | Path) -> str:
    """The ending of a table's name: worth asking for before the work whose result it is to hold.

    Raises:
        ArgumentError: it is neither ``.csv`` nor ``.parquet``.

    Example:
        >>> check_suffix("heart.csv")
        '.csv'
    """
    suffix = Path(path).suffix
    if suffix not in (".csv", ".parquet"):
        raise ArgumentError("path", expected="a .csv or .parquet file", found=path)
    return suffix


def _to_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False)


def _to_csv(table: pd.DataFrame, path: Path) -> None:
    text = table.assign(value=table["value"].map("{:.9g}".format))
    text.to_csv(path, index=False, float_format="%.9g")


def _read_raw(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise TableError(path, expected="a descriptor table", found="no such file")
    read = pd.read_parquet if check_suffix(path) == ".parquet" else _read_csv
    try:
        raw = read(path)
    except (OSError, ValueError) as error:  # what pandas and pyarrow raise on a bad file are ValueErrors
        reason = str(error).strip().splitlines()[0]
        raise TableError(path, expected="a readable table", found=f"an error: {reason}") from None
    if path.suffix == ".csv" and not isinstance(raw.index, pd.RangeIndex):
        # pandas takes a first row that is longer than the header for one with an index, and shifts the rest.
        expected = f"{len(raw.columns)} cells, as in the header"
        raise TableError(f"{path}, row 2", expected=expected, found="more")
    return raw.reset_index(drop=True)


def _read_csv(path: Path) -> pd.DataFrame:
    # Blank lines stay in, so that the index counts the file's rows.
    return pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)


def _parse(path: Path, raw: pd.DataFrame) -> pd.DataFrame:
    columns: dict[str, pd.Series] = {name: _text(path, raw, name) for name in _TEXTS}
    columns |= {name: _count(path, raw, name) for name in _COUNTS}
    columns |= {name: _number(path, raw, name) for name in _NUMBERS}
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def _text(path: Path, raw: pd.DataFrame, name: str) -> pd.Series:
    column = raw[name].astype("string").fillna("").str.strip().astype(str)
    _refuse(path, column == "", f"a {name}", lambda row: "an empty cell")
    return column


def _number(path: Path, raw: pd.DataFrame, name: str) -> pd.Series:
    column = raw[name]
    if is_numeric_dtype(column):
        return column.astype("float64")
    text = column.astype("string").fillna("").str.strip()
    empty = text.str.lower().isin(["", "nan"])
    numbers = pd.to_numeric(text.mask(empty), errors="coerce").astype("float64")
    _refuse(path, numbers.isna() & ~empty, f"a number as {name}", lambda row: repr(column[row]))
    return numbers


def _count(path: Path, raw: pd.DataFrame, name: str) -> pd.Series:
    numbers = _number(path, raw, name)
    wrong = (numbers < 0) | (numbers % 1 != 0) | (numbers > 2**31)
    if name == "slice":
        _refuse(path, wrong & numbers.notna(), "a whole number from 0 or nothing as slice", numbers.get)
        return numbers.astype("Int64")
    _refuse(path, wrong, f"a whole number from 0 as {name}", numbers.get)
    return numbers.astype("int64")


def _check_names(path: Path, table: pd.DataFrame, classes: Sequence[str] | None) -> None:
    allowed = {"unit": UNITS, "source": SOURCES, "descriptor": tuple(registry.names())}
    if classes is not None:
        allowed["class"] = tuple(classes)
    for name, values in allowed.items():
        _check_choice(path, table[name], values)


def _check_choice(path: Path, column: pd.Series, values: tuple[str, ...]) -> None:
    expected = f"{column.name} to be one of {', '.join(values)}"
    _refuse(path, ~column.isin(values), expected, lambda row: repr(column[row]))


def _check_components(path: Path, table: pd.DataFrame) -> None:
    for name in table["descriptor"].unique():
        components = registry.get(name).components
        count = np.where(table["slice"].isna(), components(3), components(2))
        beyond = (table["descriptor"] == name) & (table["component"] >= count)
        expected = f"a component that {name} has"
        _refuse(path, beyond, expected, lambda row: f"component {table['component'][row]}")


def _check_numbers(path: Path, table: pd.DataFrame) -> None:
    for name, without in {"value": "", "lower": "-inf", "upper": "inf"}.items():
        beyond = (table[name].abs() > LARGEST) & (table[name] != float(without or "nan"))
        expected = f"{name} to be from {-LARGEST:g} to {LARGEST:g}{without and f', or {without}'}"
        _refuse(path, beyond, expected, table[name].get)
    for descriptor in table["descriptor"].unique():
        rows = table[table["descriptor"] == descriptor]
        least = {whole: least_values(descriptor, 3 if whole else 2) for whole in (True, False)}
        places = zip(rows["slice"].isna(), rows["component"], strict=True)
        limits = np.array([least[whole][component] for whole, component in places])
        what = descriptor if descriptor in AMOUNTS else "variance"
        for name in ("value", "upper"):
            _refuse(path, rows[name] < limits, f"a {what} from 0 as {name}", rows[name].get)
    if not np.isfinite(table[list(_NUMBERS)]).any(axis=None):
        raise TableError(path, expected="at least one number", found="none")


def _check_bounds(path: Path, table: pd.DataFrame) -> None:
    upside_down = table["lower"] > table["upper"]
    expected = "lower bound at or below upper bound"
    _refuse(path, upside_down, expected, lambda row: f"{table['lower'][row]} and {table['upper'][row]}")
    outside = (table["value"] < table["lower"]) | (table["value"] > table["upper"])
    _refuse(path, outside, "a value from its lower to its upper", table["value"].get)


def _check_unique(path: Path, table: pd.DataFrame) -> None:
    def describe(row: int) -> str:
        keys = table[KEY].fillna({"slice": -1})
        first = keys.index[(keys == keys.loc[row]).all(axis=1)][0]
        return f"a repetition of row {first + 2}"

    _refuse(path, table.duplicated(KEY), "every number once", describe)


def _refuse(path: Path, wrong: pd.Series, expected: str, found: Callable[[int], object]) -> None:
    if wrong.any():
        row = int(wrong.index[int(wrong.to_numpy().argmax())])
        raise TableError(f"{path}, row {row + 2}", expected=expected, found=found(row))
