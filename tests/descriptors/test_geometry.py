from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import measure

from shapewise.descriptors import centroid, covariance, elongation, orientation, spread, volume


def mask_of(*pixels: tuple[int, ...], shape: tuple[int, ...]) -> torch.Tensor:
    mask = torch.zeros(1, 1, *shape, dtype=torch.float64)
    for pixel in pixels:
        mask[(0, 0, *pixel)] = 1
    return mask


def ellipse(angle: float, axes: tuple[float, float] = (15.0, 7.0), size: int = 48) -> torch.Tensor:
    """An ellipse whose major axis lies at an angle from axis 0 towards axis 1."""
    row, column = torch.meshgrid(*[torch.arange(size, dtype=torch.float64) - size / 2] * 2, indexing="ij")
    along = row * math.cos(angle) + column * math.sin(angle)
    across = column * math.cos(angle) - row * math.sin(angle)
    return ((along / axes[0]) ** 2 + (across / axes[1]) ** 2 <= 1).double()[None, None]


def ellipsoid(direction: torch.Tensor, size: int = 20) -> torch.Tensor:
    grid = torch.meshgrid(*[torch.arange(size, dtype=torch.float64) - size / 2] * 3, indexing="ij")
    points = torch.stack(grid, dim=-1)
    along = points @ direction
    across = (points**2).sum(-1) - along**2
    return (along**2 / 81 + across / 16 <= 1).double()[None, None]


def blob(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """A random connected mask: the largest part of thresholded noise."""
    noise = np.random.default_rng(seed).random(shape) > 0.4
    parts = measure.label(noise, connectivity=1)
    sizes = np.bincount(parts.ravel(), minlength=2)[1:]
    return parts == 1 + sizes.argmax()


def test_four_pixels_worked_by_hand():
    """An L of three pixels and one far off: positions 0, 0, 1, 3 along both axes, mean 1."""
    mask = mask_of((0, 0), (0, 1), (1, 0), (3, 3), shape=(4, 4))
    assert volume(mask).tolist() == [[[4]]]
    torch.testing.assert_close(centroid(mask)[0, 0].tolist(), [1.0, 1.0])
    torch.testing.assert_close(spread(mask)[0, 0].tolist(), [math.sqrt(1.5)] * 2)
    torch.testing.assert_close(covariance(mask)[0, 0].tolist(), [1.5, 1.25, 1.5])  # (1 + 0 + 0 + 4) / 4
    torch.testing.assert_close(orientation(mask).item(), math.pi / 4)
    torch.testing.assert_close(elongation(mask).item(), 1 - math.sqrt(0.25 / 2.75))


def test_four_pixels_with_an_anisotropic_spacing():
    mask, spacing = mask_of((0, 0), (0, 1), (1, 0), (3, 3), shape=(4, 4)), (2.0, 0.5)
    assert volume(mask, spacing=spacing).item() == 4
    torch.testing.assert_close(centroid(mask, spacing=spacing)[0, 0].tolist(), [2.0, 0.5])
    torch.testing.assert_close(covariance(mask, spacing=spacing)[0, 0].tolist(), [6.0, 1.25, 0.375])


def test_covariance_in_3d_is_the_upper_triangle_row_by_row():
    mask = mask_of((0, 0, 0), (2, 4, 6), shape=(3, 5, 7))
    torch.testing.assert_close(covariance(mask)[0, 0].tolist(), [1.0, 2.0, 3.0, 4.0, 6.0, 9.0])


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), shape=st.tuples(st.integers(3, 9), st.integers(3, 9)))
def test_hard_masks_agree_with_regionprops(seed, shape):
    mask = blob(seed, shape)
    (region,) = measure.regionprops(mask.astype(int))
    probs = torch.from_numpy(mask)[None, None].double()
    assert volume(probs).item() == region.area
    np.testing.assert_allclose(centroid(probs)[0, 0], region.centroid)
    (a, b), (_, c) = region.inertia_tensor
    np.testing.assert_allclose(covariance(probs)[0, 0], [c, -b, a], atol=1e-12)
    major, minor = region.axis_major_length, region.axis_minor_length
    expected = 1 - minor / major if major else 0
    assert elongation(probs).item() == pytest.approx(expected, abs=1e-5)
    if expected > 1e-3:  # a disc has no orientation to agree upon
        turn = orientation(probs).item() - region.orientation
        assert abs(math.sin(turn)) < 1e-6


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_hard_masks_agree_with_regionprops_in_3d_with_spacing(seed):
    mask, spacing = blob(seed, (4, 5, 6)), (2.5, 1.0, 0.5)
    (region,) = measure.regionprops(mask.astype(int), spacing=spacing)
    probs = torch.from_numpy(mask)[None, None].double()
    assert volume(probs, spacing=spacing).item() == pytest.approx(region.area)
    np.testing.assert_allclose(centroid(probs, spacing=spacing)[0, 0], region.centroid)


@pytest.mark.parametrize("degrees", [-89, -60, -45, -10, 0, 30, 45, 80, 90])
def test_orientation_of_an_ellipse(degrees):
    found = orientation(ellipse(math.radians(degrees))).item()
    assert -math.pi / 2 < found <= math.pi / 2
    assert abs(math.sin(found - math.radians(degrees))) < 0.02


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 0, 1), (1, 2, 2), (-2, 1, 2), (1, -3, 1)])
def test_orientation_of_an_ellipsoid(direction):
    direction = torch.tensor(direction, dtype=torch.float64)
    direction = direction / direction.norm()
    found = orientation(ellipsoid(direction))[0, 0]
    assert found.norm().item() == pytest.approx(1)
    assert found[found.abs().argmax()] > 0
    assert abs(found @ direction).item() > 0.999


def test_elongation_of_ellipses():
    assert elongation(ellipse(0.4, axes=(15.0, 7.5))).item() == pytest.approx(0.5, abs=0.02)
    assert elongation(ellipse(0.0, axes=(15.0, 15.0))).item() == pytest.approx(0, abs=1e-6)


def test_a_line_is_as_long_as_can_be():
    assert elongation(mask_of((1, 0), (1, 1), (1, 2), shape=(3, 3))).item() == 1


@pytest.mark.parametrize("shape", [(6, 9), (4, 6, 8)])
def test_absent_classes_have_stand_ins(shape):
    probs = torch.zeros(1, 1, *shape)
    assert volume(probs).item() == 0
    centre = [(size - 1) / 2 for size in shape]
    torch.testing.assert_close(centroid(probs)[0, 0].tolist(), centre)
    assert not spread(probs).any()
    assert not covariance(probs).any()
    assert not elongation(probs).any()


def test_a_symmetric_object_does_not_turn():
    """The gradient at a ball is not only finite: no direction is better than another."""
    ball = ellipsoid(torch.zeros(3, dtype=torch.float64)).requires_grad_()
    (gradient,) = torch.autograd.grad(orientation(ball).sum(), ball)
    assert not gradient.any()
    disc = ellipse(0.0, axes=(9.0, 9.0)).requires_grad_()
    (gradient,) = torch.autograd.grad(orientation(disc).sum(), disc)
    assert not gradient.any()


@pytest.mark.parametrize(("shape", "pixel"), [((256, 300), (200, 13)), ((20, 130, 140), (3, 101, 7))])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_soft_pixel_is_a_point(shape, pixel, dtype):
    """Rounding leaves it a variance of 1e-11 px², whose direction would have an enormous gradient."""
    probs = (0.3 * mask_of(pixel, shape=shape)).to(dtype).requires_grad_()
    for describe in (orientation, elongation, spread):
        (gradient,) = torch.autograd.grad(describe(probs, spacing=(0.7,) * len(shape)).sum(), probs)
        assert not gradient.any()
    assert elongation(probs).item() == 0


def test_gradient_descent_turns_an_object():
    """The gradient of the orientation in 3-D points where it should: a step along it turns the axis."""
    probs = ellipsoid(torch.tensor([1.0, 2, 2], dtype=torch.float64) / 3).requires_grad_()
    wanted = torch.tensor([0.0, 0, 1], dtype=torch.float64)
    before = orientation(probs)[0, 0] @ wanted
    (gradient,) = torch.autograd.grad(before, probs)
    after = orientation((probs + 0.05 * gradient / gradient.abs().max()).detach())[0, 0] @ wanted
    assert after > before
