from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import measure

from shapewise.descriptors import covariance, exponents, fourth_moments, third_moments
from shapewise.errors import ArgumentError

BY_ORDER = [(2, covariance), (3, third_moments), (4, fourth_moments)]


def moments_by_scikit_image(mask: np.ndarray, order: int, spacing: tuple[float, ...]) -> list[float]:
    moments = measure.moments_central(mask, order=order, spacing=spacing)
    zero = moments[(0,) * mask.ndim]
    return [float(moments[powers] / zero) for powers in exponents(order, mask.ndim)]


def test_two_pixels_worked_by_hand():
    """Rows -1 and 1, columns -2 and 2: each monomial of even degree is 2 to the power of the column."""
    probs = torch.zeros(1, 1, 3, 5)
    probs[0, 0, 0, 0] = probs[0, 0, 2, 4] = 1
    assert third_moments(probs)[0, 0].tolist() == pytest.approx([0, 0, 0, 0], abs=1e-6)
    assert fourth_moments(probs)[0, 0].tolist() == pytest.approx([1, 2, 4, 8, 16])


def test_a_shape_leans_to_the_side_of_its_tail():
    probs = torch.zeros(1, 1, 1, 4)
    probs[0, 0, 0, [0, 1, 3]] = 1  # mean 4/3: deviations -4/3, -1/3, 5/3
    assert third_moments(probs)[0, 0].tolist() == pytest.approx([0, 0, 0, (-64 - 1 + 125) / 81], abs=1e-6)


@pytest.mark.parametrize(("order", "function"), BY_ORDER)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_hard_masks_agree_with_scikit_image(order, function, seed):
    for shape, spacing in (((7, 9), (1.0, 1.0)), ((7, 9), (2.0, 0.5)), ((4, 5, 6), (3.0, 0.5, 1.25))):
        mask = np.random.default_rng(seed).random(shape) > 0.6
        mask[(0,) * len(shape)] = True
        values = function(torch.from_numpy(mask)[None, None].double(), spacing=spacing)[0, 0]
        expected = moments_by_scikit_image(mask.astype(float), order, spacing)
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_exponents_are_all_of_one_degree_in_falling_order(order, ndim):
    found = exponents(order, ndim)
    assert all(sum(powers) == order for powers in found)
    everything = [powers for powers in np.ndindex(*[order + 1] * ndim) if sum(powers) == order]
    assert list(found) == sorted(everything, reverse=True)


def test_a_negative_order_is_refused():
    with pytest.raises(ArgumentError, match=r"`order`.*non-negative.*-1"):
        exponents(-1, 2)


@pytest.mark.parametrize("space", [(6, 9), (4, 6, 8)])
def test_absent_classes_have_0(space):
    probs = torch.zeros(1, 1, *space)
    assert not third_moments(probs).any()
    assert not fourth_moments(probs).any()
