"""From the log of edits to the descriptor table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from shapewise.annotate.numbers import Grid, Measured, measure
from shapewise.annotate.store import Place, State, Store
from shapewise.data.table import COLUMNS, read_table, write_table
from shapewise.errors import TableError

SLICE = ["case", "frame", "slice"]


class Exported(NamedTuple):
    """How many numbers a table holds, how many slices were written, and which are left out, unfinished."""

    numbers: int
    slices: int
    unfinished: list[Place]


def export(store: Store, classes: Sequence[str], unit: str, out: Path) -> Exported:
    """Write the table of all that is annotated; rows of a table that is there stay, but for annotated slices.

    A slice on which a class is neither drawn nor absent is left out: no training would take it. One that is
    empty again loses the rows that an earlier export gave it, and no others. Where no row is left there is no
    table.

    Raises:
        TableError: the table that is there cannot be read, has other classes, or cannot be written; the unit
            is mm and the spacing of a case is not known.
    """
    states = store.read_all()
    finished = {place: state for place, state in states.items() if set(classes) <= state.objects.keys()}
    unfinished = [place for place, state in states.items() if state.objects and place not in finished]
    table = click_table(finished, store.grids(), unit, out)
    if out.exists():
        begun = {place for place, state in states.items() if state.objects}
        withdrawn = store.exported() - begun
        table = pd.concat([_kept(read_table(out, classes), begun, withdrawn), table], ignore_index=True)
    if not table.empty:
        order = pd.Categorical(table["class"], list(classes))
        table = table.assign(order=order).sort_values([*SLICE, "order"], kind="stable")
        write_table(table, out)
        store.note_exported(finished)
    elif out.exists():
        out.unlink()
    return Exported(len(table), len(finished), unfinished)


def click_table(
    states: Mapping[Place, State], grids: Mapping[tuple[str, int], Grid], unit: str, out: Path
) -> pd.DataFrame:
    """The rows of the objects that a person left behind, their source `click`."""
    rows = [
        row
        for place, state in states.items()
        for row in _slice_rows(place, state, _known(grids[place.case, place.frame], unit, out, place), unit)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"slice": "Int64", "value": float, "lower": float, "upper": float})


def _known(grid: Grid, unit: str, out: Path, place: Place) -> Grid:
    if unit == "mm" and grid.spacing is None:
        where = f"{out}, case {place.case} frame {place.frame}"
        raise TableError(where, expected="a known spacing, to measure in mm", found="none")
    return grid


def _slice_rows(place: Place, state: State, grid: Grid, unit: str) -> Iterator[dict[str, object]]:
    for name, measured in measure(state.objects, grid, unit).items():
        where = {"case": place.case, "frame": place.frame, "slice": place.slice, "class": name}
        for row in object_rows(measured):
            yield {**where, **row, "unit": unit, "source": "click"}


def object_rows(measured: Measured) -> Iterator[dict[str, object]]:
    """A row a number; an absent class has one, its volume of 0."""
    absent = measured.values["volume"][0] == 0
    for name, values in measured.values.items():
        if absent and name != "volume":
            continue
        for component in range(len(values)):
            yield {
                "descriptor": name,
                "component": component,
                "value": values[component],
                "lower": measured.lower[name][component],
                "upper": measured.upper[name][component],
            }


def _kept(table: pd.DataFrame, begun: Iterable[Place], withdrawn: Iterable[Place]) -> pd.DataFrame:
    """The rows about slices that are not annotated here; whole volumes are no slice."""
    keys = pd.Series(list(zip(table["case"], table["frame"], table["slice"].fillna(-1), strict=True)))
    replaced, gone = (
        keys.isin([(place.case, place.frame, place.slice) for place in places]).to_numpy()
        for places in (begun, withdrawn)
    )
    return table[~(replaced | (gone & (table["source"] == "click")))]
