"""A file appears whole or not at all, whoever else writes it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shapewise.errors import DataError, RunError
from shapewise.whole_file import whole_file


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old", encoding="utf-8")

    def run_out_of_space() -> None:
        with whole_file(path) as unfinished:
            unfinished.write_text("half of the new", encoding="utf-8")
            raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"table\.csv.*No space"):
        run_out_of_space()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_writer_is_its_own_and_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_file(tmp_path / "table.csv") as unfinished:
            unfinished.write_text("half", encoding="utf-8")
            raise KeyError("volume")

    with pytest.raises(KeyError):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_place_that_is_a_folder_raises_what_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    refused = pytest.raises(RunError, match=r"run\.json: expected a file that can be written")
    with refused, whole_file(tmp_path / "run.json", RunError) as unfinished:
        unfinished.write_text("{}", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_two_files_that_name_each_other_move_together(tmp_path: Path) -> None:
    with whole_file(tmp_path / "new" / "a.mhd") as unfinished:
        unfinished.with_suffix(".zraw").write_bytes(b"voxels")
        unfinished.write_text("ElementDataFile = a.zraw", encoding="utf-8")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.mhd", "a.zraw"]


def test_threads_that_write_one_file_at_once_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def write(letter: str) -> None:
        with whole_file(path) as unfinished:
            unfinished.write_text(1000 * letter, encoding="utf-8")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcdefgh" * 20))
    assert len(set(path.read_text(encoding="utf-8"))) == 1
    assert list(tmp_path.iterdir()) == [path]
