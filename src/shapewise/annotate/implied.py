"""The region that numbers alone describe: what a network will be told, made visible."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from shapewise.annotate.numbers import Grid, measure
from shapewise.annotate.schema import Drawn
from shapewise.projection import annotated_moments, moment_projection

MOMENTS = ("volume", "centroid", "covariance")
ROUNDS = 50


def implied_region(objects: Mapping[str, Drawn], grid: Grid) -> tuple[NDArray[np.uint8], bool]:
    """The likeliest class of every pixel, of a network that knows the objects' moments and no image.

    The moments are V, C and the covariance; the distribution is the projection of a uniform one.

    Returns:
        (H, W): 0 where it is the background, k for the k-th object; and whether the moments were met.
    """
    measured = measure(objects, grid, "px")
    present = {index: each for index, each in enumerate(measured.values(), 1) if each.values["volume"][0] > 0}
    if not present:
        return np.zeros(grid.size, np.uint8), True
    given = {
        name: torch.tensor(np.array([[each.values[name] for each in present.values()]])).float()
        for name in MOMENTS
    }
    uniform = torch.zeros(1, 1 + len(present), *grid.size)
    found = moment_projection(uniform, annotated_moments(given, 2), iterations=ROUNDS)
    labels = np.array([0, *present], np.uint8)
    return labels[found.probs[0].argmax(dim=0).numpy()], bool(found.converged.all())
