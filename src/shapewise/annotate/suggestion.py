"""What a trained run would draw: the outlines of its prediction, to be accepted or mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from scipy import ndimage

from shapewise.annotate.schema import MOST_POINTS, Absent, Drawn, Ellipse, Polygon, Shape
from shapewise.annotate.shapes import Mask, inside
from shapewise.build.cases import build_preprocessing, load_plugins
from shapewise.data.cases import Case
from shapewise.errors import RunError
from shapewise.evaluation.prediction import Labels, predict_volume
from shapewise.run_folder import RunFolder
from shapewise.run_network import best_device, load_network

ELLIPTIC = 0.9
"""Intersection over union from which a region is drawn as an ellipse, whose handles mend it easily."""

TOLERANCE = 0.6
"""Pixels that a simplified outline may lie beside the region's own."""


class Suggestions:
    """Predictions of a run's best epoch, of the classes that are annotated.

    Raises:
        RunError: the run cannot be used, or was trained without one of the classes.
    """

    def __init__(self, run: Path, cases: Sequence[Case], classes: Sequence[str]) -> None:
        folder = RunFolder(run)
        experiment, record = folder.read_experiment(), folder.read_record()
        for name in classes:
            if name not in record.classes:
                found = f"a run of {', '.join(record.classes)}"
                raise RunError(run, expected=f"one that was trained with the class {name}", found=found)
        load_plugins(experiment, folder.path)
        self.cases, self.classes, self.all_classes = cases, classes, record.classes
        self.network = load_network(folder, experiment, record.classes)
        self.preprocessing = build_preprocessing(experiment)
        self.labels = lru_cache(maxsize=4)(self._predict)
        self._predicting = Lock()

    def _predict(self, index: int) -> Labels:
        case = self.cases[index]
        volume = case.read_image()
        spacing = volume.spacing if case.spacing_known else None
        return predict_volume(self.network, volume.image, spacing, self.preprocessing, device=best_device())

    def masks(self, index: int, slice_: int) -> dict[str, Mask]:
        """The predicted region of every class on a slice."""
        with self._predicting:  # who asks meanwhile gets the same answer, and no prediction of their own
            labels = self.labels(index)[slice_]
        return {name: labels == self.all_classes.index(name) + 1 for name in self.classes}

    def objects(self, index: int, slice_: int, around: Mapping[str, str]) -> dict[str, Drawn]:
        """The prediction as outlines that a person could have drawn."""
        masks = self.masks(index, slice_)
        return {
            name: Drawn(
                shape=outline(mask, masks.get(around.get(name, ""))),
                around=around.get(name) if mask.any() else None,
                origin="suggested",
            )
            for name, mask in masks.items()
        }


def outline(mask: Mask, inner: Mask | None = None) -> Shape:
    """The outer outline of a region's largest part: an ellipse where one fits, else a polygon.

    Args:
        mask: (H, W).
        inner: what lies within it and belongs to another class.

    >>> outline(np.zeros((4, 4), bool)).kind, outline(np.ones((9, 4), bool)).kind
    ('absent', 'polygon')
    """
    if not mask.any():
        return Absent()
    parts, _ = ndimage.label(mask if inner is None else mask | inner)
    touching = parts[mask]
    largest = np.bincount(touching).argmax()
    region = ndimage.binary_fill_holes(parts == largest)
    ellipse = fitted_ellipse(region)
    drawn = inside(ellipse, region.shape)
    if (drawn & region).sum() >= ELLIPTIC * (drawn | region).sum():
        return ellipse
    corners = simplified(traced(region))
    return Polygon(points=corners) if len(corners) > 2 else ellipse


def fitted_ellipse(region: Mask) -> Ellipse:
    """The ellipse of a region's area, centroid and covariance."""
    points = np.argwhere(region).astype(float)
    # A pixel is a square, not a point: it spreads by itself.
    matrix = np.cov(points.T, bias=True) + np.eye(2) / 12
    variances, axes = np.linalg.eigh(matrix)
    scale = np.sqrt(len(points) / (4 * np.pi * np.sqrt(variances.prod())))
    second, first = (axes * 2 * scale * np.sqrt(variances)).T
    centre = points.mean(axis=0)
    return Ellipse(centre=tuple(centre.tolist()), first=tuple(first.tolist()), second=tuple(second.tolist()))


def traced(region: Mask) -> NDArray[np.float64]:
    """The longest outline of a region, (N, 2) as (row, column), half way between its pixels and others."""
    padded = np.pad(region.astype(float), 1)
    lines = [np.asarray(line, float) for line in contour_generator(z=padded).lines(0.5)]
    longest = max(lines, key=len)
    return longest[:-1, ::-1] - 1


def simplified(points: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """An outline with the points left out that lie within `TOLERANCE` of what remains.

    The tolerance grows until there are at most `MOST_POINTS`.

    Source: Douglas and Peucker, The Canadian Cartographer 1973, from the two points that are farthest apart.

    >>> simplified(np.array([[0, 0], [0, 2], [0, 4], [4, 4], [4, 2], [4, 0]], float))
    ((0.0, 0.0), (0.0, 4.0), (4.0, 4.0), (4.0, 0.0))
    """
    far = int(np.linalg.norm(points - points[0], axis=1).argmax())
    closed = np.concatenate([points, points[:1]])
    tolerance, kept = TOLERANCE, _kept(closed, far, TOLERANCE)
    while len(kept) > MOST_POINTS:
        tolerance *= 1.25
        kept = _kept(closed, far, tolerance)
    return tuple((float(row), float(column)) for row, column in points[kept])


def _kept(closed: NDArray[np.float64], far: int, tolerance: float) -> list[int]:
    """Indices that a simplified outline keeps, in order."""
    kept: list[int] = []
    parts = [(far, len(closed) - 1), (0, far)]
    while parts:
        first, last = parts.pop()
        distances = _distances(closed, first, last)
        if len(distances) == 0 or distances.max() <= tolerance:
            kept.append(first)
        else:
            middle = first + 1 + int(distances.argmax())
            parts += [(middle, last), (first, middle)]
    return kept


def _distances(points: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
    """Of the points between two others from the line through these."""
    chord = points[last] - points[first]
    away = points[first + 1 : last] - points[first]
    length = float(np.hypot(*chord))
    distances: NDArray[np.float64] = (
        np.abs(chord[0] * away[:, 1] - chord[1] * away[:, 0]) / length if length else np.hypot(*away.T)
    )
    return distances
