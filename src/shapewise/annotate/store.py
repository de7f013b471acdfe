"""Every edit, kept in SQLite before it is acknowledged: a row an edit, none ever changed or removed.

A row holds all objects of a slice after the edit, and the slice's version. A version exists once: of two
edits made from the same one, the second is refused. The log is in WAL mode and synced at every commit, so
that neither a killed process nor a machine without power loses what was acknowledged.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from shapewise.annotate.numbers import OBJECTS, Grid
from shapewise.annotate.schema import Drawn, Edit
from shapewise.errors import DataError

FORMAT = "1"

TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS grids (
    "case" TEXT, frame INTEGER, rows INTEGER, columns INTEGER, row_mm REAL, column_mm REAL,
    PRIMARY KEY ("case", frame)
);
CREATE TABLE IF NOT EXISTS edits (
    uid TEXT PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP, "case" TEXT, frame INTEGER, slice INTEGER,
    version INTEGER, objects TEXT NOT NULL, costs TEXT NOT NULL,
    UNIQUE ("case", frame, slice, version)
);
CREATE TABLE IF NOT EXISTS exported (
    "case" TEXT, frame INTEGER, slice INTEGER, PRIMARY KEY ("case", frame, slice)
);
"""


@dataclass(frozen=True)
class Place:
    """A slice: its case's name, the case's time frame, and the 0-based index of the slice."""

    case: str
    frame: int
    slice: int


@dataclass(frozen=True)
class State:
    """What is known of a slice: how many edits there were, and the objects after the last one."""

    version: int
    objects: dict[str, Drawn]


class Conflict(Exception):  # noqa: N818 (no failure: the later of two is told)
    """The slice has been edited since the version that an edit was made from."""

    def __init__(self, state: State) -> None:
        super().__init__(f"version {state.version}")
        self.state = state


class Store:
    """The log of one table's edits.

    Args:
        path: the file; made where it is missing, readable by its owner alone.
        classes: what may be annotated; a file that was begun with others is refused. None takes its own.

    Raises:
        DataError: it is no log of ours, was begun with other classes, or cannot be written.
    """

    def __init__(self, path: Path, classes: Sequence[str] | None = None) -> None:
        self.path = path
        self._lock = Lock()
        with self._blamed():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(
                path, timeout=10, check_same_thread=False, isolation_level=None
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(TABLES)
            self._check("format", FORMAT)
            known = json.loads(self._fact("classes", json.dumps(list(classes or ()))))
            self._check("classes", ", ".join(classes or known), ", ".join(known))
            self.classes: tuple[str, ...] = tuple(known)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def token(self) -> str:
        """The secret of this file's pages; the same after a restart, so that an open page goes on."""
        return self._fact("token", secrets.token_urlsafe(24))

    def save(self, place: Place, edit: Edit, grid: Grid) -> int:
        """Keep an edit; on return it is on disk. The same edit may be sent again.

        Returns:
            The slice's version after it.

        Raises:
            Conflict: the slice has been edited since `edit.base`.
            DataError: the file cannot be written, for example because the disk is full.
        """
        costs = {name: cost.model_dump() for name, cost in edit.costs.items()}
        with self._lock, self._blamed(), self._transaction():
            known = self._connection.execute(
                "SELECT version FROM edits WHERE uid = ?", (edit.uid,)
            ).fetchone()
            if known is not None:
                return int(known[0])
            state = self._read(place)
            if state.version != edit.base:
                raise Conflict(state)
            row_mm, column_mm = grid.spacing or (None, None)
            self._connection.execute(
                "INSERT OR REPLACE INTO grids VALUES (?, ?, ?, ?, ?, ?)",
                (place.case, place.frame, *grid.size, row_mm, column_mm),
            )
            self._connection.execute(
                'INSERT INTO edits (uid, "case", frame, slice, version, objects, costs)'
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    edit.uid,
                    *(place.case, place.frame, place.slice, edit.base + 1),
                    OBJECTS.dump_json(edit.objects).decode(),
                    json.dumps(costs),
                ),
            )
        return edit.base + 1

    def read(self, place: Place) -> State:
        """What is known of a slice; version 0 where nothing is."""
        with self._lock, self._blamed():
            return self._read(place)

    def read_all(self, case: str | None = None, frame: int | None = None) -> dict[Place, State]:
        """Every slice that was ever edited, of one case or of all, in order."""
        with self._lock, self._blamed():
            rows = self._connection.execute(
                'SELECT "case", frame, slice, MAX(version), objects FROM edits'
                ' WHERE (?1 IS NULL OR "case" = ?1) AND (?2 IS NULL OR frame = ?2)'
                ' GROUP BY "case", frame, slice ORDER BY "case", frame, slice',
                (case, frame),
            ).fetchall()
        return {Place(*row[:3]): State(row[3], OBJECTS.validate_json(row[4])) for row in rows}

    def grids(self) -> dict[tuple[str, int], Grid]:
        """The pixels of every case and frame that was edited."""
        with self._lock, self._blamed():
            rows = self._connection.execute("SELECT * FROM grids").fetchall()
        return {
            (case, frame): Grid(size=(height, width), spacing=None if row is None else (row, column))
            for case, frame, height, width, row, column in rows
        }

    def costs(self) -> list[tuple[Place, Mapping[str, Mapping[str, float]]]]:
        """What every edit cost, class by class, in the order in which they were made."""
        with self._lock, self._blamed():
            rows = self._connection.execute(
                'SELECT "case", frame, slice, costs FROM edits ORDER BY rowid'
            ).fetchall()
        return [(Place(*row[:3]), json.loads(row[3])) for row in rows]

    def note_exported(self, places: Iterable[Place]) -> None:
        """Keep that the table now has these slices from here."""
        rows = [(place.case, place.frame, place.slice) for place in places]
        with self._lock, self._blamed(), self._transaction():
            self._connection.executemany("INSERT OR IGNORE INTO exported VALUES (?, ?, ?)", rows)

    def exported(self) -> set[Place]:
        """The slices that the table has ever had from here."""
        with self._lock, self._blamed():
            rows = self._connection.execute('SELECT "case", frame, slice FROM exported').fetchall()
        return {Place(*row) for row in rows}

    def _read(self, place: Place) -> State:
        found = self._connection.execute(
            'SELECT version, objects FROM edits WHERE "case" = ? AND frame = ? AND slice = ?'
            " ORDER BY version DESC LIMIT 1",
            (place.case, place.frame, place.slice),
        ).fetchone()
        return State(0, {}) if found is None else State(found[0], OBJECTS.validate_json(found[1]))

    def _check(self, name: str, wanted: str, found: str | None = None) -> None:
        found = self._fact(name, wanted) if found is None else found
        if found != wanted:
            raise DataError(self.path, expected=f"{name} {wanted}, as asked for", found=found)

    def _fact(self, name: str, value: str) -> str:
        """The value of a fact, which is the one given where it was not known."""
        with self._blamed():
            self._connection.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, value))
            query = "SELECT value FROM facts WHERE name = ?"
            return str(self._connection.execute(query, (name,)).fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(self.path, expected="a log of edits that can be written", found=reason) from error
