"""Edits that are not saved yet: a lost connection, a lost answer, another tab's work. None is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shapewise.annotate.store import Place

MIDDLE = 3
"""The slice that a case of the phantom opens at."""


def state(room, slice_: int = MIDDLE):
    return room.store.read(Place("patient001", 1, slice_)).objects


@contextmanager
def losing_edits(hand, *, first_arrives: bool) -> Iterator[None]:
    """Lose what the page sends until the block ends; of the first edit perhaps only the server's answer.

    The page tries again after half a second: were that let through, "connection lost" could be gone before
    anybody has read it. The route stays in place, for a request that is under way must not lose its handler.
    """
    arrived: list[int] = []
    over = False

    def lose(route):
        if over or route.request.method != "PUT":
            route.continue_()
            return
        if first_arrives and not arrived:
            arrived.append(route.fetch().status)
        route.abort()

    hand.page.route("**/api/**", lose)
    yield
    over = True
    assert arrived == ([200] if first_arrives else [])


def test_a_lost_connection_keeps_the_edit_says_so_and_retries(hand, room) -> None:
    hand.page.context.set_offline(True)
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.press("1", "a")
    hand.says("connection lost · 2 edits kept here, trying again")
    assert state(room) == {}
    hand.page.context.set_offline(False)
    hand.saved()
    assert set(state(room)) == {"LV", "RV"}
    hand.page.locator("[data-class=LV] .what", has_text="px²").wait_for()


def test_an_answer_that_is_lost_is_no_second_edit(hand, room) -> None:
    with losing_edits(hand, first_arrives=True):
        hand.press("3", "a")
        hand.says("connection lost")
    hand.saved()
    assert room.store.read(Place("patient001", 1, MIDDLE)).version == 1


def test_what_was_not_sent_survives_a_reload(hand, room) -> None:
    with losing_edits(hand, first_arrives=False):
        hand.press("3")
        hand.drag((64, 64), (74, 74))
        hand.says("connection lost")
        hand.page.reload()
        hand.shown()
        hand.says("1 edit kept here")
        assert hand.value("desk.object === undefined") is True  # RV is at hand after a reload
        assert hand.value("desk.objects.LV.shape.kind") == "ellipse"
    hand.saved()
    assert state(room)["LV"].shape.kind == "ellipse"


@pytest.mark.parametrize("keep", ["Keep mine", "Take the other"])
def test_of_two_tabs_the_later_is_told_and_chooses(served, new_hand, room, keep: str) -> None:
    one, two = new_hand(), new_hand()
    one.open(served)
    two.open(served)
    one.press("3")
    one.drag((64, 64), (74, 74))
    one.saved()
    two.press("1", "a")
    two.page.locator("#notice", has_text="was changed in another tab").wait_for()
    two.says("not saved")
    assert set(state(room)) == {"LV"}
    two.page.reload()
    two.page.get_by_role("button", name=keep).click()
    two.saved()
    assert set(state(room)) == ({"RV"} if keep == "Keep mine" else {"LV"})
    assert two.value("Object.keys(desk.objects)") == (["RV"] if keep == "Keep mine" else ["LV"])
    versions = room.store.costs()
    assert len(versions) == (2 if keep == "Keep mine" else 1)  # the first edit stays in the log


def test_nudges_after_a_lost_answer_are_kept(hand, room) -> None:
    """The server may have what the page sends again: nothing may be added to it under the same name."""
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.saved()
    before = state(room)["LV"].shape.centre
    with losing_edits(hand, first_arrives=True):
        hand.press("ArrowUp")
        hand.says("connection lost")
        hand.press("ArrowUp", "ArrowUp", "ArrowUp")
    hand.saved()
    assert state(room)["LV"].shape.centre == (before[0] - 4, before[1])


def test_nudges_after_a_reload_are_kept(hand, room) -> None:
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.saved()
    before = state(room)["LV"].shape.centre
    with losing_edits(hand, first_arrives=True):
        hand.press("ArrowUp")
        hand.says("connection lost")
        hand.page.reload()
        hand.shown()
        hand.press("3", "ArrowUp")
    hand.saved()
    assert state(room)["LV"].shape.centre == (before[0] - 2, before[1])


def two_in_conflict(served, new_hand):
    """One tab has drawn LV; on the same slice another, told of it, had marked RV as absent."""
    one, two = new_hand(), new_hand()
    one.open(served)
    two.open(served)
    one.press("3")
    one.drag((64, 64), (74, 74))
    one.saved()
    two.press("1", "a")
    two.page.locator("#notice", has_text="was changed in another tab").wait_for()
    return one, two


@pytest.mark.parametrize("keep", ["Keep mine", "Take the other"])
def test_whoever_was_told_and_draws_on_changes_nothing_before_choosing(
    served, new_hand, room, keep: str
) -> None:
    one, two = two_in_conflict(served, new_hand)
    two.press("2", "a", "Control+z", "Control+y")
    two.says("not saved: choose above")
    two.page.wait_for_timeout(200)
    assert set(state(room)) == {"LV"}
    one.press("ArrowUp")
    one.saved()
    newest = state(room)["LV"]
    two.page.get_by_role("button", name=keep).click()
    if keep == "Take the other":
        two.saved()
        assert two.value("Object.keys(desk.objects)") == ["LV"]
        assert two.value("desk.objects.LV.shape.centre") == list(newest.shape.centre)
    else:  # the other one has gone on since: told again
        two.page.locator("#notice", has_text="was changed in another tab").wait_for()
        assert state(room) == {"LV": newest}
        two.page.get_by_role("button", name=keep).click()
        two.saved()
        assert set(state(room)) == {"RV", "Myo"}


def test_what_is_not_chosen_yet_is_still_shown_after_a_look_at_another_case(served, new_hand) -> None:
    _, two = two_in_conflict(served, new_hand)
    two.press("n")
    two.page.wait_for_selector('body[data-ready^="1/"]')
    two.press("b")
    two.page.wait_for_selector(f'body[data-ready="0/{MIDDLE}"]')
    assert two.value("Object.keys(desk.objects)") == ["RV"]
    two.says("not saved: choose above")


def test_an_edit_that_arrives_while_its_case_is_opened_again_is_no_conflict(hand, room) -> None:
    """The case's states may be older than that the edit has arrived."""
    hand.page.route("**/api/cases/*/slices/*", lambda route: None)  # its answer takes its time
    hand.press("3", "a")
    hand.press("n")
    hand.page.wait_for_selector('body[data-ready=""]')
    old = {"version": 0, "objects": {}}

    def slow(route):
        answer = route.fetch().json()
        hand.page.evaluate("() => desk.outbox.queue.shift()")  # acknowledged meanwhile
        route.fulfill(json={**answer, "states": {str(MIDDLE): old}})

    hand.page.route("**/api/cases/0", slow)
    hand.press("b")
    hand.page.wait_for_function("() => desk.index === 0 && !desk.loading")
    assert hand.value("desk.states[3].version") == 1
    assert hand.value("Object.keys(desk.objects)") == ["LV"]


def test_a_full_storage_of_the_tab_stops_nobody(hand, room) -> None:
    """The tab's storage holds some five million letters; a long time without a server may fill it."""
    hand.page.context.set_offline(True)
    hand.page.evaluate("""() => {
        for (let size = 2 ** 22, i = 0; size; i++) {
            try { sessionStorage.setItem("full" + i, "x".repeat(size)); } catch { size >>= 1; }
        }
    }""")
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.press("1", "a")
    hand.says("2 edits kept here")
    hand.page.context.set_offline(False)
    hand.saved()
    assert set(state(room)) == {"LV", "RV"}


def test_a_tab_with_an_open_choice_is_not_closed_without_a_word(served, new_hand) -> None:
    _, two = two_in_conflict(served, new_hand)
    asked: list[str] = []
    two.page.on("dialog", lambda dialog: asked.append(dialog.type))
    two.page.close(run_before_unload=True)
    two.page.wait_for_event("close")
    assert asked == ["beforeunload"]
