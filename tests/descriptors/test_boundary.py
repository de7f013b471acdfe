from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import measure

from shapewise.descriptors import edge_length, laplacian, length, potts_length
from shapewise.descriptors.boundary import CACHE_PIXELS
from shapewise.descriptors.neighbours import weighted_neighbours
from shapewise.errors import ArgumentError

CASES = [(2, 4), (2, 8), (3, 6), (3, 18), (3, 26)]
steps = st.floats(0.25, 4)
tenths = st.integers(0, 10).map(lambda tenth: tenth / 10)  # neighbours often tie


def ball(radius: float, shape: tuple[int, ...], spacing: tuple[float, ...]) -> torch.Tensor:
    middles = [(size - 1) / 2 * step for size, step in zip(shape, spacing, strict=True)]
    axes = [torch.arange(n) * step - mid for n, step, mid in zip(shape, spacing, middles, strict=True)]
    distance = sum(axis**2 for axis in torch.meshgrid(*axes, indexing="ij")).sqrt()
    return (distance <= radius).double()[None, None]


def by_laplacian(probs: torch.Tensor, **options) -> torch.Tensor:
    """Σ |s_i − s_j| over the off-diagonal entries, each pair of which is there twice."""
    edges = laplacian(tuple(probs.shape[2:]), **options)
    (i, j), weights = edges.indices(), edges.values().to(probs.dtype)
    off = i != j
    flat = probs.flatten(2)
    differences = (flat[..., i[off]] - flat[..., j[off]]).abs()
    return (differences * weights[off]).sum(-1, keepdim=True) / 2


def test_four_pixels_worked_by_hand():
    """A 2 x 2 square cuts 8 straight pairs and 12 diagonal ones."""
    probs = torch.zeros(1, 1, 4, 4)
    probs[0, 0, 1:3, 1:3] = 1
    assert length(probs, connectivity=4, weights="potts").item() == 8
    assert length(probs, connectivity=8, weights="potts").item() == potts_length(probs).item() == 20
    assert length(probs, connectivity=4).item() == pytest.approx(8 * math.pi / 4)
    assert length(probs).item() == pytest.approx((8 + 12 / math.sqrt(2)) * math.pi / 8)


def test_one_voxel_worked_by_hand():
    probs = torch.zeros(1, 1, 3, 3, 3)
    probs[0, 0, 1, 1, 1] = 1
    for connectivity in (6, 18, 26):
        assert length(probs, connectivity=connectivity, weights="potts").item() == connectivity
    assert length(probs, connectivity=6).item() == pytest.approx(4)


def test_the_border_of_the_image_is_no_boundary():
    assert length(torch.ones(1, 1, 5, 6)).item() == 0


@pytest.mark.parametrize(("ndim", "connectivity"), CASES)
@pytest.mark.parametrize("weights", ["potts", "crofton"])
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_length_agrees_with_the_laplacian(ndim, connectivity, weights, data):
    shape = data.draw(hnp.array_shapes(min_dims=ndim + 1, max_dims=ndim + 1, max_side=5))
    probs = torch.from_numpy(data.draw(hnp.arrays(np.float64, shape, elements=tenths)))[None]
    spacing = tuple(data.draw(steps) for _ in range(ndim)) if weights == "crofton" else None
    options = {"connectivity": connectivity, "weights": weights, "spacing": spacing}
    torch.testing.assert_close(length(probs, **options), by_laplacian(probs, **options), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("ndim", "connectivity"), CASES)
def test_its_gradient_is_that_of_the_laplacian(ndim, connectivity):
    """Ties included: the absolute difference has slope 0 there, on both routes."""
    torch.manual_seed(0)
    probs = torch.rand(2, 3, *(5, 4, 3)[:ndim], dtype=torch.float64).round(decimals=1).requires_grad_()
    weight = torch.rand(2, 3, 1, dtype=torch.float64)
    (swept,) = torch.autograd.grad((weight * length(probs, connectivity=connectivity)).sum(), probs)
    oracle = by_laplacian(probs, connectivity=connectivity, weights="crofton")
    (expected,) = torch.autograd.grad((weight * oracle).sum(), probs)
    torch.testing.assert_close(swept, expected, rtol=1e-6, atol=1e-6)


def test_maps_larger_than_the_cache_and_views_of_other_arrays():
    """Blocks of several maps, a last block that is smaller, and a slice of the classes."""
    torch.manual_seed(0)
    side = math.isqrt(CACHE_PIXELS // 2)
    probs = torch.rand(1, 6, side, side)[:, 1:]
    torch.testing.assert_close(
        length(probs), torch.cat([length(probs[:, k : k + 1]) for k in range(5)], dim=1)
    )
    torch.testing.assert_close(length(probs.mT), length(probs), rtol=1e-5, atol=0)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)])
def test_an_empty_batch(shape):
    assert length(torch.ones(shape)).shape == (*shape[:2], 1)


@pytest.mark.parametrize("directions", [2, 4])
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_crofton_length_agrees_with_skimage(directions, seed):
    mask = np.pad(np.random.default_rng(seed).random((8, 9)) > 0.5, 1)
    expected = measure.perimeter_crofton(mask, directions=directions)
    found = length(torch.from_numpy(mask)[None, None].double(), connectivity=2 * directions)
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 1.0)])
def test_circumference_of_a_disc(spacing):
    disc = ball(30, tuple(round(70 / step) for step in spacing), spacing)
    assert length(disc, spacing=spacing).item() == pytest.approx(2 * math.pi * 30, rel=0.03)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.5, 1.0, 1.0)])
def test_surface_of_a_ball(spacing):
    solid = ball(12, tuple(round(30 / step) for step in spacing), spacing)
    assert length(solid, spacing=spacing).item() == pytest.approx(4 * math.pi * 12**2, rel=0.03)


def test_blurring_does_not_shorten_a_boundary():
    """The paper's quadratic form falls to a quarter, so a network can cheat it."""
    disc = ball(20, (64, 64), (1.0, 1.0))
    blurred = torch.nn.functional.avg_pool2d(disc, 5, stride=1, padding=2)
    assert length(blurred).item() == pytest.approx(length(disc).item(), rel=0.02)


@pytest.mark.parametrize("amplitude", [1e-2, 1e-4])
def test_float32_keeps_faint_differences(amplitude):
    torch.manual_seed(0)
    probs = 0.25 + amplitude * torch.rand(1, 1, 128, 128)
    torch.testing.assert_close(length(probs).double(), length(probs.double()), rtol=1e-3, atol=0)


def test_laplacian_worked_by_hand():
    """Row-major pixels of a 2 x 2 image, four neighbours."""
    expected = torch.tensor([[-2.0, 1, 1, 0], [1, -2, 0, 1], [1, 0, -2, 1], [0, 1, 1, -2]])
    assert torch.equal(laplacian((2, 2), connectivity=4).to_dense(), expected)


@pytest.mark.parametrize(("ndim", "connectivity"), CASES)
def test_laplacian_is_symmetric_and_its_rows_sum_to_zero(ndim, connectivity):
    shape = (3, 4, 5)[:ndim]
    dense = laplacian(
        shape, connectivity=connectivity, weights="crofton", spacing=(1.0, 2.0, 3.0)[:ndim]
    ).to_dense()
    torch.testing.assert_close(dense, dense.T)
    torch.testing.assert_close(dense.sum(0), torch.zeros(len(dense)), atol=1e-5, rtol=0)


def test_laplacian_is_built_once_a_shape():
    assert laplacian((6, 7)) is laplacian((6, 7))
    assert laplacian((6, 7)) is not laplacian((6, 7), connectivity=4)


def test_potts_refuses_a_spacing():
    with pytest.raises(ArgumentError, match=r"`spacing`.*Potts"):
        length(torch.ones(1, 1, 2, 2), weights="potts", spacing=(1.0, 1.0))
    with pytest.raises(ArgumentError, match=r"`spacing`.*Potts"):
        potts_length(torch.ones(1, 1, 2, 2), spacing=(1.0, 1.0))


def test_laplacian_refuses_other_shapes():
    with pytest.raises(ArgumentError, match=r"`shape`.*\(H, W\)"):
        laplacian((3,))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_edge_sensitive_length_sums_over_pairs(ndim, channels):
    torch.manual_seed(0)
    space, spacing = (4, 3, 5)[:ndim], (2.0, 0.5, 1.0)[:ndim]
    probs, images = torch.rand(1, 1, *space).double(), torch.rand(1, channels, *space).double()
    expected = 0.0
    for offset, weight in weighted_neighbours(ndim, None, "crofton", spacing):
        for here in np.ndindex(space):
            there = tuple(np.add(here, offset))
            if all(0 <= index < size for index, size in zip(there, space, strict=True)):
                step = (images[0][:, *here] - images[0][:, *there]).square().sum()
                change = (probs[0, 0][here] - probs[0, 0][there]).abs()
                expected += (weight * change * math.exp(-step / (2 * 0.3**2))).item()
    found = edge_length(probs, images, sigma=0.3, spacing=spacing)
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize(("ndim", "spacing"), [(2, None), (2, (2.0, 0.5)), (3, (2.0, 0.5, 1.0))])
def test_where_no_difference_is_an_edge_it_is_the_length(ndim, spacing):
    probs, images = torch.rand(2, 3, *(5, 4, 6)[:ndim]), torch.randn(2, 1, *(5, 4, 6)[:ndim])
    found = edge_length(probs, images, sigma=math.inf, spacing=spacing)
    torch.testing.assert_close(found, length(probs, spacing=spacing))
    flat = edge_length(probs, torch.ones_like(images), sigma=0.1, spacing=spacing)
    torch.testing.assert_close(flat, found)


def test_its_gradient_is_right_and_finite():
    torch.manual_seed(0)
    probs, images = torch.rand(1, 2, 4, 5).double().requires_grad_(), torch.rand(1, 1, 4, 5).double()
    assert torch.autograd.gradcheck(lambda p: edge_length(p, images, sigma=0.5), probs)
    for value in (0.0, 0.25, 1.0):
        same = torch.full((1, 1, 4, 5), value).requires_grad_()
        (slope,) = torch.autograd.grad(edge_length(same, images, sigma=0.5).sum(), same)
        assert (slope == 0).all()


def test_the_images_are_those_of_the_probabilities():
    # A TypeError where the run-time type checker comes first.
    with pytest.raises((ArgumentError, TypeError), match="images"):
        edge_length(torch.ones(2, 1, 4, 4), torch.ones(2, 1, 4, 5), sigma=1.0)


def test_a_laplacian_that_was_built_in_inference_mode_serves_training():
    shape = (3, 17)  # of no other test
    with torch.inference_mode():
        laplacian(shape)
    probs = torch.rand(51, 1, requires_grad=True)
    (laplacian(shape) @ probs).sum().backward()
    assert probs.grad is not None
