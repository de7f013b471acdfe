from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shapewise.data.frames import (
    Frame,
    require_same_step,
    resample_image,
    resample_mask,
    rescale_values,
    to_native,
    unit_and_origin,
)
from shapewise.descriptors import registry
from shapewise.errors import ArgumentError

NATIVE = (216, 256)
FRAMES = {
    "resize": Frame.resize(NATIVE, (128, 128)),
    "resize by two": Frame.resize(NATIVE, (108, 128)),
    "enlarge": Frame.resize(NATIVE, (256, 300)),
    "resample": Frame.resample(NATIVE, (1.4, 1.4), 1.8, (176, 176)),
    "resample, padded": Frame.resample(NATIVE, (1.4, 1.2), 1.25, (320, 320)),
    "crop": Frame.resize(NATIVE, (160, 192)).crop((140, 160)),
}
lengths = st.integers(1, 400)
steps = st.floats(0.3, 4)
frames = st.builds(
    Frame,
    st.tuples(steps, steps),
    st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    st.tuples(lengths, lengths),
)


def ellipse(
    shape: tuple[int, int], centre: NDArray[np.float64], radii: NDArray[np.float64]
) -> NDArray[np.uint8]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    inside = ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 <= 1
    return inside.astype(np.uint8)


def described(mask: NDArray[np.uint8], name: str) -> NDArray[np.float64]:
    probs = torch.from_numpy(mask)[None, None].double()
    return registry.get(name).function(probs).squeeze(0).squeeze(0).numpy()


@given(lengths, lengths)
def test_resize_keeps_the_outer_edges(native: int, size: int) -> None:
    frame = Frame.resize((native, native), (size, size))
    edges = frame.offset[0] + frame.step[0] * np.array([-0.5, size - 0.5])
    np.testing.assert_allclose(edges, [-0.5, native - 0.5], atol=1e-9)


@given(lengths, lengths, st.floats(0.5, 3), st.floats(0.5, 3))
def test_resample_has_the_spacing_and_keeps_the_centre(
    native: int, size: int, spacing: float, native_spacing: float
) -> None:
    frame = Frame.resample((native, 9), (native_spacing, 1.0), spacing, (size, 7))
    assert frame.step[0] * native_spacing == pytest.approx(spacing)
    assert frame.offset[0] + frame.step[0] * (size - 1) / 2 == pytest.approx((native - 1) / 2)


@given(frames)
def test_the_inverse_undoes_the_frame(frame: Frame) -> None:
    twice = frame.inverse((20, 30)).inverse(frame.size)
    np.testing.assert_allclose(
        [*twice.step, *twice.offset], [*frame.step, *frame.offset], rtol=1e-9, atol=1e-9
    )
    assert twice.size == frame.size


def test_an_identical_grid_leaves_the_image_as_it_is() -> None:
    image = np.random.default_rng(0).normal(size=(2, 9, 7)).astype(np.float32)
    np.testing.assert_array_equal(resample_image(image, Frame.resize((9, 7), (9, 7))), image)


@pytest.mark.parametrize(
    ("name", "tolerance"), [("enlarge", 1e-4), ("resize by two", 1e-4), ("resample", 0.1)]
)
def test_a_ramp_takes_the_value_of_its_native_place(name: str, tolerance: float) -> None:
    frame = FRAMES[name]
    ramp = np.repeat(np.arange(NATIVE[0], dtype=np.float32)[:, None], NATIVE[1], axis=1)
    places = frame.offset[0] + frame.step[0] * np.arange(frame.size[0])
    interior = (places > 2) & (places < NATIVE[0] - 3)
    prepared = resample_image(ramp, frame)[interior, frame.size[1] // 2]
    np.testing.assert_allclose(prepared, places[interior], atol=tolerance)


def test_a_coarser_grid_averages_what_it_cannot_show() -> None:
    checkers = (np.indices((64, 64)).sum(0) % 2).astype(np.float32)
    np.testing.assert_allclose(
        resample_image(checkers, Frame.resize((64, 64), (32, 32)))[2:-2, 2:-2], 0.5, atol=1e-6
    )


def test_padding_is_the_minimum_of_an_image_and_background_in_a_mask() -> None:
    frame = Frame.resample((4, 4), (1.0, 1.0), 1.0, (8, 6))
    image = np.full((1, 4, 4), 5, np.float32)
    image[0, 1, 1] = -2
    padding = ~frame.inside((4, 4))
    assert padding.sum() == 8 * 6 - 16
    assert (resample_image(image, frame)[0][padding] == -2).all()
    assert (resample_mask(np.full((4, 4), 3, np.uint8), frame)[padding] == 0).all()


def test_crop_takes_the_centre_of_what_the_frame_shows() -> None:
    image = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    whole = Frame.resize((40, 50), (20, 30))
    np.testing.assert_array_equal(
        resample_image(image, whole.crop((11, 16))), resample_image(image, whole)[4:15, 7:23]
    )


@pytest.mark.parametrize("name", FRAMES)
def test_masks_stay_where_they_are_and_get_no_new_labels(name: str) -> None:
    frame = FRAMES[name]
    misplaced = []
    for shift in np.linspace(0, 2, 9):
        mask = 2 * ellipse(NATIVE, np.array([100 + shift, 120 - shift]), np.array([40, 50]))
        prepared = resample_mask(mask, frame)
        assert set(np.unique(prepared)) == {0, 2}
        moved = described((prepared == 2).astype(np.uint8), "centroid")
        misplaced.append(moved - rescale_values("centroid", described(mask // 2, "centroid"), frame))
    assert np.abs(np.mean(misplaced, axis=0)).max() < 0.12


def test_pixels_shared_evenly_neither_shrink_nor_grow_an_object() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[11:31] = 1  # a stripe, both of whose edges fall in the middle of a prepared pixel
    halved = Frame.resize((64, 64), (32, 32))
    for labels in (mask, 1 - mask, mask.T):
        assert resample_mask(labels, halved).sum() * 4 == labels.sum()


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize(
    ("descriptor", "relative", "absolute"),
    [
        ("volume", 0.01, 0),
        ("centroid", 0, 0.15),
        ("spread", 0.01, 0),
        ("covariance", 0.015, 3),
        ("third_moments", 0, 600),
        ("fourth_moments", 0.03, 5e3),
        ("length", 0.06, 0),
    ],
)
def test_numbers_move_as_their_mask_does(
    name: str, descriptor: str, relative: float, absolute: float
) -> None:
    frame = FRAMES[name]
    mask = ellipse(NATIVE, np.array([104.3, 121.8]), np.array([50, 60]))
    moved = rescale_values(descriptor, described(mask, descriptor), frame)
    redrawn = described(resample_mask(mask, frame), descriptor)
    np.testing.assert_allclose(redrawn, moved, rtol=relative, atol=absolute)


@given(
    frames,
    st.sampled_from(
        ["volume", "centroid", "spread", "covariance", "third_moments", "fourth_moments", "length"]
    ),
)
def test_the_inverse_frame_moves_numbers_back(frame: Frame, descriptor: str) -> None:
    values = np.arange(1.0, 1 + registry.get(descriptor).components(2))
    there = rescale_values(descriptor, values, frame)
    np.testing.assert_allclose(
        rescale_values(descriptor, there, frame.inverse((9, 9))), values, rtol=1e-6, atol=1e-6
    )


def test_numbers_by_hand() -> None:
    frame = Frame((2.0, 8.0), (1.0, -3.0), (10, 10))
    assert rescale_values("volume", [32.0], frame) == [2.0]
    assert rescale_values("centroid", [5.0, 5.0], frame).tolist() == [2.0, 1.0]
    assert rescale_values("spread", [2.0, 2.0], frame).tolist() == [1.0, 0.25]
    assert rescale_values("covariance", [4.0, 16.0, 64.0], frame).tolist() == [1.0, 1.0, 1.0]
    third = rescale_values("third_moments", [8.0, 32.0, 128.0, 512.0], frame)
    assert third.tolist() == [1.0, 1.0, 1.0, 1.0]
    fourth = rescale_values("fourth_moments", [16.0, 64.0, 256.0, 1024.0, 8192.0], frame)
    assert fourth.tolist() == [1.0, 1.0, 1.0, 1.0, 2.0]
    assert rescale_values("length", [4.0], frame).tolist() == [1.0]
    assert rescale_values("elongation", [0.3], Frame((2.0, 2.0), (1.0, -3.0), (9, 9))).tolist() == [0.3]
    assert np.isnan(rescale_values("spread", [np.nan, 2.0], frame)).tolist() == [True, False]


def test_many_frames_at_once_are_the_same_as_one_by_one() -> None:
    several = list(FRAMES.values())
    steps, offsets = np.array([f.step for f in several]), np.array([f.offset for f in several])
    for name in ("volume", "centroid", "covariance", "potts_length"):
        values = np.arange(1.0, 1 + registry.get(name).components(2))
        unit, origin = unit_and_origin(name, steps, offsets)
        one_by_one = [rescale_values(name, values, frame) for frame in several]
        np.testing.assert_allclose((values - origin) / unit, one_by_one)


@pytest.mark.parametrize("name", ["orientation", "elongation", "hu_moments"])
def test_what_stretching_changes_is_refused(name: str) -> None:
    values = np.full(registry.get(name).components(2), 0.3)
    almost = Frame((2.0, 2.01), (1.0, -3.0), (9, 9))
    assert rescale_values(name, values, almost).tolist() == values.tolist()
    for step in ((2.0, 2.1), (2.1, 2.0)):
        with pytest.raises(ArgumentError, match=rf"`descriptor`.*same step.*{name}"):
            rescale_values(name, values, Frame(step, (1.0, -3.0), (9, 9)))


def test_a_descriptor_of_ones_own_moves_as_it_was_registered() -> None:
    @registry.register("test_top", components=lambda ndim: ndim, unit_power=1, per_axis="position")
    def top(probs: torch.Tensor, *, spacing: object = None) -> torch.Tensor:
        return probs.new_zeros(*probs.shape[:2], probs.ndim - 2)

    frame = Frame((2.0, 8.0), (1.0, -3.0), (10, 10))
    assert rescale_values("test_top", [5.0, 5.0], frame).tolist() == [2.0, 1.0]


def test_an_unknown_descriptor_is_refused() -> None:
    with pytest.raises(ArgumentError, match="volume"):
        rescale_values("volum", [1.0], FRAMES["resize"])


@pytest.mark.parametrize("name", FRAMES)
def test_predictions_return_to_where_they_came_from(name: str) -> None:
    frame = FRAMES[name]
    mask = ellipse(NATIVE, np.array([104.3, 121.8]), np.array([50, 60]))
    prepared = resample_mask(mask, frame)
    probs = np.stack([1 - prepared, prepared]).astype(np.float32)
    native = to_native(probs, frame, NATIVE)
    assert native.shape == (2, *NATIVE)
    np.testing.assert_allclose(native.sum(0), 1, atol=1e-5)
    overlap = 2 * (mask * native.argmax(0)).sum() / (mask.sum() + native.argmax(0).sum())
    assert overlap > 0.985


def test_what_the_frame_does_not_see_is_background() -> None:
    frame = Frame.resize((12, 12), (12, 12)).crop((4, 6))
    probs = np.stack([np.zeros((4, 6)), np.ones((4, 6))]).astype(np.float32)
    native = to_native(probs[None], frame, (12, 12))[0]
    assert (native[1] == 1).sum() == 24
    assert (native[1, 4:8, 3:9] == 1).all()
    assert ((native[0] == 1) == (native[1] == 0)).all()


def test_numbers_of_whole_volumes_by_hand() -> None:
    """A frame leaves the slices' axis as it is."""
    step, offset = np.array([1.0, 2.0, 8.0]), np.array([0.0, 1.0, -3.0])

    def units(name: str) -> list[float]:
        return unit_and_origin(name, step, offset)[0].tolist()

    assert units("volume") == [16]
    assert units("spread") == [1, 2, 8]
    assert units("covariance") == [1, 2, 8, 4, 16, 64]
    assert units("third_moments") == [1, 2, 8, 4, 16, 64, 8, 32, 128, 512]
    unit, origin = unit_and_origin("centroid", step, offset)
    assert ((np.array([3.0, 5.0, 5.0]) - origin) / unit).tolist() == [3.0, 2.0, 1.0]
    assert units("length") == pytest.approx([16 ** (2 / 3)])
    with pytest.raises(ArgumentError, match="here 1 and 2 and 8"):
        require_same_step("elongation", step)
