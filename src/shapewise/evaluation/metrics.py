"""Overlap and surface distances between two hard masks of one object, in the image's own geometry.

The distances are taken between surface voxels (the object minus its erosion by one voxel, face neighbours)
with SciPy's exact Euclidean distance transform, which honours anisotropic spacing; MONAI, which defines both
measures the same way, is the oracle in the tests. An axis of one voxel has no neighbours and counts as none:
a volume of a single slice is measured within its plane.

========================  ======  =======================================
masks                     Dice    distances
========================  ======  =======================================
both empty                1       0
one empty, a total miss   0       the physical diagonal of the image
========================  ======  =======================================

So a miss is the worst value that the image allows: it lowers the mean and never drops out of it as a NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from shapewise.errors import ArgumentError

Mask = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float64]


def dice(predicted: npt.ArrayLike, annotated: npt.ArrayLike) -> float:
    """Dice similarity 2|P ∩ A| / (|P| + |A|) of two masks of the same shape.

    Args:
        predicted: Mask, any shape; non-zero is the object.
        annotated: Mask of the same shape.

    Returns:
        A number in [0, 1]; 1 where both masks are empty, 0 where one is.

    Raises:
        ArgumentError: The shapes differ.

    Examples:
        >>> dice([1, 1, 0, 0], [1, 1, 1, 1])
        0.6666666666666666
    """
    one, other = _masks(predicted, annotated)
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def surface_distances_mm(
    predicted: npt.ArrayLike, annotated: npt.ArrayLike, spacing: Sequence[float]
) -> tuple[float, float]:
    """Hausdorff distance (HD95) and average symmetric surface distance (ASSD) in mm.

    HD95 is the 95th percentile of the surface distances, the larger of the two directions; ASSD their mean
    over the voxels of both surfaces.

    Args:
        predicted: Mask, (H, W) or (D, H, W); non-zero is the object.
        annotated: Mask of the same shape.
        spacing: Distance between voxel centres along each axis, in mm.

    Returns:
        HD95 and ASSD; 0 where both masks are empty, the image's diagonal where one is.

    Raises:
        ArgumentError: The shapes differ, or the spacing has not one positive number an axis.

    Examples:
        >>> surface_distances_mm([[1, 1, 1], [0, 0, 0]], [[0, 1, 1], [0, 0, 0]], (1.0, 5.0))[1]
        1.0
        >>> surface_distances_mm([[0, 0, 0, 0]], [[1, 0, 0, 0]], (3.0, 1.0))
        (5.0, 5.0)
    """
    one, other = _masks(predicted, annotated)
    steps = _steps(spacing, one.ndim)
    if not one.any() and not other.any():
        return 0.0, 0.0
    if not one.any() or not other.any():
        return (miss := diagonal_mm(one.shape, steps)), miss
    wide = [axis for axis, size in enumerate(one.shape) if size > 1] or [0]
    flat, steps = [one.shape[axis] for axis in wide], tuple(steps[axis] for axis in wide)
    one, other = one.reshape(flat), other.reshape(flat)
    window = ndimage.find_objects((one | other).astype(np.uint8))[0]
    surface, reference = _surface(one[window]), _surface(other[window])
    there, back = _distances(surface, reference, steps), _distances(reference, surface, steps)
    worst = max(np.percentile(there, 95), np.percentile(back, 95))
    return float(worst), float(np.concatenate([there, back]).mean())


def diagonal_mm(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Length of the image's physical diagonal in mm, whole voxels counted.

    Examples:
        >>> diagonal_mm((3, 4), (1.0, 1.0))
        5.0
    """
    return float(np.linalg.norm(np.multiply(shape, spacing)))


def volume_ml(mask: npt.ArrayLike, spacing: Sequence[float]) -> float:
    """Volume of a mask in mL, 0 where it is empty.

    Examples:
        >>> volume_ml(np.ones((2, 10, 10)), (10.0, 1.0, 1.0))
        2.0
    """
    return float(np.count_nonzero(mask)) * float(np.prod(spacing)) / 1000


def _masks(predicted: npt.ArrayLike, annotated: npt.ArrayLike) -> tuple[Mask, Mask]:
    one, other = np.asarray(predicted, dtype=bool), np.asarray(annotated, dtype=bool)
    if one.shape != other.shape:
        raise ArgumentError(
            "predicted", expected=f"a mask of shape {other.shape}", found=f"shape {one.shape}"
        )
    return one, other


def _steps(spacing: Sequence[float], ndim: int) -> tuple[float, ...]:
    steps = tuple(float(step) for step in spacing)
    if len(steps) != ndim or not all(0 < step < float("inf") for step in steps):
        raise ArgumentError("spacing", expected=f"{ndim} positive distances in mm", found=steps)
    return steps


def _surface(mask: Mask) -> Mask:
    """Voxels of the object with a face neighbour outside it; beyond the array's edge is outside."""
    return mask & ~ndimage.binary_erosion(mask)


def _distances(surface: Mask, reference: Mask, spacing: tuple[float, ...]) -> Distances:
    """Distance in mm from each voxel of one surface to the nearest voxel of the other."""
    distance: Distances = ndimage.distance_transform_edt(~reference, sampling=spacing)
    return distance[surface]
