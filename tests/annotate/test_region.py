"""What the numbers say, drawn over the picture while objects come and go."""

from __future__ import annotations

from playwright.sync_api import Route


def colour(hand, row: float, column: float) -> list[int]:
    """Of the canvas at a point of the image, after the next frame."""
    script = """(point) => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
        const [y, x] = desk.view.toScreen(point).map((each) => Math.round(each * devicePixelRatio));
        done([...document.getElementById("canvas").getContext("2d").getImageData(x, y, 1, 1).data]);
    })))"""
    return hand.page.evaluate(script, [row, column])


def test_an_object_that_goes_takes_no_other_ones_colour_away(hand) -> None:
    hand.press("3")
    hand.drag((64, 75), (74, 85))
    hand.press("1")
    hand.drag((64, 35), (74, 45))
    hand.press("v")
    hand.page.locator("body[data-region=shown]").wait_for()
    assert hand.value("desk.region.labels.includes(2)")
    tinted = colour(hand, 66, 37)
    hand.page.route("**/api/cases/*/numbers", lambda route: None)  # the next answer takes its time
    hand.press("3", "Delete")
    assert colour(hand, 66, 37) == tinted
    assert hand.errors == []


def test_a_region_that_cannot_be_measured_is_not_shown(hand) -> None:
    hand.press("3")
    hand.drag((64, 75), (74, 85))
    hand.press("v")
    hand.page.locator("body[data-region=shown]").wait_for()
    hand.page.context.set_offline(True)
    hand.press("Delete")
    hand.page.locator("body[data-region=hidden]").wait_for()
    hand.page.context.set_offline(False)
    hand.saved()


def test_one_region_is_asked_for_at_a_time_and_the_last_one_shown(hand) -> None:
    """A hand that drags asks sooner than a large region is found; edits would wait behind all of them."""
    hand.press("3")
    hand.drag((64, 75), (74, 85))
    hand.press("v")
    hand.page.locator("body[data-region=shown]").wait_for()
    waiting: list[Route] = []
    hand.page.route("**/region", lambda route: waiting.append(route))
    for _ in range(4):
        hand.press("ArrowUp", "ArrowUp")
        hand.page.wait_for_timeout(120)
    assert len(waiting) == 1
    with hand.page.expect_request("**/region") as asked:
        waiting[0].continue_()
    assert asked.value.post_data_json["objects"] == hand.value("desk.objects")
