"""Outlines cover the pixels that geometry says, whoever asks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from shapewise.annotate.schema import Absent, Ellipse, Polygon
from shapewise.annotate.shapes import ellipse_through, inside, regions
from shapewise.errors import ArgumentError

SIZE = (64, 48)


def turned(centre: tuple[float, float], axes: tuple[float, float], angle: float) -> Ellipse:
    cos, sin = math.cos(angle), math.sin(angle)
    return Ellipse(
        centre=centre, first=(axes[0] * cos, axes[0] * sin), second=(-axes[1] * sin, axes[1] * cos)
    )


@settings(max_examples=30, deadline=None)
@given(st.floats(4, 18), st.floats(4, 18), st.floats(0, math.pi))
def test_a_turned_ellipse_covers_the_pixels_of_its_equation(a: float, b: float, angle: float) -> None:
    mask = inside(turned((30.3, 24.2), (a, b), angle), SIZE)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] - np.array([30.3, 24.2])[:, None, None]
    along = rows * math.cos(angle) + columns * math.sin(angle)
    across = columns * math.cos(angle) - rows * math.sin(angle)
    assert (mask == ((along / a) ** 2 + (across / b) ** 2 <= 1)).all()


def test_conjugate_half_axes_are_an_ellipse_too() -> None:
    upright = inside(Ellipse(centre=(20.0, 20.0), first=(8.0, 0.0), second=(0.0, 5.0)), SIZE)
    s = math.sqrt(0.5)
    tilted = Ellipse(centre=(20.0, 20.0), first=(8 * s, 5 * s), second=(-8 * s, 5 * s))
    assert (inside(tilted, SIZE) == upright).all()


def test_a_polygon_covers_what_scikit_image_says() -> None:
    points = [(5.2, 6.1), (50.4, 10.3), (40.7, 40.2), (20.1, 30.9), (10.6, 44.4)]
    assert (inside(Polygon(points=points), SIZE) == polygon2mask(SIZE, points)).all()


def test_an_outline_that_crosses_itself_is_even_and_odd() -> None:
    bow = Polygon(points=((0.5, 0.5), (10.5, 10.5), (0.5, 10.5), (10.5, 0.5)))
    mask = inside(bow, (12, 12))
    assert mask[5, 1]
    assert mask[5, 9]
    assert not mask[1, 5]
    assert not mask[9, 5]


@pytest.mark.parametrize("shift", [(-100.0, 0.0), (0.0, 100.0), (1e5, -1e5)])
def test_what_lies_beside_the_image_covers_nothing(shift: tuple[float, float]) -> None:
    away = Ellipse(centre=shift, first=(5.0, 0.0), second=(0.0, 5.0))
    corners = [(shift[0] + row, shift[1] + column) for row, column in ((0, 0), (0, 5), (5, 5))]
    corners = [(max(-1e5, min(1e5, row)), max(-1e5, min(1e5, column))) for row, column in corners]
    assert not inside(away, SIZE).any()
    assert not inside(Polygon(points=tuple(corners)), SIZE).any()
    assert not inside(Absent(), SIZE).any()


def test_a_flat_ellipse_covers_nothing() -> None:
    assert not inside(Ellipse(centre=(5.0, 5.0), first=(3.0, 3.0), second=(1.0, 1.0)), SIZE).any()


def test_a_ring_leaves_out_what_it_lies_around(draw) -> None:
    heart = draw.objects(draw.heart())
    found = regions(heart, (128, 128))
    outer = inside(heart["Myo"].shape, (128, 128))
    assert not (found["Myo"] & found["LV"]).any()
    assert (found["Myo"] | found["LV"]).sum() == outer.sum()
    alone = draw.objects({"Myo": draw.ellipse(62, 66, 21, 20, around="LV")})
    assert (regions(alone, (128, 128))["Myo"] == outer).all()


@settings(max_examples=60, deadline=None)
@given(st.floats(3, 40), st.floats(3, 40), st.floats(0, math.pi), st.permutations(range(4)))
def test_four_extreme_points_give_the_ellipse_back(
    a: float, b: float, angle: float, order: list[int]
) -> None:
    true = turned((50.0, 60.0), (a, b), angle)
    axes = np.array([true.first, true.second]).T
    matrix = axes @ axes.T
    if abs(matrix[0, 1]) > 0.9 * math.sqrt(matrix[0, 0] * matrix[1, 1]):
        return  # nearly a line: more slanted than extreme points may say
    reach = matrix / np.sqrt(np.diag(matrix))  # column k: from the centre to the extreme along axis k
    points = [tuple(np.array([50.0, 60.0]) + sign * reach[:, axis]) for axis in (0, 1) for sign in (-1, 1)]
    found = ellipse_through([points[index] for index in order])
    again = np.array([found.first, found.second]).T
    assert found.centre == pytest.approx((50, 60))
    assert again @ again.T == pytest.approx(matrix, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("points", [[(0.0, 0.0)] * 3, [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 0.0)]])
def test_points_that_span_no_ellipse_are_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ArgumentError, match="points"):
        ellipse_through(points)
