from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shapewise.descriptors.neighbours import CONNECTIVITY, sides, weighted_neighbours
from shapewise.errors import ArgumentError

CASES = [(ndim, count) for ndim, counts in CONNECTIVITY.items() for count in counts]
steps = st.floats(0.2, 5)


@pytest.mark.parametrize(("ndim", "connectivity"), CASES)
def test_one_of_each_opposite_pair(ndim, connectivity):
    offsets = {offset for offset, _ in weighted_neighbours(ndim, connectivity, "potts", None)}
    opposite = {tuple(-step for step in offset) for offset in offsets}
    assert len(offsets | opposite) == connectivity
    assert all(0 < math.hypot(*o) <= math.sqrt(ndim) for o in offsets)


@pytest.mark.parametrize(("ndim", "connectivity"), CASES)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_crofton_shares_fill_the_half_circle_and_the_half_sphere(ndim, connectivity, data):
    """w |e| / area is half the direction's angle in 2-D, its solid angle over π in 3-D."""
    spacing = tuple(data.draw(steps) for _ in range(ndim))
    neighbours = weighted_neighbours(ndim, connectivity, "crofton", spacing)
    lengths = [np.linalg.norm(np.multiply(offset, spacing)) for offset, _ in neighbours]
    whole = sum(w * length for (_, w), length in zip(neighbours, lengths, strict=True)) / math.prod(spacing)
    assert whole == pytest.approx(math.pi / 2 if ndim == 2 else 2)
    assert all(weight > 0 for _, weight in neighbours)


def test_isotropic_weights_worked_by_hand():
    """Equal angles of π / 4 in 2-D; in 3-D six faces of a cube, each a sixth of the sphere."""
    plane = dict(weighted_neighbours(2, 8, "crofton", None))
    assert plane[0, 1] == plane[1, 0] == pytest.approx(math.pi / 8)
    assert plane[1, 1] == plane[1, -1] == pytest.approx(math.pi / 8 / math.sqrt(2))
    assert [w for _, w in weighted_neighbours(3, 6, "crofton", None)] == pytest.approx([2 / 3] * 3)


def test_solid_angles_agree_with_counting_random_directions():
    spacing = (2.5, 1.0, 0.7)
    neighbours = weighted_neighbours(3, 26, "crofton", spacing)
    steps = np.array([offset for offset, _ in neighbours]) * spacing
    lengths = np.linalg.norm(steps, axis=1)
    rays = np.random.default_rng(0).normal(size=(200_000, 3))
    nearest = np.abs(rays @ (steps / lengths[:, None]).T).argmax(axis=1)
    counted = np.bincount(nearest, minlength=len(steps)) / len(rays) * 2  # both signs: 4π in units of 2π
    shares = np.array([w for _, w in neighbours]) * lengths / math.prod(spacing)
    np.testing.assert_allclose(shares, counted, atol=0.01)


@pytest.mark.parametrize("offset", [(0, 1), (1, 0), (1, 1), (1, -1)])
def test_sides_pair_each_pixel_with_its_neighbour(offset):
    index = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(5), indexing="ij"))
    first, second = sides(offset)
    assert (index[second] - index[first]).flatten(1).unique(dim=1).T.tolist() == [list(offset)]


@pytest.mark.parametrize(("ndim", "connectivity"), [(2, 6), (2, 0), (3, 8)])
def test_unknown_connectivity_is_refused(ndim, connectivity):
    with pytest.raises(ArgumentError, match=f"`connectivity`.*{ndim}-D.*{connectivity}"):
        weighted_neighbours(ndim, connectivity, "potts", None)


def test_unknown_weights_are_refused():
    """With a ``TypeError`` where the tests' hook checks types first."""
    with pytest.raises((ArgumentError, TypeError), match=r"(?s)'crofton'.*'cauchy'|'cauchy'.*'crofton'"):
        weighted_neighbours(2, 8, "cauchy", None)
