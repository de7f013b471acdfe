"""The log of edits: what was acknowledged stays, and the later of two is told."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shapewise.annotate.numbers import Grid
from shapewise.annotate.schema import Edit
from shapewise.annotate.store import Conflict, Place, Store
from shapewise.errors import DataError

CLASSES = ("RV", "Myo", "LV")
PLACE, GRID = Place("patient001", 1, 4), Grid((128, 128), (1.5, 1.25))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "table.clicks.sqlite"


@pytest.fixture
def made(draw) -> Callable[..., Edit]:
    def make(base: int = 0, shift: float = 0.0, **costs: tuple[float, int]) -> Edit:
        return Edit.model_validate(draw.edit(draw.heart(shift), base, **costs))

    return make


def test_an_edit_is_there_after_it_is_opened_again(path: Path, made, draw) -> None:
    store = Store(path, CLASSES)
    assert store.read(PLACE).version == 0
    assert store.save(PLACE, made(LV=(2.5, 1)), GRID) == 1
    assert store.save(PLACE, made(1, shift=3), GRID) == 2
    store.close()
    again = Store(path, CLASSES)
    assert again.read(PLACE).version == 2
    assert again.read(PLACE).objects == draw.objects(draw.heart(3))
    assert again.read_all() == {PLACE: again.read(PLACE)}
    assert again.read_all("patient001", 2) == {}
    assert again.grids() == {("patient001", 1): GRID}
    assert again.costs()[0] == (PLACE, {"LV": {"seconds": 2.5, "gestures": 1}})
    again.close()


def test_the_later_of_two_is_told_what_there_is(path: Path, made) -> None:
    one, two = Store(path, CLASSES), Store(path, CLASSES)
    one.save(PLACE, made(), GRID)
    with pytest.raises(Conflict) as caught:
        two.save(PLACE, made(shift=5), GRID)
    assert caught.value.state == one.read(PLACE)
    two.save(Place("patient001", 1, 5), made(shift=5), GRID)  # another slice is nobody's concern
    one.close()
    two.close()


def test_the_same_edit_sent_twice_is_made_once(path: Path, made) -> None:
    store, sent = Store(path, CLASSES), made()
    assert store.save(PLACE, sent, GRID) == store.save(PLACE, sent, GRID) == 1
    store.save(PLACE, made(1), GRID)
    assert store.save(PLACE, sent, GRID) == 1
    assert store.read(PLACE).version == 2
    store.close()


def test_of_many_at_once_one_wins(path: Path, made) -> None:
    stores = [Store(path, CLASSES) for _ in range(4)]

    def attempt(index: int) -> int:
        try:
            return stores[index % 4].save(PLACE, made(shift=index), GRID)
        except Conflict:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(24))) == [0] * 23 + [1]
    for store in stores:
        store.close()


def test_it_is_its_owners_alone_and_in_wal_mode(path: Path) -> None:
    store = Store(path, CLASSES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = store.token()
    assert len(token) >= 32
    store.close()
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)
    again, other = Store(path, CLASSES), Store(path.with_name("other"), CLASSES)
    assert again.token() == token != other.token()
    again.close()
    other.close()


def test_other_classes_are_refused(path: Path) -> None:
    Store(path, CLASSES).close()
    with pytest.raises(DataError, match=r"expected classes LV, as asked for, found RV, Myo, LV"):
        Store(path, ["LV"])
    anything = Store(path)
    assert anything.classes == CLASSES
    anything.close()


def test_what_is_no_log_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("not a database, but long enough to be taken for one" * 20)
    with pytest.raises(DataError, match="file is not a database"):
        Store(path, CLASSES)
    with pytest.raises(DataError, match=r"expected a log of edits that can be written"):
        Store(path.parent, CLASSES)


def test_a_full_disk_is_said_and_loses_nothing(path: Path, made, draw, full_disk) -> None:
    store = Store(path, CLASSES)
    store.save(PLACE, made(), GRID)
    room_left = path.with_name(f"{path.name}-wal").stat().st_size
    with full_disk(room_left), pytest.raises(DataError, match="expected a log of edits that can be written"):
        store.save(PLACE, made(1), GRID)
    assert store.read(PLACE).version == 1
    assert store.save(PLACE, made(1, shift=9), GRID) == 2
    store.close()
    again = Store(path, CLASSES)
    assert again.read(PLACE).objects == draw.objects(draw.heart(9))
    again.close()
