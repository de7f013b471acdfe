"""Keyboard and mouse in turn: neither takes the other's place, and no key is lost on the way."""

from __future__ import annotations

import pytest

from shapewise.annotate.schema import Polygon
from shapewise.annotate.store import Place

MIDDLE = 3
"""The slice that a case of the phantom opens at."""


def state(room, slice_: int = MIDDLE):
    return room.store.read(Place("patient001", 1, slice_)).objects


def test_an_object_is_drawn_anew_by_keyboard_alone(hand, room) -> None:
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.saved()
    before = state(room)["LV"]
    hand.press("p", "Enter", *["ArrowUp"] * 9)
    assert hand.value("desk.objects.LV.shape.centre") == list(before.shape.centre)
    hand.press("Enter", *["ArrowRight"] * 9, "Enter", *["ArrowDown"] * 9, "Enter", "Shift+Enter")
    hand.saved()
    drawn = state(room)["LV"].shape
    assert isinstance(drawn, Polygon)
    assert drawn.points == ((55, 64), (55, 73), (64, 73))


def test_what_the_mouse_chose_leaves_the_keys_to_the_picture(hand, room) -> None:
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.press("2")
    hand.drag((64, 64), (84, 84))
    hand.page.locator("#around").select_option("RV")
    hand.saved()
    hand.press("PageDown")
    hand.page.wait_for_selector(f'body[data-ready="0/{MIDDLE + 1}"]')
    hand.page.locator("[data-class=LV]").click()
    hand.press("Enter")  # an ellipse at the crosshair, and not the button again
    hand.saved()
    assert set(state(room, MIDDLE + 1)) == {"LV"}
    assert state(room)["Myo"].around == "RV"


def test_space_and_drag_pan_after_a_button_too(hand) -> None:
    hand.page.locator("[data-class=LV]").click()
    offset = hand.value("desk.view.offset")
    hand.page.keyboard.down(" ")
    hand.drag((64, 64), (74, 74))
    hand.page.keyboard.up(" ")
    assert hand.value("desk.objects") == {}
    assert hand.value("desk.view.offset") != offset


def test_the_slider_shows_the_class_at_hand(hand) -> None:
    hand.press("3", "a", "1", "a", "3")
    hand.page.locator("#doubt").focus()
    hand.page.keyboard.press("ArrowRight")
    hand.page.locator("#sure", has_text="± 0.5 px").wait_for()
    hand.press("1")
    hand.page.locator("#sure", has_text="margin").wait_for()
    assert hand.page.locator("#doubt").input_value() == "0"


def test_a_small_object_has_four_extreme_points(hand, room) -> None:
    hand.press("3", "x", *["-"] * 5)
    assert hand.value("desk.view.zoom") < 2.5
    hand.click((60, 64), (64, 64), (62, 62), (62, 66))
    hand.saved()
    assert state(room)["LV"].shape.centre == pytest.approx((62, 64), abs=0.5)
