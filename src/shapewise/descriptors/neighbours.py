"""Which pixels are neighbours, and how much each pair counts."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product
from types import EllipsisType
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from shapewise.descriptors.axes import checked_spacing, pixel_size
from shapewise.descriptors.constant import constant
from shapewise.errors import ArgumentError
from shapewise.typing import Spacing

Offset: TypeAlias = tuple[int, ...]
Neighbours: TypeAlias = tuple[tuple[Offset, float], ...]
Weights: TypeAlias = Literal["potts", "crofton"]
Side: TypeAlias = tuple[slice | EllipsisType, ...]

CONNECTIVITY = {2: (4, 8), 3: (6, 18, 26)}


def weighted_neighbours(
    ndim: int, connectivity: int | None, weights: Weights, spacing: Spacing | None
) -> Neighbours:
    """Half of a pixel's neighbours, one of each opposite pair, with their weights.

    Args:
        ndim: 2 or 3.
        connectivity: 4 or 8 in 2-D, 6, 18 or 26 in 3-D; None is the largest.
        weights: ``potts`` counts each pair 1; ``crofton`` makes the sum over cut pairs a Euclidean length
            (2-D) or area (3-D).
        spacing: distance between pixel centres along each axis, for Crofton weights only.

    Raises:
        ArgumentError: an unknown connectivity or weighting, a spacing that does not fit, or Potts with one.

    >>> [(offset, round(weight, 3)) for offset, weight in weighted_neighbours(2, 4, "crofton", None)]
    [((0, 1), 0.785), ((1, 0), 0.785)]
    """
    if spacing is not None and torch.compiler.is_compiling():
        # Constants need numbers, and the compiler makes a symbol of a float that has changed between calls.
        spacing = tuple(float.fromhex(float(step).hex()) for step in spacing)
    return _weighted_neighbours(ndim, connectivity, weights, spacing)


def sides(offset: Offset) -> tuple[Side, Side]:
    """The slices that pair each pixel with its neighbour at the offset: ``x[first]`` beside ``x[second]``.

    >>> first, second = sides((0, 1))
    >>> torch.arange(3)[None][first], torch.arange(3)[None][second]
    (tensor([[0, 1]]), tensor([[1, 2]]))
    """
    first = tuple(slice(max(-step, 0), -step if step > 0 else None) for step in offset)
    second = tuple(slice(max(step, 0), step if step < 0 else None) for step in offset)
    return (..., *first), (..., *second)


@constant
def _weighted_neighbours(
    ndim: int, connectivity: int | None, weights: Weights, spacing: Spacing | None
) -> Neighbours:
    offsets = _half_neighbours(ndim, _checked_connectivity(ndim, connectivity))
    if weights == "crofton":
        return tuple(zip(offsets, _crofton_weights(offsets, checked_spacing(spacing, ndim)), strict=True))
    if weights != "potts":
        raise ArgumentError("weights", expected="'potts' or 'crofton'", found=repr(weights))
    if spacing is not None:
        raise ArgumentError("spacing", expected="None, as a Potts length counts pairs, not mm", found=spacing)
    return tuple((offset, 1.0) for offset in offsets)


def _checked_connectivity(ndim: int, connectivity: int | None) -> int:
    known = CONNECTIVITY[ndim]
    if connectivity is not None and connectivity not in known:
        raise ArgumentError("connectivity", expected=f"one of {known} in {ndim}-D", found=connectivity)
    return connectivity or known[-1]


@lru_cache
def _half_neighbours(ndim: int, connectivity: int) -> tuple[Offset, ...]:
    """Offsets whose first non-zero step is positive, nearest kinds first as the connectivity grows."""
    reach = 1 + CONNECTIVITY[ndim].index(connectivity) if ndim == 3 else connectivity // 4
    everything = product((-1, 0, 1), repeat=ndim)
    return tuple(o for o in everything if o > (0,) * ndim and sum(map(abs, o)) <= reach)


@lru_cache
def _crofton_weights(offsets: tuple[Offset, ...], spacing: Spacing) -> tuple[float, ...]:
    """Cauchy-Crofton: each direction speaks for the directions nearest to it.

    In 2-D w = area Δφ / (2 |e|), in 3-D w = volume ΔΩ / (π |e|); Δφ and ΔΩ are the Voronoi angle and solid
    angle of the direction e among all of them, both signs counted.
    Source: Boykov and Kolmogorov, ICCV 2003, equations 6 and 8.
    """
    steps = np.array(offsets) * np.array(spacing)
    lengths = np.linalg.norm(steps, axis=1)
    ndim = len(spacing)
    shares = (
        _voronoi_angles(steps) / 2 if ndim == 2 else _voronoi_solid_angles(steps / lengths[:, None]) / math.pi
    )
    return tuple((pixel_size(spacing, ndim) * shares / lengths).tolist())


def _voronoi_angles(steps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    angles = np.arctan2(steps[:, 0], steps[:, 1]) % math.pi
    order = np.argsort(angles)
    gaps = np.diff(angles[order], append=angles[order[0]] + math.pi)
    shares = np.empty_like(angles)
    shares[order] = (gaps + np.roll(gaps, 1)) / 2
    return shares


def _voronoi_solid_angles(half: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    directions = np.concatenate([half, -half])
    return np.array([_voronoi_solid_angle(i, directions) for i in range(len(half))])


def _voronoi_solid_angle(index: int, directions: npt.NDArray[np.float64]) -> float:
    """Solid angle of the cone of vectors that are nearer to one direction than to any other."""
    centre = directions[index]
    walls = centre - np.delete(directions, index, axis=0)
    first, second = np.triu_indices(len(walls), k=1)
    edges = np.cross(walls[first], walls[second])
    norms = np.linalg.norm(edges, axis=1)
    edges = edges[norms > 1e-9] / norms[norms > 1e-9, None]
    edges = np.concatenate([edges, -edges])
    corners = edges[(edges @ walls.T > -1e-9).all(axis=1)]
    return _fan_solid_angle(centre, corners)


def _fan_solid_angle(centre: npt.NDArray[np.float64], corners: npt.NDArray[np.float64]) -> float:
    """Sum over the triangles (centre, corner, next corner), by Van Oosterom and Strackee, IEEE TBME 1983."""
    across = np.cross(centre, corners[0])
    along = np.cross(across, centre)
    a = corners[np.argsort(np.arctan2(corners @ across, corners @ along))]
    b = np.roll(a, -1, axis=0)
    volume = np.cross(a, b) @ centre
    return float(2 * np.arctan2(volume, 1 + a @ centre + b @ centre + (a * b).sum(axis=1)).sum())
