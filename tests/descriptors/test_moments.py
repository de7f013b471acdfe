from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import measure

from shapewise.descriptors import central_moments, normalized_moments, raw_moments
from shapewise.errors import ArgumentError

probabilities = st.floats(0, 1)
images = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6), elements=probabilities
)
steps = st.floats(0.25, 4)


def batched(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image)[None, None]


def up_to_order_3(moments: np.ndarray) -> np.ndarray:
    """The moments that both libraries compute: scikit-image leaves out those with p + q > 3."""
    return moments[np.indices(moments.shape).sum(0) <= 3]


def four_pixels() -> torch.Tensor:
    """Pixels (0, 0), (0, 1), (1, 0) of a 4 x 4 image are full and (3, 3) is half full."""
    probs = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    probs[0, 0, [0, 0, 1], [0, 1, 0]] = 1
    probs[0, 0, 3, 3] = 0.5
    return probs


def test_raw_moments_worked_by_hand():
    expected = [[3.5, 1 + 1.5, 1 + 4.5], [1 + 1.5, 4.5, 13.5], [1 + 4.5, 13.5, 40.5]]
    torch.testing.assert_close(raw_moments(four_pixels(), 2)[0, 0].tolist(), expected)


def test_central_moments_worked_by_hand():
    """Two pixels side by side: each half a pixel from the centroid."""
    probs = torch.zeros(1, 1, 3, 4)
    probs[0, 0, 1, 1:3] = 1
    expected = torch.tensor([[2.0, 0, 0.5], [0, 0, 0], [0, 0, 0]])
    torch.testing.assert_close(central_moments(probs, 2)[0, 0], expected)


def test_spacing_makes_sums_integrals():
    """Coordinates are index x spacing and each pixel counts its area, 6 mm²."""
    expected = 6 * raw_moments(four_pixels(), 1)[0, 0] * torch.tensor([[1, 3], [2, 6]])
    torch.testing.assert_close(raw_moments(four_pixels(), 1, spacing=(2.0, 3.0))[0, 0], expected)


@settings(deadline=None, max_examples=40)
@given(image=images, data=st.data())
def test_raw_moments_agree_with_skimage(image, data):
    spacing = tuple(data.draw(steps) for _ in image.shape)
    expected = up_to_order_3(measure.moments(image, order=3, spacing=spacing)) * math.prod(spacing)
    found = up_to_order_3(raw_moments(batched(image), 3, spacing=spacing)[0, 0].numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * (1 + np.abs(expected).max()))


@settings(deadline=None, max_examples=40)
@given(image=images, data=st.data())
def test_central_moments_agree_with_skimage(image, data):
    image[(0,) * image.ndim] = 1  # skimage divides by the volume
    spacing = tuple(data.draw(steps) for _ in image.shape)
    expected = up_to_order_3(measure.moments_central(image, order=3, spacing=spacing)) * math.prod(spacing)
    found = up_to_order_3(central_moments(batched(image), 3, spacing=spacing)[0, 0].numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * (1 + np.abs(expected).max()))


@settings(deadline=None, max_examples=40)
@given(image=images)
def test_normalized_moments_agree_with_skimage(image):
    image[(0,) * image.ndim] = 1
    expected = up_to_order_3(measure.moments_normalized(measure.moments_central(image, order=3), order=3))
    found = up_to_order_3(normalized_moments(batched(image), 3)[0, 0].numpy())
    defined = ~np.isnan(expected)  # scikit-image starts at order 2
    np.testing.assert_allclose(found[defined], expected[defined], rtol=1e-9, atol=1e-9)
    assert found[0] == pytest.approx(1)


@settings(deadline=None, max_examples=40)
@given(image=images, step=steps)
def test_normalized_moments_do_not_depend_on_an_isotropic_spacing(image, step):
    probs = batched(image)
    found = normalized_moments(probs, 3, spacing=(step,) * image.ndim)
    torch.testing.assert_close(found, normalized_moments(probs, 3))


def test_normalized_moments_honour_an_anisotropic_spacing():
    """Pixels of 1 x 2 mm are pairs of pixels of 1 x 1 mm."""
    coarse = torch.rand(1, 2, 5, 6, dtype=torch.float64) + 0.5
    fine = coarse.repeat_interleave(2, dim=3)
    third = normalized_moments(coarse, 3, spacing=(1.0, 2.0))[..., 3, 0]
    torch.testing.assert_close(third, normalized_moments(fine, 3)[..., 3, 0])


def test_float32_keeps_high_orders_of_a_small_object_in_a_far_corner():
    """Raw-minus-raw moments lose every digit here."""
    probs = torch.zeros(1, 1, 512, 512)
    probs[..., 500:507, 503:508] = 1
    exact = central_moments(probs.double(), 4)
    torch.testing.assert_close(central_moments(probs, 4).double(), exact, rtol=1e-4, atol=0.1)


def test_float16_sums_do_not_overflow():
    probs = torch.ones(1, 1, 300, 300, dtype=torch.float16)
    torch.testing.assert_close(raw_moments(probs, 0), torch.full((1, 1, 1, 1), 90000.0))


@pytest.mark.parametrize("function", [raw_moments, central_moments, normalized_moments])
@pytest.mark.parametrize("space", [(4, 5), (3, 4, 2)])
def test_gradients(function, space):
    torch.manual_seed(0)
    probs = torch.rand(1, 2, *space, dtype=torch.float64, requires_grad=True)
    spacing = (0.5, 2.0, 1.5)[: len(space)]
    assert torch.autograd.gradcheck(lambda p: function(p, 3, spacing=spacing), probs, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda p: function(p, 2, spacing=spacing), probs, fast_mode=True)


@pytest.mark.parametrize("function", [raw_moments, central_moments, normalized_moments])
def test_a_negative_order_is_refused(function):
    with pytest.raises(ArgumentError, match=r"`order`.*non-negative.*-1"):
        function(torch.ones(1, 1, 2, 2), -1)


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, -2.0), (1.0, math.inf), (1.0, math.nan)])
def test_a_spacing_that_does_not_fit_is_refused(spacing):
    with pytest.raises(ArgumentError, match=r"`spacing`.*2 positive numbers"):
        raw_moments(torch.ones(1, 1, 2, 2), 1, spacing=spacing)


@pytest.mark.parametrize("shape", [(2, 2), (1, 2, 2), (1, 1, 1, 1, 2, 2)])
def test_an_array_that_is_no_batch_is_refused(shape):
    with pytest.raises(ArgumentError, match=r"`probs`.*\(B, K, H, W\)"):
        raw_moments(torch.ones(shape), 1)


def test_labels_in_place_of_probabilities_are_refused():
    with pytest.raises(ArgumentError, match=r"`probs`.*floating"):
        raw_moments(torch.ones(1, 1, 2, 2, dtype=torch.long), 1)
