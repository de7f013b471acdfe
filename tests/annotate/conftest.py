"""A small phantom, what is drawn on it, and the application in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from shapewise.annotate.guard import Guard
from shapewise.annotate.numbers import OBJECTS
from shapewise.annotate.schema import Drawn
from shapewise.annotate.server import Room, build_app
from shapewise.annotate.sources import find_study
from shapewise.annotate.store import Store
from shapewise.annotate.summary import log_of
from shapewise.annotate.volumes import Volumes
from shapewise.data.phantom import make_phantom

CLASSES = ("RV", "Myo", "LV")
TOKEN = "the token"


@pytest.fixture(scope="session")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantom patients of 128 x 128 pixels."""
    folder = tmp_path_factory.mktemp("hearts") / "data"
    make_phantom(folder, patients=3, seed=5, size=(128, 128))
    return folder


class Draw:
    """What a person may draw, as the page sends it."""

    @staticmethod
    def ellipse(row: float, column: float, first: float, second: float, **more: Any) -> dict[str, Any]:
        """An upright one."""
        shape = {"kind": "ellipse", "centre": [row, column], "first": [first, 0], "second": [0, second]}
        return {"shape": shape} | more

    def heart(self, shift: float = 0.0) -> dict[str, Any]:
        """All three classes of a slice: RV and LV as ellipses, Myo as a ring."""
        return {
            "RV": self.ellipse(60 + shift, 35, 14, 9),
            "Myo": self.ellipse(62 + shift, 66, 21, 20, around="LV"),
            "LV": self.ellipse(62 + shift, 66, 13, 12),
        }

    @staticmethod
    def objects(plain: dict[str, Any]) -> dict[str, Drawn]:
        """What the server makes of it."""
        return OBJECTS.validate_python(plain)

    @staticmethod
    def edit(plain: dict[str, Any], base: int = 0, **costs: tuple[float, int]) -> dict[str, Any]:
        """An edit to it, with seconds and gestures of classes."""
        spent = {name: {"seconds": seconds, "gestures": count} for name, (seconds, count) in costs.items()}
        return {"uid": str(uuid4()), "base": base, "objects": plain, "costs": spent}


@pytest.fixture(scope="session")
def draw() -> Draw:
    return Draw()


@pytest.fixture
def room(hearts: Path, tmp_path: Path) -> Iterator[Room]:
    study = find_study(hearts, CLASSES)
    out = tmp_path / "table.csv"
    store = Store(log_of(out), CLASSES)
    yield Room(study, store, Volumes(study.cases), "px", out)
    store.close()


@pytest.fixture
def client(room: Room) -> Iterator[TestClient]:
    """What a page of ours can do."""
    app = Guard(build_app(room), token=TOKEN, names=("127.0.0.1", "localhost"), port=8471)
    with TestClient(app, base_url="http://127.0.0.1:8471", headers={"X-Token": TOKEN}) as client:
        yield client
