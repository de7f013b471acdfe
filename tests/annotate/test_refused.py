"""An edit that the server will not take: said, taken back, and no trouble for the next one."""

from __future__ import annotations

from shapewise.annotate.schema import MOST_POINTS
from shapewise.annotate.store import Place

MIDDLE = 3
"""The slice that a case of the phantom opens at."""


def state(room):
    return room.store.read(Place("patient001", 1, MIDDLE)).objects


def draw_too_many_corners(hand) -> None:
    points = [[row % 120, row] for row in range(MOST_POINTS + 1)]
    drawn = {"shape": {"kind": "polygon", "points": points}, "around": None, "doubt": 0, "origin": "drawn"}
    hand.page.evaluate("(drawn) => desk.put('LV', drawn)", drawn)


def test_it_is_said_and_the_page_shows_what_is_saved(hand, room) -> None:
    hand.press("3", "a")
    hand.saved()
    draw_too_many_corners(hand)
    hand.page.locator("#notice", has_text="was refused").wait_for()
    hand.page.locator("[data-class=LV] .what", has_text="absent").wait_for()
    hand.press("1", "a")
    hand.saved()
    assert hand.value("desk.conflicts") == []
    assert set(state(room)) == {"LV", "RV"}


def test_edits_that_wait_behind_it_are_kept(hand, room) -> None:
    hand.page.context.set_offline(True)
    draw_too_many_corners(hand)
    hand.press("3", "Delete", "1", "a")
    hand.says("3 edits kept here")
    hand.page.context.set_offline(False)
    hand.page.locator("#notice", has_text="was refused").wait_for()
    hand.saved()
    assert hand.value("desk.conflicts") == []
    assert set(state(room)) == {"RV"} == set(hand.value("Object.keys(desk.objects)"))
