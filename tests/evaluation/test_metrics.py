from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy import ndimage

from shapewise.errors import ArgumentError
from shapewise.evaluation.metrics import (
    diagonal_mm,
    dice,
    surface_distances_mm,
    volume_ml,
)


def one_voxel(*index: int, shape: tuple[int, ...] = (4, 6, 6)) -> np.ndarray:
    mask = np.zeros(shape, dtype=np.uint8)
    mask[index] = 1
    return mask


def blob(seed: int, shape: tuple[int, ...] = (6, 20, 24)) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, (1, 3, 3))
    return smooth > np.quantile(smooth, 0.8)


class TestDice:
    def test_by_hand(self) -> None:
        predicted, annotated = np.zeros((3, 4, 4)), np.zeros((3, 4, 4))
        predicted[1, :2, :2] = 1  # 4 voxels
        annotated[1, :2, :3] = 1  # 6 voxels, 4 shared
        assert dice(predicted, annotated) == pytest.approx(2 * 4 / (4 + 6))

    def test_both_empty_is_one_and_a_miss_is_zero(self) -> None:
        empty = np.zeros((2, 3, 3))
        assert dice(empty, empty) == 1
        assert dice(empty, one_voxel(0, 1, 1, shape=(2, 3, 3))) == 0
        assert dice(one_voxel(0, 1, 1, shape=(2, 3, 3)), empty) == 0

    def test_many_voxels_do_not_overflow_small_integers(self) -> None:
        full = np.ones((2, 300, 300), dtype=np.uint8)
        assert dice(full, full) == 1

    def test_shapes_must_agree(self) -> None:
        with pytest.raises(ArgumentError, match=r"predicted.*\(2, 3\).*\(1, 3\)"):
            dice(np.ones((1, 3)), np.ones((2, 3)))


class TestDistances:
    @pytest.mark.parametrize(
        ("other", "expected"),
        [
            ((1, 2, 2), 0.0),
            ((2, 2, 2), 10.0),
            ((1, 4, 2), 3.0),
            ((1, 2, 3), 0.5),
            ((2, 4, 2), np.hypot(10, 3)),
        ],
    )
    def test_two_voxels_are_their_physical_distance_apart(
        self, other: tuple[int, ...], expected: float
    ) -> None:
        spacing = (10.0, 1.5, 0.5)
        assert surface_distances_mm(one_voxel(1, 2, 2), one_voxel(*other), spacing) == pytest.approx(
            (expected, expected)
        )

    def test_a_longer_bar_by_hand(self) -> None:
        # One voxel (2 mm) against five in a row: distances 0 one way; 0, 2, 4, 6, 8 back.
        predicted, annotated = np.zeros((2, 8)), np.zeros((2, 8))
        predicted[0, 0], annotated[0, :5] = 1, 1
        distances = surface_distances_mm(predicted, annotated, (1.0, 2.0))
        assert distances == pytest.approx((6 + 0.8 * 2, 20 / 6))

    def test_the_nearest_surface_depends_on_anisotropy(self) -> None:
        annotated = one_voxel(2, 1, 1) | one_voxel(1, 1, 4)
        assert surface_distances_mm(one_voxel(1, 1, 1), annotated, (10.0, 1.0, 1.0))[0] == pytest.approx(
            np.percentile([3.0, 10.0], 95)
        )
        assert surface_distances_mm(one_voxel(1, 1, 1), annotated, (1.0, 1.0, 10.0))[0] == pytest.approx(
            np.percentile([1.0, 30.0], 95)
        )

    def test_only_the_surface_counts(self) -> None:
        ball, hollow = np.ones((5, 5, 5)), np.ones((5, 5, 5))
        hollow[2, 2, 2] = 0  # a cavity makes its six face neighbours surface, one voxel inside the other
        assert surface_distances_mm(ball, hollow, (1.0, 1.0, 1.0))[1] == pytest.approx(6 / (98 + 98 + 6))

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_a_single_slice_is_measured_within_its_plane(self, axis: int) -> None:
        rows, columns = np.indices((60, 60))
        discs = [(rows - 30) ** 2 + (columns - centre) ** 2 <= 20**2 for centre in (28, 32)]
        in_plane = surface_distances_mm(*discs, (1.5, 0.5))
        slices = [np.expand_dims(disc, axis) for disc in discs]
        spacing = np.insert((1.5, 0.5), axis, 10.0)
        assert surface_distances_mm(*slices, spacing) == in_plane
        assert in_plane[1] > 1

    def test_single_voxels_are_compared_too(self) -> None:
        one = np.ones((1, 1, 1))
        assert surface_distances_mm(one, one, (1.0, 2.0, 3.0)) == (0, 0)
        assert surface_distances_mm(one, 0 * one, (1.0, 2.0, 2.0)) == (3, 3)

    def test_both_empty_is_zero_and_a_miss_is_the_diagonal(self) -> None:
        empty, spacing = np.zeros((4, 6, 6)), (10.0, 2.0, 1.0)
        miss = np.sqrt(40**2 + 12**2 + 6**2)
        assert surface_distances_mm(empty, empty, spacing) == (0, 0)
        assert surface_distances_mm(empty, one_voxel(1, 1, 1), spacing) == pytest.approx((miss, miss))
        assert surface_distances_mm(one_voxel(1, 1, 1), empty, spacing) == pytest.approx((miss, miss))

    def test_a_miss_is_worse_than_the_opposite_corner(self) -> None:
        corners = surface_distances_mm(one_voxel(0, 0, 0), one_voxel(3, 5, 5), (10.0, 1.0, 1.0))
        assert diagonal_mm((4, 6, 6), (10.0, 1.0, 1.0)) > corners[0]

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (10.0, 1.56, 1.37), (0.5, 3.0, 2.0)])
    def test_agrees_with_monai(self, seed: int, spacing: tuple[float, float, float]) -> None:
        one, other = blob(seed), blob(seed + 100)
        y_pred, y = (torch.from_numpy(mask)[None, None].float() for mask in (one, other))
        options = {"include_background": True, "spacing": spacing}
        hd95 = compute_hausdorff_distance(y_pred, y, percentile=95, **options)
        assd = compute_average_surface_distance(y_pred, y, symmetric=True, **options)
        distances = surface_distances_mm(one, other, spacing)
        assert distances == pytest.approx((hd95.item(), assd.item()), rel=1e-5)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 10))
    def test_symmetric_and_proportional_to_the_spacing(self, seed: int, scale: float) -> None:
        one, other, spacing = blob(seed, (3, 8, 9)), blob(seed + 1, (3, 8, 9)), np.array([5.0, 1.2, 0.9])
        distances = surface_distances_mm(one, other, spacing)
        assert surface_distances_mm(other, one, spacing) == pytest.approx(distances)
        assert surface_distances_mm(one, other, scale * spacing) == pytest.approx(scale * np.array(distances))
        assert surface_distances_mm(one, one, spacing) == (0, 0)

    @pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.0, 1.0), (1.0, float("nan"), 1.0)])
    def test_spacing_must_be_positive_and_complete(self, spacing: tuple[float, ...]) -> None:
        with pytest.raises(ArgumentError, match="spacing"):
            surface_distances_mm(one_voxel(0, 0, 0), one_voxel(1, 1, 1), spacing)


def test_a_complete_miss_lowers_the_mean() -> None:
    annotated, spacing = one_voxel(1, 2, 2), (10.0, 1.0, 1.0)
    good = [annotated, annotated]
    missed = [annotated, np.zeros_like(annotated)]
    overlaps = [np.mean([dice(p, annotated) for p in run]) for run in (good, missed)]
    distances = [
        np.mean([surface_distances_mm(p, annotated, spacing)[0] for p in run]) for run in (good, missed)
    ]
    assert overlaps == [1.0, 0.5]
    assert distances[0] == 0
    assert distances[1] == pytest.approx(diagonal_mm(annotated.shape, spacing) / 2)


def test_volume() -> None:
    assert volume_ml(np.ones((3, 10, 20)), (8.0, 1.25, 1.5)) == pytest.approx(600 * 15 / 1000)
    assert volume_ml(np.zeros((3, 10, 20)), (8.0, 1.25, 1.5)) == 0
