"""The page in a real browser, line by line of what it promises."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from shapewise.annotate.schema import Ellipse, Polygon
from shapewise.annotate.shapes import ellipse_through, inside
from shapewise.annotate.store import Place
from shapewise.annotate.suggestion import Suggestions

MIDDLE = 3
"""The slice that a case of the phantom opens at."""


def test_the_page_starts_in_the_middle_and_loads_nothing_from_elsewhere(served, new_hand) -> None:
    hand = new_hand()
    asked: list[str] = []
    hand.page.on("request", lambda request: asked.append(request.url))
    hand.open(served)
    hand.page.wait_for_timeout(100)
    host = served.partition("/?")[0]
    assert [url for url in asked if not url.startswith(host)] == []
    assert hand.value("desk.slice") == MIDDLE
    assert hand.page.locator("#where").inner_text() == f"slice {MIDDLE + 1} of {hand.value('desk.depth')}"


def test_a_page_without_the_token_says_so(served, new_hand) -> None:
    hand = new_hand()
    hand.page.goto(served.partition("?")[0])
    hand.page.locator("#notice", has_text="expected the token").wait_for()


def test_an_ellipse_is_drawn_mended_and_measured(hand, room) -> None:
    hand.press("3")
    hand.drag((64, 64), (74, 72))
    hand.saved()
    drawn = state(room)["LV"].shape
    assert drawn.centre == pytest.approx((64, 64), abs=0.5)
    assert (drawn.first[0], drawn.second[1]) == pytest.approx((10, 8), abs=0.5)
    hand.drag((64, 64 + drawn.second[1]), (64, 78))  # by its handle
    hand.drag((60, 64), (57, 66))  # by its inside
    hand.saved()
    mended = state(room)["LV"].shape
    assert mended.centre == pytest.approx((61, 66), abs=0.6)
    assert abs(mended.second[1]) == pytest.approx(14, abs=0.6)
    area = inside(mended, (128, 128)).sum()
    hand.page.locator("#numbers td", has_text=str(area)).first.wait_for()
    assert hand.page.locator("[data-class=LV] .what").inner_text() == f"ellipse · {area} px²"


def state(room, slice_: int = MIDDLE, case: str = "patient001", frame: int = 1):
    return room.store.read(Place(case, frame, slice_)).objects


def test_a_ring_lies_around_what_is_there(hand, room) -> None:
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.press("2")
    hand.drag((64, 64), (82, 82))
    hand.saved()
    assert state(room)["Myo"].around == "LV"
    hand.press("r", "r", "r")
    hand.saved()
    assert state(room)["Myo"].around == "LV"  # once around the choices
    hand.page.locator("#around").select_option("")
    hand.saved()
    assert state(room)["Myo"].around is None
    hand.page.locator("#canvas").focus()
    hand.press("a")
    hand.drag((64, 64), (84, 84))
    hand.saved()
    assert state(room)["Myo"].around == "LV"  # drawn anew, it is what it was from the start


def test_four_points_and_a_polygon(hand, room) -> None:
    hand.press("1", "x")
    points = [(50, 40), (80, 44), (66, 30), (64, 54)]
    hand.click(*points)
    hand.saved()
    expected = inside(ellipse_through(points), (128, 128))
    found = inside(state(room)["RV"].shape, (128, 128))
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.97
    hand.press("3", "p")
    corners = [(90.0, 60.0), (90.0, 90.0), (110.0, 75.0)]
    hand.click(*corners, corners[0])
    hand.saved()
    assert isinstance(state(room)["LV"].shape, Polygon)
    assert np.allclose(state(room)["LV"].shape.points, corners, atol=0.5)
    hand.drag((110, 75), (105, 70))
    hand.saved()
    assert state(room)["LV"].shape.points[2] == pytest.approx((105, 70), abs=0.5)


def test_the_keyboard_draws_all_of_it(hand, room) -> None:
    hand.press("3", *["ArrowUp"] * 4, *["ArrowLeft"] * 3, "Enter")
    hand.saved()
    assert state(room)["LV"].shape.centre == (60, 61)
    hand.press(*["Shift+ArrowUp"] * 3, "Shift+ArrowLeft", "ArrowDown", "q", "q")
    hand.saved()
    turned = state(room)["LV"].shape
    lengths = sorted(float(np.hypot(*axis)) for axis in (turned.first, turned.second))
    assert lengths == pytest.approx([7, 11])
    assert turned.centre == (61, 61)
    assert abs(turned.first[1]) > 0.5
    hand.press("t", "ArrowUp")  # one handle
    hand.saved()
    assert state(room)["LV"].shape.first != turned.first
    hand.press("1", "x")
    for moves in (["ArrowLeft"] * 30, ["ArrowDown"] * 20, ["ArrowUp", "ArrowLeft"] * 10, ["ArrowRight"] * 24):
        hand.press(*moves, "Enter")
    hand.saved()
    assert state(room)["RV"].shape.kind == "ellipse"
    hand.press("2", "p")
    for moves in (["ArrowUp"] * 9, ["ArrowRight"] * 9, ["ArrowDown"] * 9):
        hand.press(*moves, "Enter")
    hand.press("ArrowLeft", "Shift+Enter")
    hand.saved()
    assert len(state(room)["Myo"].shape.points) == 3
    hand.press("a")
    hand.saved()
    assert state(room)["Myo"].shape.kind == "absent"
    hand.press("Delete")
    hand.saved()
    assert set(state(room)) == {"RV", "LV"}


def test_copy_from_above_and_interpolate(hand, room) -> None:
    hand.press("3")
    hand.drag((60, 60), (70, 70))
    hand.press("1", "a", "PageDown", "c")
    hand.saved()
    copied = state(room, MIDDLE + 1)
    assert copied["LV"].shape == state(room)["LV"].shape
    assert copied["LV"].origin == "copied"
    hand.press("3", "Delete", "1", "Delete", "PageDown", "PageDown")
    hand.shown()
    hand.press("3")
    hand.drag((66, 60), (80, 64))
    hand.press("1", "a", "PageUp", "i")
    hand.page.locator("#notice", has_text="Filled 2 slices").wait_for()
    hand.saved()
    between = [state(room, MIDDLE + step) for step in (1, 2)]
    assert all(each["RV"].shape.kind == "absent" for each in between)
    assert [each["LV"].origin for each in between] == ["interpolated"] * 2
    assert [each["LV"].shape.centre[0] for each in between] == pytest.approx([62, 64], abs=0.5)
    heights = [abs(each["LV"].shape.first[0]) for each in between]
    assert heights == pytest.approx([10 + 4 / 3, 10 + 8 / 3], abs=0.6)


def test_sureness_becomes_bounds(hand, room) -> None:
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.press(",", ",", ",", ",", ".")
    hand.saved()
    assert state(room)["LV"].doubt == 1.5
    hand.page.locator("#sure", has_text="± 1.5 px").wait_for()
    hand.page.locator("#numbers small").first.wait_for()
    hand.page.locator("#doubt").fill("3")
    hand.saved()
    assert state(room)["LV"].doubt == 3


def test_the_region_of_the_numbers_is_shown_on_demand(hand) -> None:
    hand.press("3")
    hand.drag((64, 64), (76, 74))
    before = picture(hand)
    hand.press("v")
    hand.page.locator("body[data-region=shown]").wait_for()
    assert hand.value("desk.region.labels.some((label) => label === 1)")
    assert (picture(hand) != before).any()
    hand.press("v")
    hand.page.locator("body[data-region=hidden]").wait_for()


def picture(hand) -> np.ndarray:
    """The canvas as it is after the next frame."""
    script = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
        const canvas = document.getElementById("canvas"), small = new OffscreenCanvas(80, 60);
        small.getContext("2d").drawImage(canvas, 0, 0, 80, 60);
        done([...small.getContext("2d").getImageData(0, 0, 80, 60).data]);
    })))"""
    return np.array(hand.page.evaluate(script))


def test_looking_around(hand) -> None:
    plain = picture(hand)
    window = hand.value("desk.pictures.window")
    hand.drag((60, 60), (50, 70), button="right")
    assert hand.value("desk.pictures.window") != window
    assert (picture(hand) != plain).any()
    hand.press("l")
    assert hand.value("desk.pictures.window") == window
    zoom = hand.value("desk.view.zoom")
    hand.press("+")
    assert hand.value("desk.view.zoom") == pytest.approx(1.25 * zoom)
    hand.drag((60, 60), (50, 70), button="middle")
    hand.press("Alt+ArrowUp")
    assert (picture(hand) != plain).any()
    hand.press("0")
    assert hand.value("desk.view.zoom") == zoom
    hand.page.mouse.wheel(0, 100)
    hand.page.wait_for_selector(f'body[data-ready="0/{MIDDLE + 1}"]')
    hand.press("f")
    hand.page.wait_for_selector(f'body[data-ready="1/{MIDDLE + 1}"]')
    assert hand.page.locator("#phase").inner_text() == "to ED"
    hand.press("n")
    hand.page.wait_for_selector('body[data-ready^="2/"]')
    hand.press("b", "b")
    hand.page.wait_for_selector('body[data-ready^="1/"], body[data-ready^="0/"]')
    assert (picture(hand) != 0).any()


def test_pixels_are_as_high_and_wide_as_in_the_patient(hand) -> None:
    assert hand.value("(desk.view.show([100, 50], [1, 2.5]), desk.view.aspect)") == [1, 2.5]
    here, down, right = (hand.value(f"desk.view.toScreen([{p}])") for p in ("0, 0", "10, 0", "0, 4"))
    assert down[0] - here[0] == pytest.approx(right[1] - here[1])


def test_slices_are_quick(hand) -> None:
    times = []
    for step in ("PageDown", "PageDown", "PageUp", "PageUp", "PageUp"):
        slice_ = hand.value("desk.slice") + (1 if step == "PageDown" else -1)
        started = time.perf_counter()
        hand.press(step)
        hand.page.wait_for_selector(f'body[data-ready="0/{slice_}"]')
        times.append(time.perf_counter() - started)
    # A tenth of a second on a machine of one's own.
    assert sorted(times)[2] < 1


def test_a_runs_suggestion_is_accepted_or_mended(served, new_hand, room, run, serve) -> None:
    suggestions = Suggestions(run, room.study.cases, room.study.classes)
    with serve(replace(room, suggestions=suggestions)) as url:
        hand = new_hand()
        hand.open(url)
        hand.page.wait_for_selector("#accept:not([disabled])")
        hand.press("Shift+Y")
        hand.saved()
        found = state(room)
        assert found == suggestions.objects(0, MIDDLE, room.around)
        assert {each.origin for each in found.values()} == {"suggested"}
        hand.press("1" if found["RV"].shape.kind != "absent" else "3", "ArrowDown")
        hand.saved()
        assert state(room) != found


def test_seconds_and_gestures_are_counted(hand, room) -> None:
    hand.press("3")
    hand.drag((64, 64), (74, 74))
    hand.page.wait_for_timeout(300)
    hand.drag((64, 64), (66, 66))
    hand.saved()
    costs = [cost["LV"] for _, cost in room.store.costs()]
    assert [cost["gestures"] for cost in costs] == [2, 1]  # the key that chose the class, and a drag; a drag
    assert 0.25 < costs[1]["seconds"] < 15


def test_the_pages_geometry_is_the_servers(hand) -> None:
    points = [[20.0, 34.0], [60.0, 50.0], [44.0, 20.0], [36.0, 66.0]]
    script = """async ([points, aspect]) => {
        const shapes = await import("/static/shapes.js");
        const ellipse = shapes.ellipseThrough(points);
        return [ellipse, shapes.principal(ellipse, aspect), shapes.rotate(ellipse, 180, aspect),
                shapes.between(ellipse, ellipse, 0.5, aspect)];
    }"""
    through, *others = hand.page.evaluate(script, [points, [1, 1.4]])
    expected = ellipse_through([tuple(point) for point in points])
    assert through["first"] == pytest.approx(expected.first)
    assert through["second"] == pytest.approx(expected.second)
    for other in others:
        same = inside(Ellipse.model_validate(other), (90, 90)) == inside(expected, (90, 90))
        assert same.mean() > 0.998


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_light_and_dark(served, new_hand, scheme) -> None:
    hand = new_hand(color_scheme=scheme)
    hand.open(served)
    colour = hand.value("getComputedStyle(document.querySelector('aside')).backgroundColor")
    brightness = sum(int(part) for part in colour.strip("rgb()").split(",")) / 3
    assert (brightness > 128) == (scheme == "light")
    hand.press("?")
    assert hand.page.locator("#help dt").count() > 30
    hand.press("Escape")
    assert not hand.page.locator("#help").is_visible()
