"""The table that is written, and what it does to one that is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shapewise.annotate import server
from shapewise.annotate.export import Exported, export
from shapewise.annotate.numbers import Grid
from shapewise.annotate.schema import Edit
from shapewise.annotate.server import Room
from shapewise.annotate.store import Place
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.table import read_table, write_table
from shapewise.errors import TableError

CLASSES = ("RV", "Myo", "LV")
GRID = Grid((128, 128), (1.5, 1.25))


@pytest.fixture
def save(draw, room: Room) -> Callable[..., None]:
    def save(slice_: int, plain: dict[str, object], grid: Grid = GRID) -> None:
        place = Place("patient001", 1, slice_)
        made = draw.edit(plain, room.store.read(place).version)
        room.store.save(place, Edit.model_validate(made), grid)

    return save


def test_it_is_a_table_that_the_reader_takes(room: Room, save, draw) -> None:
    save(4, draw.heart())
    save(2, draw.heart() | {"RV": {"shape": {"kind": "absent"}}})
    done = export(room.store, CLASSES, "px", room.out)
    table = read_table(room.out, CLASSES)
    assert (done.numbers, done.slices, done.unfinished) == (len(table), 2, [])
    assert len(table) == 2 * 27 - 8
    assert set(table["source"]) == {"click"}
    absent = table[(table["slice"] == 2) & (table["class"] == "RV")]
    assert absent[["descriptor", "value"]].values.tolist() == [["volume", 0.0]]
    assert table["slice"].tolist() == sorted(table["slice"])


def test_an_unfinished_slice_is_left_out_and_named(room: Room, save, draw) -> None:
    save(1, {"LV": draw.heart()["LV"]})
    done = export(room.store, CLASSES, "px", room.out)
    assert done == (0, 0, [Place("patient001", 1, 1)])
    assert not room.out.exists()
    save(1, {})
    assert export(room.store, CLASSES, "px", room.out).unfinished == []


def test_rows_of_a_table_that_is_there_stay_but_for_edited_slices(
    room: Room, save, draw, hearts: Path
) -> None:
    study = find_cases(hearts)
    write_table(describe(study), room.out)
    before = read_table(room.out)
    save(3, draw.heart())
    save(4, {"LV": draw.heart()["LV"]})  # begun, so its old rows are not believed any more
    export(room.store, CLASSES, "px", room.out)
    after = read_table(room.out, CLASSES)
    edited = (before["case"] == "patient001") & (before["frame"] == 1) & before["slice"].isin([3, 4])
    key = ["case", "frame", "slice", "class", "descriptor", "component"]
    kept = after[after["source"] == "mask"].sort_values(key).reset_index(drop=True)
    expected = before[~edited].sort_values(key).reset_index(drop=True)
    assert kept.equals(expected)
    assert (after["source"] == "click").sum() == 27


def test_a_slice_that_is_empty_again_keeps_the_rows_that_were_there(
    room: Room, save, draw, hearts: Path
) -> None:
    write_table(describe(find_cases(hearts)), room.out)
    before = room.out.read_bytes()
    save(3, {"LV": draw.heart()["LV"]})
    save(3, {})
    assert export(room.store, CLASSES, "px", room.out).unfinished == []
    assert room.out.read_bytes() == before


def test_a_slice_that_is_empty_again_loses_the_rows_that_it_had_from_here(
    room: Room, save, draw, hearts: Path
) -> None:
    save(3, draw.heart())
    save(4, draw.heart())
    export(room.store, CLASSES, "px", room.out)
    save(3, {})
    assert export(room.store, CLASSES, "px", room.out).numbers == 27
    assert set(read_table(room.out)["slice"]) == {4}
    save(4, {})
    assert export(room.store, CLASSES, "px", room.out) == (0, 0, [])
    assert not room.out.exists()  # no training takes what was withdrawn
    write_table(describe(find_cases(hearts)), room.out)  # somebody else's rows of these slices
    before = room.out.read_bytes()
    export(room.store, CLASSES, "px", room.out)
    assert room.out.read_bytes() == before


def test_a_table_of_whole_volumes_is_kept(room: Room, save, draw, hearts: Path) -> None:
    write_table(describe(find_cases(hearts), whole=True), room.out)
    count = len(read_table(room.out))
    save(3, draw.heart())
    assert export(room.store, CLASSES, "px", room.out).numbers == count + 27


def test_exporting_again_changes_nothing(room: Room, save, draw) -> None:
    save(4, draw.heart())
    export(room.store, CLASSES, "px", room.out)
    first = room.out.read_bytes()
    export(room.store, CLASSES, "px", room.out)
    assert room.out.read_bytes() == first


def test_mm_need_a_spacing(room: Room, save, draw) -> None:
    save(4, draw.heart(), Grid((128, 128), None))
    with pytest.raises(TableError, match=r"case patient001 frame 1: expected a known spacing"):
        export(room.store, CLASSES, "mm", room.out)


def test_a_table_of_other_classes_is_left_alone(room: Room, save, draw, hearts: Path) -> None:
    write_table(describe(find_cases(hearts)).assign(**{"class": "prostate"}), room.out)
    before = room.out.read_bytes()
    save(4, draw.heart())
    with pytest.raises(TableError, match="row 2: expected class to be one of RV, Myo, LV, found 'prostate'"):
        export(room.store, CLASSES, "px", room.out)
    assert room.out.read_bytes() == before


def test_two_exports_at_once_are_one_after_the_other(client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older state could have been written last."""
    at_work, most = [0], [0]

    def slowly(*told: Any) -> Exported:
        at_work[0] += 1
        most[0] = max(most[0], at_work[0])
        time.sleep(0.1)
        at_work[0] -= 1
        return export(*told)

    monkeypatch.setattr(server, "export", slowly)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post("/api/export").status_code, range(4)))
    assert answers == [200] * 4
    assert most == [1]
