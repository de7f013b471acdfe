"""Undo and redo: across slices, cases and reloads of the page, and never over what somebody else did."""

from __future__ import annotations

import pytest

from shapewise.annotate.store import Place

MIDDLE = 3
"""The slice that a case of the phantom opens at."""


def state(room, slice_: int = MIDDLE):
    return room.store.read(Place("patient001", 1, slice_)).objects


def test_undo_and_redo(hand, room) -> None:
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.press("a", "PageDown", "a")
    hand.press("Control+z", "Control+z", "Control+z")
    hand.page.locator("#undo:disabled").wait_for()
    hand.saved()
    assert state(room) == state(room, MIDDLE + 1) == {}
    hand.press("Control+y", "Control+Shift+z")
    hand.page.locator("#redo:not([disabled])").wait_for()
    hand.saved()
    assert state(room)["LV"].shape.kind == "absent"
    assert state(room, MIDDLE + 1) == {}


def test_both_outlive_a_reload_of_the_page(hand, room) -> None:
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.press("a", "PageDown", "a")
    hand.saved()
    hand.page.reload()
    hand.shown()
    hand.press("Control+z", "Control+z")
    hand.page.locator("#redo:not([disabled])").wait_for()
    hand.saved()
    assert state(room, MIDDLE + 1) == {}
    assert state(room)["LV"].shape.kind == "ellipse"
    hand.page.reload()
    hand.shown()
    hand.press("Control+y")
    hand.page.locator("[data-class=LV] .what", has_text="absent").wait_for()
    hand.saved()
    assert state(room)["LV"].shape.kind == "absent"
    assert state(room, MIDDLE + 1) == {}


def first_of_two(served, new_hand):
    """A tab that has marked LV as absent; another one has marked RV on the same slice since."""
    one, two = new_hand(), new_hand()
    for hand, label in ((one, "3"), (two, "1")):
        hand.open(served)
        hand.press(label, "a")
        hand.saved()
    return one


def test_what_another_tab_has_changed_since_is_left_alone(served, new_hand, room) -> None:
    one = first_of_two(served, new_hand)
    one.page.reload()
    one.shown()
    one.press("Control+z")
    one.page.locator("#notice", has_text="changed elsewhere").wait_for()
    one.page.locator("#undo:disabled").wait_for()
    one.saved()
    assert set(state(room)) == {"LV", "RV"}


@pytest.mark.parametrize("look_again", ["reload", "cases"])
def test_an_edit_upon_another_tabs_work_does_not_renew_older_steps(
    served, new_hand, room, look_again: str
) -> None:
    one = first_of_two(served, new_hand)
    if look_again == "reload":
        one.page.reload()
        one.shown()
    else:
        one.press("n")
        one.page.wait_for_selector('body[data-ready^="1/"]')
        one.press("b")
        one.page.wait_for_selector(f'body[data-ready="0/{MIDDLE}"]')
    one.press("2", "a")
    one.saved()
    assert set(state(room)) == {"LV", "RV", "Myo"}
    one.press("Control+z")
    one.page.locator("[data-class=Myo] .what:empty").wait_for(state="attached")
    one.press("Control+z")
    one.page.locator("#notice", has_text="changed elsewhere").wait_for()
    one.page.locator("#undo:disabled").wait_for()
    one.saved()
    assert set(state(room)) == {"LV", "RV"}
    one.press("Control+y")  # its own last step is still there
    one.page.locator("[data-class=Myo] .what", has_text="absent").wait_for()
    one.saved()
    assert set(state(room)) == {"LV", "RV", "Myo"}


def test_a_case_that_cannot_be_opened_is_not_undone_on_another(hand, room) -> None:
    hand.press("3", "a")
    hand.saved()
    hand.press("n")
    hand.page.wait_for_selector('body[data-ready^="1/"]')
    hand.page.route("**/api/cases/0", lambda route: route.abort())
    hand.press("Control+z")
    hand.page.locator("#notice span:not(:empty)").wait_for()
    hand.saved()
    assert list(room.store.read_all()) == [Place("patient001", 1, MIDDLE)]
    hand.page.unroute("**/api/cases/0")
    hand.press("Control+z")
    hand.page.wait_for_selector(f'body[data-ready="0/{MIDDLE}"]')
    hand.page.locator("#undo:disabled").wait_for()
    hand.saved()
    assert state(room) == {}


def test_steps_leave_room_in_the_storage(hand) -> None:
    script = """async ([count, letters]) => {
        const { Steps } = await import("/static/steps.js");
        const place = { name: "a", frame: 1, slice: 0 }, steps = new Steps("some steps", () => true);
        for (let i = 0; i < count; i++) {
            steps.add(place, i - 1, {}, { LV: i, text: "x".repeat(letters) });
            steps.sent(place, i);
        }
        const kept = new Steps("some steps", () => true).past;
        return [kept.length, kept.at(-1)?.after.LV, sessionStorage.getItem("some steps")?.length ?? 0];
    }"""
    assert hand.page.evaluate(script, [150, 10])[:2] == [100, 149]
    count, last, length = hand.page.evaluate(script, [30, 50_000])
    assert 1 < count < 20
    assert last == 29
    assert length <= 1_000_000
    assert hand.page.evaluate(script, [2, 2_000_000])[0] == 0


def test_an_interpolation_is_one_step(hand, room) -> None:
    hand.press("3")
    hand.drag((60, 60), (70, 70))
    hand.press("PageDown", "PageDown", "PageDown", "a", "Delete")
    hand.drag((60, 60), (74, 74))
    hand.press("i")
    hand.page.locator("#notice", has_text="Filled 2 slices").wait_for()
    hand.saved()
    hand.press("Control+z")
    hand.page.wait_for_function("() => !desk.states[4].objects.LV && !desk.states[5].objects.LV")
    hand.saved()
    assert state(room, MIDDLE + 1) == state(room, MIDDLE + 2) == {}
    assert set(state(room, MIDDLE + 3)) == {"LV"}
    hand.press("Control+y")
    hand.page.wait_for_function("() => desk.states[4].objects.LV && desk.states[5].objects.LV")
    hand.saved()
    assert [set(state(room, MIDDLE + away)) for away in (1, 2)] == [{"LV"}, {"LV"}]
    hand.page.reload()
    hand.shown()
    hand.press("Control+z")
    hand.page.wait_for_function("() => !desk.states[4].objects.LV && !desk.states[5].objects.LV")
    hand.saved()
    assert set(state(room, MIDDLE + 3)) == {"LV"}
