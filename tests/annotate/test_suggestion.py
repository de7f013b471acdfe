"""Predictions as outlines: near enough to the region to be accepted, few enough points to be mended."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from shapewise.annotate import suggestion
from shapewise.annotate.schema import Ellipse, Polygon
from shapewise.annotate.server import Room, build_app
from shapewise.annotate.shapes import Mask, inside, regions
from shapewise.annotate.suggestion import Suggestions, outline
from shapewise.data.cases import Case
from shapewise.data.layouts import find_cases
from shapewise.errors import RunError

CLASSES = ("RV", "Myo", "LV")


def dice(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.fixture(scope="module")
def masks(hearts: Path) -> list[dict[str, Mask]]:
    """The true regions of every slice of two scans."""
    study = find_cases(hearts)
    labels = [case.read_mask(CLASSES, case.read_image()) for case in study.cases[:2]]
    return [
        {name: plane == index for index, name in enumerate(CLASSES, 1)} for scan in labels for plane in scan
    ]


def test_outlines_of_true_hearts_are_true_and_few(masks: list[dict[str, Mask]]) -> None:
    found: dict[str, list[float]] = {name: [] for name in CLASSES}
    for regions_ in masks:
        for name, mask in regions_.items():
            inner = regions_["LV"] if name == "Myo" else None
            shape = outline(mask, inner)
            if not mask.any():
                assert shape.kind == "absent"
                continue
            drawn = inside(shape, mask.shape) & ~(inner if inner is not None else np.zeros_like(mask))
            found[name].append(dice(drawn, mask))
            assert shape.kind == "ellipse" or len(shape.points) <= 40
    assert all(np.mean(values) > 0.93 for values in found.values()), found
    assert min(min(values) for values in found.values()) > 0.85


def test_an_ellipse_is_found_again() -> None:
    true = inside(Ellipse(centre=(30.0, 28.0), first=(15.0, 6.0), second=(-4.0, 10.0)), (64, 64))
    shape = outline(true)
    assert isinstance(shape, Ellipse)
    assert dice(inside(shape, true.shape), true) > 0.97


def test_a_crescent_is_a_polygon_and_specks_are_left_out() -> None:
    disc, bite = (
        inside(Ellipse(centre=(32.0, column), first=(20.0, 0.0), second=(0.0, 20.0)), (64, 64))
        for column in (30.0, 42.0)
    )
    mask = disc & ~bite
    mask[2, 2] = True
    shape = outline(mask)
    assert isinstance(shape, Polygon)
    mask[2, 2] = False
    assert dice(inside(shape, mask.shape), mask) > 0.95


def test_a_single_pixel_has_an_outline() -> None:
    mask = np.zeros((8, 8), bool)
    mask[0, 3] = True
    assert inside(outline(mask), mask.shape)[0, 3]


def test_a_ragged_region_has_no_more_corners_than_may_be_drawn() -> None:
    rows, columns = np.indices((400, 400)) - 200
    edge = 150 + 20 * np.random.default_rng(0).random(3000)
    angle = ((np.arctan2(rows, columns) + np.pi) / (2 * np.pi) * 2999).astype(int)
    mask = (np.hypot(rows, columns) < edge[angle]) & ((columns < 0) | (rows < 0))
    shape = outline(mask)
    assert isinstance(shape, Polygon)
    assert dice(inside(shape, mask.shape), mask) > 0.93


def test_a_comb_of_many_teeth_has_an_outline() -> None:
    mask = np.zeros((8, 2400), bool)
    mask[4:] = True
    mask[:, ::4] = True
    assert dice(inside(outline(mask), mask.shape), mask) > 0.7


def test_a_line_has_an_outline() -> None:
    mask = np.zeros((8, 80), bool)
    mask[3, 10:70] = True
    shape = outline(mask)
    assert shape.kind == "ellipse"
    assert inside(shape, mask.shape)[mask].all()


def test_a_run_suggests_what_it_predicts(run: Path, room: Room) -> None:
    suggestions = Suggestions(run, room.study.cases, CLASSES)
    middle = len(room.volumes.scan(0).voxels) // 2
    masks, found = suggestions.masks(0, middle), suggestions.objects(0, middle, {"Myo": "LV"})
    assert found["Myo"].origin == "suggested"
    drawn = regions(found, (128, 128))
    present = [name for name in CLASSES if masks[name].sum() > 50]
    assert present, "the network has learned nothing"
    for name in present:
        assert dice(drawn[name], masks[name]) > 0.6, name


def test_a_case_is_predicted_once_however_many_ask(
    run: Path, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted: list[object] = []

    def slow(*_: object, **__: object) -> np.ndarray:
        predicted.append(None)
        time.sleep(0.2)
        return np.zeros((9, 4, 4), np.uint8)

    monkeypatch.setattr(suggestion, "predict_volume", slow)
    suggestions = Suggestions(run, room.study.cases, CLASSES)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda slice_: suggestions.masks(0, slice_), range(4)))
    assert len(predicted) == 1


def test_the_page_is_told_the_predictions_own_numbers(run: Path, room: Room, draw) -> None:
    from dataclasses import replace

    from starlette.testclient import TestClient

    suggestions = Suggestions(run, room.study.cases, CLASSES)
    with TestClient(build_app(replace(room, suggestions=suggestions))) as client:
        assert client.get("/api/study").json()["suggests"]
        found = client.get("/api/cases/0/slices/4/suggestion").json()
    for name, mask in suggestions.masks(0, 4).items():
        assert found["numbers"][name]["px"]["volume"] == [[mask.sum()]]
    assert draw.objects(found["objects"]) == suggestions.objects(0, 4, room.around)


def test_a_run_without_a_class_is_refused(run: Path) -> None:
    cases: list[Case] = []
    with pytest.raises(
        RunError, match="expected one that was trained with the class aorta, found a run of RV"
    ):
        Suggestions(run, cases, ["aorta"])
    with pytest.raises(RunError, match=r"run.json"):
        Suggestions(run.parent, cases, CLASSES)
