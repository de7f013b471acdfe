"""The images of a study, opened when they are first looked at and kept while they are in use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from shapewise.annotate.numbers import Grid
from shapewise.data.cases import Case, Volume

KEPT = 6
"""Cases that stay in memory: the one that is looked at, its neighbours, and where one came from."""

LEVELS = 65535
SAMPLED = 200_000
"""Voxels that the first window is chosen from."""


@dataclass(frozen=True)
class Scan:
    """An image as the page gets it.

    Attributes:
        voxels: (slice, row, column), 16 bits, little-endian: 0 is `low`, 65535 is `high`.
        low: the lowest intensity.
        high: the highest.
        window: the intensities that are shown as black and as white at first.
        spacing: (slice, row, column) in mm, None where unknown.
    """

    voxels: NDArray[np.uint16]
    low: float
    high: float
    window: tuple[float, float]
    spacing: tuple[float, float, float] | None

    @property
    def grid(self) -> Grid:
        """The pixels of each of its slices."""
        height, width = self.voxels.shape[1:]
        return Grid((height, width), None if self.spacing is None else self.spacing[1:])


class Volumes:
    """Opens scans, one at a time; those that are open wait for none."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = cases
        self._scans: OrderedDict[int, Scan] = OrderedDict()
        self._opening, self._kept = Lock(), Lock()

    def scan(self, index: int) -> Scan:
        """The scan of a case; raises `DataError` where its image cannot be read."""
        scan = self._known(index)
        if scan is not None:
            return scan
        with self._opening:
            scan = self._known(index)  # by now, perhaps
            if scan is None:
                case = self.cases[index]
                scan = as_scan(case.read_image(), case.spacing_known)
                self._keep(index, scan)
            return scan

    def _known(self, index: int) -> Scan | None:
        with self._kept:
            scan = self._scans.get(index)
            if scan is not None:
                self._scans.move_to_end(index)
            return scan

    def _keep(self, index: int, scan: Scan) -> None:
        with self._kept:
            self._scans[index] = scan
            while len(self._scans) > KEPT:
                self._scans.popitem(last=False)


def as_scan(volume: Volume, spacing_known: bool) -> Scan:
    """Bring an image to 16 bits, and choose what to show of its intensities at first.

    >>> volume = Volume(np.array([[[-10.0, 10.0]]], np.float32), (1.0, 1.0, 1.0), np.zeros((8, 3)))
    >>> as_scan(volume, False).voxels.tolist()
    [[[0, 65535]]]
    """
    image = volume.image
    low, high = float(image.min()), float(image.max())
    step = (high - low) / LEVELS or 1.0
    voxels = np.empty(image.shape, "<u2")
    for target, pixels in zip(voxels, image, strict=True):  # slice by slice: a study may be large
        np.rint((pixels - low) / step, out=target, casting="unsafe")
    every = max(1, image.size // SAMPLED)
    darkest, brightest = np.percentile(image.ravel()[::every], (0.5, 99.5))
    window = (float(darkest), float(brightest)) if darkest < brightest else (low, high)
    return Scan(voxels, low, high, window, volume.spacing if spacing_known else None)
