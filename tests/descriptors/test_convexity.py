from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shapewise.descriptors import convexity, length
from shapewise.descriptors.neighbours import weighted_neighbours

tenths = st.integers(0, 10).map(lambda tenth: tenth / 10)  # neighbours often tie
SPACING = {2: (0.5, 2.0), 3: (3.0, 0.5, 1.25)}


def by_walking(image: np.ndarray, spacing: tuple[float, ...] | None) -> float:
    """Follow every line from the pixel that has none before it; 1 if nothing varies."""
    convex = whole = 0.0
    inside = set(np.ndindex(image.shape))
    for offset, weight in weighted_neighbours(image.ndim, None, "crofton", spacing):
        for start in inside:
            if tuple(np.subtract(start, offset)) in inside:
                continue
            pixels = itertools.takewhile(
                inside.__contains__,
                (tuple(np.add(start, np.multiply(step, offset))) for step in itertools.count()),
            )
            profile = [image[pixel] for pixel in pixels]
            convex += weight * (2 * max(profile) - profile[0] - profile[-1])
            whole += weight * sum(abs(a - b) for a, b in itertools.pairwise(profile))
    return convex / whole if whole > 1e-9 else 1.0


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("spaced", [False, True])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_it_is_what_lines_vary(ndim, spaced, data):
    shape = data.draw(hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=5))
    image = data.draw(hnp.arrays(np.float64, shape, elements=tenths))
    spacing = SPACING[ndim] if spaced else None
    found = convexity(torch.from_numpy(image)[None, None], spacing=spacing).item()
    assert found == pytest.approx(by_walking(image, spacing), abs=1e-6)


def grid(ndim: int, side: int = 16) -> list[torch.Tensor]:
    return list(torch.meshgrid(*[torch.arange(side) - side / 2] * ndim, indexing="ij"))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("middle", [0.0, 5.0])  # inside the image, and cut off by its border
@pytest.mark.parametrize(
    "shape",
    [
        lambda axes: sum(axis**2 for axis in axes) <= 36,
        lambda axes: torch.stack(axes).abs().amax(0) <= 4,
        lambda axes: sum(axis.abs() for axis in axes) <= 6,
        lambda axes: 0.9 ** sum(axis**2 for axis in axes),
    ],
    ids=["ball", "cube", "octahedron", "soft"],
)
def test_a_convex_object_has_1(shape, middle, ndim):
    probs = shape([axis - middle for axis in grid(ndim)]).double()[None, None]
    assert convexity(probs).item() == pytest.approx(1, abs=1e-6)


def test_two_pixels_worked_by_hand():
    """Of the lines through them only their common one rises twice: 2 of its 4 steps are too many."""
    probs = torch.zeros(1, 1, 5, 7)
    probs[..., 2, 2] = probs[..., 2, 4] = 1
    assert convexity(probs).item() == pytest.approx(1 - 2 / (2 * (4 + 4 / math.sqrt(2))))


def test_the_gradient_closes_the_gap():
    probs = torch.zeros(1, 1, 5, 9)
    probs[..., 1:4, 1:4] = probs[..., 1:4, 5:8] = 1
    probs.requires_grad_()
    (slope,) = torch.autograd.grad(convexity(probs).sum(), probs)
    assert (slope[..., 1:4, 4] > 0).all()


def test_a_deeper_notch_is_less_convex():
    squares = torch.ones(6, 1, 16, 16)
    squares[:, :, [0, 1, 14, 15]] = 0
    squares[..., [0, 1, 14, 15]] = 0
    for depth, square in enumerate(squares):
        square[0, 2 : 2 + 2 * depth, 6:10] = 0
    found = convexity(squares).flatten()
    assert found[0] == 1
    assert (found.diff() < 0).all()


def test_a_hole_in_a_full_class_leaves_nothing():
    probs = torch.ones(1, 1, 6, 7)
    probs[..., 2:4, 3] = 0
    assert convexity(probs).item() == 0


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_without_a_boundary_1_stands_in(value):
    probs = torch.full((1, 1, 6, 7), value).requires_grad_()
    found = convexity(probs)
    (slope,) = torch.autograd.grad(found.sum(), probs)
    assert length(probs).item() == 0
    assert found.item() == 1
    assert slope.isfinite().all()


def test_pieces_that_share_no_line_go_unseen() -> None:
    probs = torch.zeros(1, 1, 12, 12)
    probs[..., 5, 5] = probs[..., 6, 7] = 1
    assert convexity(probs).item() == pytest.approx(1)
