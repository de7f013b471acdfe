"""A small phantom, what is drawn on it, and the application in front of it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from starlette.testclient import TestClient

from shapewise.annotate.guard import Guard
from shapewise.annotate.numbers import OBJECTS
from shapewise.annotate.schema import Drawn
from shapewise.annotate.server import Room, build_app
from shapewise.annotate.sources import find_study
from shapewise.annotate.store import Store
from shapewise.annotate.summary import log_of
from shapewise.annotate.volumes import Volumes
from shapewise.config import parse_experiment
from shapewise.data.phantom import make_phantom
from shapewise.runs import train

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


@pytest.fixture(scope="session")
def run(hearts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has learned roughly where hearts are."""
    settings = {
        "data": {
            "preprocessing": {"spacing": 6.0, "size": [40, 40]},
            "split": {"train": 1, "validation": 1, "test": 1},
        },
        "network": {"name": "residual_unet", "options": {"channels": 4, "levels": 3}},
        "training": {"epochs": 12, "learning_rate": 1e-2, "accelerator": "cpu"},
        "supervision": "pixels",
    }
    out = tmp_path_factory.mktemp("runs") / "run"
    train(parse_experiment(settings, where="test"), hearts, out)
    return out


CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield browser
        browser.close()


class Hand:
    """A person before the page: mouse and keyboard, in the image's rows and columns."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.shown()

    def shown(self) -> None:
        """Wait until a slice is shown."""
        self.page.wait_for_selector('body[data-ready]:not([data-ready=""])')

    def at(self, row: float, column: float) -> tuple[float, float]:
        """Where a point of the image is on the screen."""
        y, x = self.page.evaluate("(point) => desk.view.toScreen(point)", [row, column])
        box = self.page.locator("#canvas").bounding_box()
        assert box is not None
        return box["x"] + x, box["y"] + y

    def drag(self, start: tuple[float, float], end: tuple[float, float], button: Any = "left") -> None:
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down(button=button)
        self.page.mouse.move(*self.at(*((a + b) / 2 for a, b in zip(start, end, strict=True))))
        self.page.mouse.move(*self.at(*end))
        self.page.mouse.up(button=button)

    def click(self, *points: tuple[float, float]) -> None:
        for point in points:
            self.page.mouse.click(*self.at(*point))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def says(self, text: str) -> None:
        """Wait until the status says so."""
        self.page.locator("#status", has_text=text).wait_for()

    def saved(self) -> None:
        self.page.locator("#status", has_text=re.compile("^saved$")).wait_for()

    def value(self, expression: str) -> Any:
        return self.page.evaluate(f"() => {expression}")


@contextmanager
def serving(room: Room) -> Iterator[str]:
    bound = socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    app = Guard(build_app(room), token=TOKEN, names=("127.0.0.1",), port=port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/?token={quote(TOKEN)}"
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


@pytest.fixture
def serve() -> Callable[[Room], AbstractContextManager[str]]:
    """Lends the application on a port of its own: its page's address."""
    return serving


@pytest.fixture
def served(room: Room) -> Iterator[str]:
    with serving(room) as url:
        yield url


@pytest.fixture
def new_hand(browser: Browser) -> Iterator[Callable[..., Hand]]:
    """Another tab of one browser; whatever goes wrong on a page fails the test."""
    contexts: list[BrowserContext] = []
    hands: list[Hand] = []

    def make(**options: Any) -> Hand:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 800}, **options))
        contexts[-1].set_default_timeout(15_000)
        hands.append(Hand(contexts[-1].new_page()))
        return hands[-1]

    yield make
    for context in contexts:
        context.close()
    assert [error for hand in hands for error in hand.errors] == []


@pytest.fixture
def hand(served: str, new_hand: Callable[..., Hand]) -> Hand:
    """A person before the phantom's first slice, in the middle of its first case."""
    hand = new_hand()
    hand.open(served)
    return hand
