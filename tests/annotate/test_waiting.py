"""What takes its time: a person goes on meanwhile, and takes nothing old for what they asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from shapewise.annotate.store import Place

MIDDLE = 3
"""The slice that a case of the phantom opens at."""


class Thinking:
    """A run that takes its time to predict."""

    def __init__(self) -> None:
        self.done = Event()

    def objects(self, case: int, slice_: int, around: object) -> dict[str, Any]:
        self.done.wait(20)
        return {}

    def masks(self, case: int, slice_: int) -> dict[str, Any]:
        return {}


@pytest.fixture
def thinking() -> Iterator[Thinking]:
    run = Thinking()
    yield run
    run.done.set()


def test_slices_are_shown_while_a_run_predicts(room, serve, new_hand, thinking) -> None:
    with serve(replace(room, suggestions=thinking)) as url:
        hand = new_hand()
        hand.open(url)
        for _ in range(3):
            hand.press(*["PageUp"] * 3, *["PageDown"] * 4)
        hand.press("3", "a")
        hand.saved()
        hand.press("n")
        hand.page.wait_for_selector('body[data-ready^="1/"]')
        thinking.done.set()
    assert set(room.store.read(Place("patient001", 1, MIDDLE + 3)).objects) == {"LV"}


def test_no_other_slices_picture_is_shown_for_one_that_does_not_come(hand) -> None:
    last = hand.value("desk.depth - 1")
    hand.page.route(f"**/slices/{last}", lambda route: route.abort())
    hand.value(f"(desk.pictures.slices.clear(), desk.go({last}))")
    hand.page.locator("#notice", has_text="Connection lost").wait_for()
    script = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
        const { width, height } = document.getElementById("canvas");
        const [y, x] = desk.view.toScreen([64, 64]).map((each) => Math.round(each * devicePixelRatio));
        done([...document.getElementById("canvas").getContext("2d").getImageData(x, y, 9, 9).data]);
    })))"""
    assert set(hand.page.evaluate(script)) == {0}
    hand.page.unroute(f"**/slices/{last}")
    hand.press("PageUp", "PageDown")
    hand.page.wait_for_selector(f'body[data-ready="0/{last}"]')
    assert set(hand.page.evaluate(script)) != {0}


def test_nothing_is_drawn_on_a_case_that_is_being_left(hand, room) -> None:
    hand.press("3")
    hand.page.route("**/api/cases/1", lambda route: None)
    hand.press("n")
    hand.page.wait_for_selector('body[data-ready=""]')
    hand.page.get_by_role("button", name="Absent").click()
    hand.page.locator("#doubt").fill("3")
    hand.page.wait_for_timeout(200)
    assert hand.value("desk.objects") == {}
    assert room.store.read_all() == {}


def test_a_picture_that_did_not_come_is_shown_once_somebody_answers(hand) -> None:
    last = hand.value("desk.depth - 1")
    hand.page.route(f"**/slices/{last}", lambda route: route.abort())
    hand.value(f"(desk.pictures.slices.clear(), desk.go({last}))")
    hand.page.locator("#notice", has_text="Connection lost").wait_for()
    hand.page.unroute(f"**/slices/{last}")
    deadline = time.monotonic() + 20
    while hand.value("desk.pixelsOf") != last and time.monotonic() < deadline:
        time.sleep(0.1)
    assert hand.value("desk.pixelsOf") == last
