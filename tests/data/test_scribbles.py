from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from shapewise.data.layouts import find_cases
from shapewise.data.scribbles import CLEARANCE, IGNORE, scribbles
from shapewise.errors import ArgumentError

TOUCHING = np.ones((3, 3), bool)


def heart(size: int = 96) -> NDArray[np.uint8]:
    """A crescent (1), a ring (2) and the disc inside it (3)."""
    rows, columns = np.indices((size, size)) - size / 2
    inner, outer = np.hypot(rows, columns - 8), np.hypot(rows, columns + 8)
    mask = np.where(outer < 24, 1, 0)
    mask[inner < 20] = 2
    mask[inner < 13] = 3
    return mask.astype(np.uint8)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), shape=st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_every_class_is_drawn_in_and_only_where_it_is(seed: int, shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(seed)
    mask = (ndimage.gaussian_filter(generator.random(shape), 1.5) * 40).astype(int) % 4
    found = scribbles(mask, 3, seed)
    assert found.shape == shape
    assert found.dtype == np.int64
    drawn = found != IGNORE
    np.testing.assert_array_equal(found[drawn], mask[drawn])
    assert set(np.unique(mask)) == set(found[drawn].tolist())


@pytest.mark.parametrize("seed", range(5))
def test_a_scribble_is_a_thin_curve_of_a_few_percent(seed: int) -> None:
    mask, found = heart(), scribbles(heart(), 3, seed)
    for label in range(4):
        curve = found == label
        _, parts = ndimage.label(curve, TOUCHING)
        assert parts == 1 or label == 0  # which may leave the image
        assert not ndimage.binary_erosion(curve, TOUCHING).any()
        share = curve.sum() / (mask == label).sum()
        assert (0.005 if label == 0 else 0.015) < share < (0.2 if label == 2 else 0.1)


@pytest.mark.parametrize("seed", range(5))
def test_a_ring_is_scribbled_all_around(seed: int) -> None:
    rows, columns = np.nonzero(scribbles(heart(), 3, seed) == 2)
    angles = np.sort(np.arctan2(rows - 48, columns - 56))
    gaps = np.diff([*angles, angles[0] + 2 * np.pi])
    assert gaps.max() < np.radians(40)


@pytest.mark.parametrize("seed", range(5))
def test_the_background_is_scribbled_beside_the_objects(seed: int) -> None:
    away = ndimage.distance_transform_edt(heart() == 0)[scribbles(heart(), 3, seed) == 0]
    assert away.min() > CLEARANCE
    assert away.max() < 48


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    one, again, other = scribbles(heart(), 3, 1), scribbles(heart(), 3, 1), scribbles(heart(), 3, 2)
    np.testing.assert_array_equal(one, again)
    for label in range(4):
        assert ((one == label) != (other == label)).any()


def test_a_class_is_drawn_in_alike_whatever_else_is_there() -> None:
    alone = np.where(heart() == 3, 3, 0).astype(np.uint8)
    np.testing.assert_array_equal(scribbles(alone, 3, 1) == 3, scribbles(heart(), 3, 1) == 3)


def test_an_empty_slice_has_a_curve_of_background() -> None:
    found = scribbles(np.zeros((64, 64), np.uint8), 3, 0)
    assert set(np.unique(found)) == {IGNORE, 0}
    assert 10 < (found == 0).sum() < 400


def test_larger_parts_have_a_curve_each_and_specks_none() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[4:14, 4:14] = mask[24:34, 24:34] = mask[2, 30] = 1
    found = scribbles(mask, 1, 0) == 1
    assert found[4:14, 4:14].any()
    assert found[24:34, 24:34].any()
    assert not found[2, 30]


def test_bad_masks_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"`mask`.*\(H, W\)"):
        scribbles(np.zeros((2, 4, 4), np.uint8), 1, 0)
    with pytest.raises(ArgumentError, match=r"`mask`.*labels from 0 to 1.*0 to 2"):
        scribbles(np.full((4, 4), 2) - np.eye(4, dtype=int) * 2, 1, 0)


def test_real_slices(real_acdc: Path) -> None:
    case = find_cases(real_acdc).cases[0]
    shares = {label: [] for label in range(4)}
    for index, mask in enumerate(case.read_mask(("RV", "Myo", "LV"), case.read_image())):
        found = scribbles(mask, 3, seed=index)
        drawn = found != IGNORE
        np.testing.assert_array_equal(found[drawn], mask[drawn])
        for label in np.unique(mask):
            shares[label].append((found == label).sum() / (mask == label).sum())
    for label, share in shares.items():
        assert (0.002 if label == 0 else 0.01) < np.mean(share) < (0.25 if label == 2 else 0.1)
