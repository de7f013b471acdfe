"""Looking at cases: whatever they are called, however large their pixels are, and when one cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from shapewise.annotate.server import Room
from shapewise.annotate.sources import find_study
from shapewise.annotate.store import Place, Store
from shapewise.annotate.volumes import Volumes

MIDDLE = 3
"""The slice that a case of the phantom opens at."""


def state(room, slice_: int = MIDDLE):
    return room.store.read(Place("patient001", 1, slice_)).objects


@pytest.fixture
def loose(tmp_path: Path) -> Callable[[], Room]:
    """A room of whatever lies in a folder."""

    def furnish() -> Room:
        study = find_study(tmp_path / "images", ["LV"])
        return Room(study, Store(tmp_path / "log", ["LV"]), Volumes(study.cases), "px", tmp_path / "t.csv")

    return furnish


def write(path: Path, spacing: tuple[float, float, float] = (1.0, 1.0, 5.0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(
        np.random.default_rng(0).integers(0, 99, (3, 32, 32)).astype(np.int16)
    )
    image.SetSpacing(spacing)
    SimpleITK.WriteImage(image, str(path))


def test_pixels_have_their_own_case_s_shape(loose, new_hand, serve, tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.nii.gz")
    write(tmp_path / "images" / "b.nii.gz", (2.0, 1.0, 5.0))
    with serve(loose()) as url:
        hand = new_hand()
        hand.open(url)
        assert hand.value("desk.view.aspect") == [1, 1]
        hand.press("n")
        hand.page.wait_for_selector('body[data-ready^="1/"]')
        assert hand.value("desk.view.aspect") == [1, 2]


@pytest.mark.parametrize("name", ["scan 50%", "50%25", "a#b?c", "Herz ä 心"])
def test_a_reload_finds_a_case_whatever_it_is_called(
    loose, new_hand, serve, tmp_path: Path, name: str
) -> None:
    write(tmp_path / "images" / "0.nii.gz")
    write(tmp_path / "images" / f"{name}.nii.gz")
    room = loose()
    wanted = [case.name for case in room.study.cases].index(name)
    with serve(room) as url:
        hand = new_hand()
        hand.open(url)
        hand.value(f"desk.open({wanted})")
        hand.page.wait_for_selector(f'body[data-ready^="{wanted}/"]')
        hand.page.reload()
        hand.shown()
        assert hand.value("desk.case.name") == name


def test_an_address_that_is_none_opens_the_first_case(served, new_hand) -> None:
    hand = new_hand()
    hand.open(f"{served}#100%")
    assert hand.value("desk.index") == 0


@pytest.mark.parametrize("broken", [0, 1])
def test_a_case_that_cannot_be_read_is_said_and_stepped_past(
    loose, new_hand, serve: Callable[[Room], AbstractContextManager[str]], tmp_path: Path, broken: int
) -> None:
    for number in range(3):
        write(tmp_path / "images" / f"{number}.nii.gz")
    (tmp_path / "images" / f"{broken}.nii.gz").write_bytes(b"no image")
    with serve(loose()) as url:
        hand = new_hand()
        hand.page.goto(url)
        if broken:
            hand.shown()
            hand.press("n")
        hand.page.locator("#notice", has_text=f"{broken}.nii.gz").wait_for()
        hand.press("n")
        hand.page.wait_for_selector(f'body[data-ready^="{broken + 1}/"]')
        assert hand.value("desk.case.name") == str(broken + 1)


def test_no_key_moves_on_while_a_hand_draws(hand, room) -> None:
    hand.press("3")
    hand.page.mouse.move(*hand.at(64, 64))
    hand.page.mouse.down()
    hand.page.mouse.move(*hand.at(70, 70))
    hand.press("PageDown", "n", "1")
    hand.page.mouse.move(*hand.at(74, 72))
    hand.page.mouse.up()
    hand.saved()
    assert set(state(room)) == {"LV"}
    assert hand.value("[desk.index, desk.slice, desk.active]") == [0, MIDDLE, "LV"]


def test_interpolation_leaves_everybody_where_they_look(hand, room) -> None:
    hand.press("3")
    hand.drag((60, 60), (70, 70))
    hand.press("PageDown", "PageDown", "PageDown")
    hand.drag((60, 60), (74, 74))
    hand.page.wait_for_selector(f'body[data-ready="0/{MIDDLE + 3}"]')
    hand.press("PageUp", "i", "PageUp")
    hand.saved()
    assert hand.value("desk.slice") == MIDDLE + 1
    assert [state(room, slice_)["LV"].origin for slice_ in (MIDDLE + 1, MIDDLE + 2)] == 2 * ["interpolated"]
    assert set(state(room, MIDDLE)) == set(state(room, MIDDLE + 3)) == {"LV"}


def test_looking_is_no_work_on_an_object(hand, room) -> None:
    hand.press("3", "+", "[", "v", "h", "h", "PageDown", "PageUp", "Alt+ArrowUp")
    hand.page.wait_for_selector(f'body[data-ready="0/{MIDDLE}"]')
    hand.press("a")
    hand.saved()
    ((_, costs),) = room.store.costs()
    assert costs["LV"]["gestures"] == 2  # the class, and that it is absent


def test_a_polygon_ends_where_the_server_ends_it(hand, room) -> None:
    hand.press("3", "p")
    hand.page.evaluate("() => (desk.draft = Array.from({ length: 256 }, (_, i) => [(i * 7) % 120, i % 120]))")
    hand.press("Enter")
    hand.page.locator("#notice", has_text="256 corners at most").wait_for()
    assert hand.value("desk.draft.length") == 256
    hand.press("Shift+Enter")
    hand.saved()
    assert len(state(room)["LV"].shape.points) == 256


def test_what_a_tab_keeps_is_its_logs_own(hand) -> None:
    """Another study may be served at the same address, for a table of the same name."""
    hand.press("3", "a")
    hand.saved()
    kept = hand.value("Object.keys(sessionStorage)")
    assert kept
    assert all(key.endswith("the token") for key in kept)


def test_a_patient_s_frames_share_window_and_level(hand) -> None:
    first = hand.value("desk.pictures.window")
    hand.press("[", "{")
    chosen = hand.value("desk.pictures.window")
    assert chosen != first
    hand.press("f")
    hand.page.wait_for_selector('body[data-ready^="1/"]')
    assert hand.value("desk.pictures.window") == chosen
    hand.press("n")
    hand.page.wait_for_selector('body[data-ready^="2/"]')
    assert hand.value("desk.pictures.window") == hand.value("desk.meta.window")
    hand.press("b")
    hand.page.wait_for_selector('body[data-ready^="1/"]')
    hand.press("l")
    assert hand.value("desk.pictures.window") == hand.value("desk.meta.window")
