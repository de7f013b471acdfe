"""Scans: 16 bits that lose nothing worth having, kept while they are in use, and quick."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import SimpleITK
from starlette.testclient import TestClient

from shapewise.annotate.server import Room, build_app
from shapewise.annotate.sources import find_study
from shapewise.annotate.store import Store
from shapewise.annotate.volumes import KEPT, Volumes, as_scan
from shapewise.data.cases import Case, Volume


def volume(image: np.ndarray) -> Volume:
    return Volume(image.astype(np.float32), (8.0, 1.5, 1.25), np.zeros((8, 3)))


def test_intensities_come_back() -> None:
    image = np.random.default_rng(0).normal(size=(3, 20, 30)) * 1000
    scan = as_scan(volume(image), True)
    back = scan.low + scan.voxels * (scan.high - scan.low) / 65535
    assert np.abs(back - image).max() <= (scan.high - scan.low) / 65535
    assert scan.low < scan.window[0] < scan.window[1] < scan.high
    assert scan.grid.spacing == (1.5, 1.25)
    assert as_scan(volume(image), False).grid.spacing is None


@pytest.mark.parametrize(("scale", "shift"), [(1e15, 0), (1e12, -1e15), (1e-14, 0)])
def test_extreme_intensities_are_shown(scale: float, shift: float) -> None:
    scan = as_scan(volume(np.eye(300)[None] * scale + shift), True)
    assert scan.voxels.min() == 0
    assert scan.window[0] < scan.window[1]


def test_cases_are_read_once_while_in_use_and_let_go_of_later(hearts: Path) -> None:
    cases = find_study(hearts, []).cases * 2
    volumes = Volumes(cases)
    first = volumes.scan(0)
    assert volumes.scan(0) is first
    for index in range(1, KEPT + 1):
        volumes.scan(index)
    assert volumes.scan(0) is not first


def test_a_scan_in_memory_waits_for_no_other_one(hearts: Path) -> None:
    """While the next case is read, the slices of this one are looked at and its edits kept."""
    begun, go_on = Event(), Event()

    class Slow(Case):
        def read_image(self) -> Volume:
            begun.set()
            assert go_on.wait(20)
            return super().read_image()

    first, second = find_study(hearts, []).cases[:2]
    volumes = Volumes([first, Slow(**vars(second))])
    here = volumes.scan(0)
    with ThreadPoolExecutor() as pool:
        there = [pool.submit(volumes.scan, 1) for _ in range(2)]
        assert begun.wait(20)
        try:
            assert pool.submit(volumes.scan, 0).result(5) is here
        finally:
            go_on.set()
        assert there[0].result() is there[1].result()


@pytest.fixture
def thousand(tmp_path: Path) -> Path:
    """One image of a thousand slices; not compressed, as scanners write them."""
    voxels = np.random.default_rng(0).integers(0, 1000, (1000, 128, 128), dtype=np.int16)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(tmp_path / "long.nii"))
    return tmp_path


def test_a_thousand_slices_open_in_time_and_a_slice_at_once(thousand: Path, tmp_path: Path) -> None:
    started = time.perf_counter()
    study = find_study(thousand, ["LV"])
    store = Store(tmp_path / "log.sqlite", study.classes)
    room = Room(study, store, Volumes(study.cases), "px", tmp_path / "table.csv")
    with TestClient(build_app(room)) as client:
        assert client.get("/api/cases/0").json()["size"] == [1000, 128, 128]
        opened = time.perf_counter()
        times = []
        for index in (0, 999, 500, 3, 700):
            before = time.perf_counter()
            assert len(client.get(f"/api/cases/0/slices/{index}").content) == 2 * 128 * 128
            times.append(time.perf_counter() - before)
    store.close()
    # Two seconds and a tenth on a machine of one's own; tests may share theirs.
    assert opened - started < 8
    assert min(times) < 0.1
    assert sorted(times)[2] < 0.5
