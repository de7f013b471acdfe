"""Frames: where the pixels of a prepared slice lie in the slice as it was acquired.

A frame is one affine map an axis, so images, masks, predictions and descriptor values all move between the
native grid and the prepared one in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shapewise.descriptors.higher import exponents
from shapewise.descriptors.registry import get
from shapewise.errors import ArgumentError

STRETCH = 0.01
"""How far the two steps of a frame may differ for angles and proportions to stay what they are."""


@dataclass(frozen=True)
class Frame:
    """Maps a prepared in-plane index to the native one: ``native = offset + prepared * step``.

    Attributes:
        step: Distance between prepared pixel centres, in native pixels, along (rows, columns); along (slices,
            rows, columns) of a `volume`.
        offset: Native index of the first prepared pixel centre.
        size: Shape of the prepared slice.

    Example:
        >>> Frame.resize((4, 4), (2, 2))
        Frame(step=(2.0, 2.0), offset=(0.5, 0.5), size=(2, 2))
    """

    step: tuple[float, ...]
    offset: tuple[float, ...]
    size: tuple[int, ...]

    @classmethod
    def resize(cls, native_shape: tuple[int, int], size: tuple[int, int]) -> Frame:
        """The whole native slice, stretched to ``size``; the outer edges of both grids coincide."""
        step = native_shape[0] / size[0], native_shape[1] / size[1]
        return cls(step, (step[0] / 2 - 0.5, step[1] / 2 - 0.5), size)

    @classmethod
    def resample(
        cls,
        native_shape: tuple[int, int],
        native_spacing: tuple[float, float],
        spacing: float,
        size: tuple[int, int],
    ) -> Frame:
        """Pixels of ``spacing`` mm, the grids' centres in one place: crops or pads to ``size``."""
        step = spacing / native_spacing[0], spacing / native_spacing[1]
        first, second = (
            (native_shape[axis] - 1) / 2 - step[axis] * (size[axis] - 1) / 2 for axis in range(2)
        )
        return cls(step, (first, second), size)

    def crop(self, size: tuple[int, int]) -> Frame:
        """The central ``size`` pixels of this frame; no pixel centre moves."""
        start = (self.size[0] - size[0]) // 2, (self.size[1] - size[1]) // 2
        offset = (
            self.offset[0] + start[0] * self.step[0],
            self.offset[1] + start[1] * self.step[1],
        )
        return Frame(self.step, offset, size)

    def volume(self, slices: int) -> Frame:
        """The same of so many slices, which stay as they are: a frame of three axes, for numbers alone."""
        return Frame((1.0, *self.step), (0.0, *self.offset), (slices, *self.size))

    def inverse(self, native_shape: tuple[int, int]) -> Frame:
        """The frame that maps a native index to the prepared one."""
        step = 1 / self.step[0], 1 / self.step[1]
        return Frame(step, (-self.offset[0] * step[0], -self.offset[1] * step[1]), native_shape)

    def inside(self, native_shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Which prepared pixels, (h, w), have their centre on the native slice, and not in the padding."""
        rows, columns = (
            (centres >= -0.5) & (centres <= length - 0.5)
            for centres, length in zip(self._centres(), native_shape, strict=True)
        )
        return np.logical_and.outer(rows, columns)

    def _centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rows, columns = np.arange(self.size[0], dtype=float), np.arange(self.size[1], dtype=float)
        return self.offset[0] + self.step[0] * rows, self.offset[1] + self.step[1] * columns


def resample_image(volume: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """Slices of a volume in a frame, by linear interpolation.

    Where the frame is coarser than the image the interpolating triangle is as wide as a prepared pixel, which
    keeps fine structure from aliasing. Padding takes the volume's minimum.

    Args:
        volume: Native intensities, (..., H, W).
        frame: Where the prepared pixels lie.

    Returns:
        Prepared intensities, (..., h, w), float32.

    Example:
        >>> resample_image(np.array([[0, 1, 2, 3]] * 4, np.float32), Frame.resize((4, 4), (4, 4)))[0]
        array([0., 1., 2., 3.], dtype=float32)
    """
    height, width = volume.shape[-2:]
    prepared = _interpolate(volume, frame)
    return np.where(frame.inside((height, width)), prepared, volume.min())


def resample_mask(mask: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """Label masks in a frame: at each prepared pixel the label that interpolation finds most of.

    Nearest neighbours would move the object: where the step is 2, by half a native pixel.
    Padding is background.

    Args:
        mask: Native labels, (..., H, W).
        frame: Where the prepared pixels lie.

    Returns:
        Prepared labels, (..., h, w).

    Example:
        >>> resample_mask(np.eye(2, dtype=np.uint8), Frame.resize((2, 2), (2, 4)))
        array([[1, 1, 0, 0],
               [0, 0, 1, 1]], dtype=uint8)
    """
    height, width = mask.shape[-2:]
    labels = np.unique(mask)
    # Two labels may share a pixel evenly. A nudge too small to matter elsewhere makes the choice one of
    # place: taking the lower label would eat into the objects on every side.
    nudged = Frame(frame.step, (frame.offset[0] + 1e-3, frame.offset[1] + 1e-3), frame.size)
    shares = np.stack([_interpolate((mask == label).astype(np.float32), nudged) for label in labels])
    return np.where(frame.inside((height, width)), labels[shares.argmax(axis=0)], np.zeros((), mask.dtype))


def to_native(probs: NDArray[np.float32], frame: Frame, native_shape: tuple[int, int]) -> NDArray[np.float32]:
    """Prepared probabilities back on the native grid, where what the frame does not see is background.

    Args:
        probs: Prepared probabilities, (..., K, h, w), background first.
        frame: The frame that they were predicted in.
        native_shape: Shape of the native slice, (H, W).

    Returns:
        Native probabilities, (..., K, H, W), still on the simplex.
    """
    inverse = frame.inverse(native_shape)
    native = _interpolate(probs, inverse)
    unseen = ~inverse.inside(frame.size)
    native[..., unseen] = 0
    native[..., 0, :, :][..., unseen] = 1
    return native


def _interpolate(image: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    height, width = image.shape[-2:]
    rows = _weights(height, frame.step[0], frame.offset[0], frame.size[0])
    columns = _weights(width, frame.step[1], frame.offset[1], frame.size[1])
    prepared: NDArray[np.float32] = rows @ np.asarray(image, np.float32) @ columns.T
    return prepared


@lru_cache(maxsize=128)
def _weights(length: int, step: float, offset: float, size: int) -> NDArray[np.float32]:
    """Row p weighs the native pixels that make prepared pixel p; beyond the border the edge pixel repeats."""
    width = max(1.0, step)
    centres = offset + step * np.arange(size)[:, None]
    pixels = np.floor(centres).astype(int) + np.arange(-int(width) - 1, int(width) + 3)
    triangle = np.clip(1 - np.abs(pixels - centres) / width, 0, None)
    weights = np.zeros((size, length))
    np.add.at(weights, (np.arange(size)[:, None], pixels.clip(0, length - 1)), triangle)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)


def rescale_values(descriptor: str, values: ArrayLike, frame: Frame) -> NDArray[np.float64]:
    """Descriptor values of a native slice, in native pixels, as they are in the prepared slice's pixels.

    Exact for the volume and for what is registered ``per_axis``: centroid, spread and central moments. Any
    other descriptor takes the geometric mean of the two steps to the power of its unit, which is exact where
    both steps are equal, and refuses other frames if it has no unit: stretching changes angles, proportions.

    Args:
        descriptor: A registered name.
        values: Values in native pixels, (..., C).
        frame: Where the prepared pixels lie.

    Returns:
        Values in prepared pixels, (..., C); NaN stays NaN.

    Raises:
        ArgumentError: ``descriptor`` is not registered, or has no unit and the frame stretches the image.

    Example:
        >>> rescale_values("centroid", [0.5, 2.5], Frame.resize((4, 4), (2, 2)))
        array([0., 1.])
        >>> rescale_values("volume", [8.0], Frame.resize((4, 4), (2, 2)))
        array([2.])
    """
    require_same_step(descriptor, np.asarray(frame.step))
    unit, origin = unit_and_origin(descriptor, np.asarray(frame.step), np.asarray(frame.offset))
    return (np.asarray(values, float) - origin) / unit


def unit_and_origin(
    descriptor: str, step: NDArray[np.float64], offset: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What one prepared unit of a descriptor and its zero are in native units, for many frames at once.

    Args:
        descriptor: A registered name.
        step: Steps of the frames, (..., 2), or of whole volumes (..., 3).
        offset: Offsets of the frames, of the same shape.

    Returns:
        ``unit`` and ``origin``, (..., C): ``prepared = (native - origin) / unit``.
    """
    unit = _unit(descriptor, step)
    return unit, offset if get(descriptor).per_axis == "position" else np.zeros_like(unit)


def require_same_step(descriptor: str, step: NDArray[np.float64]) -> None:
    """Refuse to move what has no unit into frames, (..., 2 or 3), whose steps differ by more than 1%.

    Raises:
        ArgumentError: The descriptor's values change in a way that they do not tell.
    """
    ndim = step.shape[-1]
    stretched = step.max(axis=-1) / step.min(axis=-1) - 1 > STRETCH
    if get(descriptor).unit_power(ndim) == 0 and stretched.any():
        found = " and ".join(f"{each:.3g}" for each in step[stretched].reshape(-1, ndim)[0])
        expected = (
            "one with a unit, unless images are resized by the same step along all axes"
            f" (here {found}: set a spacing, or a size of the image's own proportions)"
        )
        raise ArgumentError("descriptor", expected=expected, found=descriptor)


def _unit(descriptor: str, step: NDArray[np.float64]) -> NDArray[np.float64]:
    entry, ndim = get(descriptor), step.shape[-1]
    if entry.per_axis in ("position", "extent"):
        return step
    if entry.per_axis == "product":
        return np.asarray((step[..., None, :] ** exponents(entry.unit_power(ndim), ndim)).prod(axis=-1))
    size = step.prod(axis=-1, keepdims=True) ** (entry.unit_power(ndim) / ndim)
    unit: NDArray[np.float64] = np.repeat(size, entry.components(ndim), axis=-1)
    return unit


def physical(frames: Sequence[Frame], spacings: Sequence[tuple[float, ...] | None]) -> NDArray[np.float64]:
    """Steps and offsets of frames in mm, (N, 2, 2): NaN where the native spacing is unknown.

    A spacing is (row, column), or has the distance of the slices before these.
    """
    known = np.array([(spacing or (np.nan, np.nan))[-2:] for spacing in spacings], float)
    in_px = np.array([(frame.step, frame.offset) for frame in frames], float)
    in_mm: NDArray[np.float64] = in_px * known[:, None, :]
    return in_mm
