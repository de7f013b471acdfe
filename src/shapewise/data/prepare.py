"""Prepared slices: every case's slices in one frame each, in memory-mapped files that are made once.

Images and masks are separate files, so that training from a table opens no training mask.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapewise.data.cases import Case, Volume
from shapewise.data.frames import Frame, resample_image, resample_mask
from shapewise.data.images import files_of
from shapewise.errors import ArgumentError, DataError
from shapewise.progress import watched
from shapewise.whole_file import whole_file

CACHE_VERSION = 2
"""Raise it whenever the same files and options would be prepared differently."""


class Sample(NamedTuple):
    """One slice: the case's name, its frame and the 0-based array index of the slice."""

    case: str
    frame: int
    slice: int


@dataclass(frozen=True)
class Preprocessing:
    """How slices become network input.

    Attributes:
        size: Rows and columns of the resized, or resampled, slice.
        spacing: None stretches the whole slice to ``size``, as in the paper (256 x 256); a number resamples
            to that in-plane spacing in mm and crops or pads around the centre.
        crop: Keeps only the central rows and columns of the ``size``.

    Raises:
        ArgumentError: A size or spacing is not positive, or the crop is larger than the size.

    Example:
        >>> Preprocessing((128, 128), crop=(80, 80)).frame((256, 256), None).offset
        (48.5, 48.5)
    """

    size: tuple[int, int]
    spacing: float | None = None
    crop: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise ArgumentError("size", expected="two positive integers", found=self.size)
        if self.spacing is not None and not 0 < self.spacing < np.inf:
            raise ArgumentError("spacing", expected="a positive number of mm", found=self.spacing)
        if self.crop is not None and not all(
            0 < crop <= size for crop, size in zip(self.crop, self.size, strict=True)
        ):
            raise ArgumentError("crop", expected=f"two positive integers up to {self.size}", found=self.crop)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a prepared slice."""
        return self.crop or self.size

    def frame(self, native_shape: tuple[int, int], native_spacing: tuple[float, float] | None) -> Frame:
        """The frame of a native slice, all steps in one affine map.

        Raises:
            ArgumentError: ``spacing`` is set and the native spacing is unknown.
        """
        if self.spacing is None:
            frame = Frame.resize(native_shape, self.size)
        elif native_spacing is None:
            raise ArgumentError("native_spacing", expected="known, to resample to mm", found=None)
        else:
            frame = Frame.resample(native_shape, native_spacing, self.spacing, self.size)
        return frame.crop(self.shape)


@dataclass(frozen=True)
class PreparedImages:
    """Prepared slices, all lists aligned.

    Attributes:
        samples: What each slice is.
        images: Normalised intensities, (N, h, w) float32, on disk.
        frames: Where the prepared pixels lie in the native slice.
        spacings: Native spacing in mm, (slice, row, column), None where unknown.
    """

    samples: list[Sample]
    images: NDArray[np.float32]
    frames: list[Frame]
    spacings: list[tuple[float, ...] | None]

    @property
    def cases(self) -> list[int]:
        """Number of the case, counted in the order of preparing, that each slice belongs to."""
        numbers: dict[tuple[str, int], int] = {}
        return [numbers.setdefault(sample[:2], len(numbers)) for sample in self.samples]


def prepare_images(
    cases: Sequence[Case], preprocessing: Preprocessing, cache_dir: str | Path
) -> PreparedImages:
    """Every slice of the cases, normalised per volume and in its frame; made once and then memory-mapped.

    Opens no mask. The cache is keyed by the image files (path, size, time of change) and the preprocessing; a
    damaged cache is made again.

    Raises:
        DataError: An image is unreadable, its spacing is unknown but needed, or the cache cannot be written.
    """

    def blocks() -> Iterator[Block]:
        for case in watched(cases, "Preparing images"):
            volume = case.read_image()
            frame, record = _place(case, volume, preprocessing)
            yield Block(resample_image(normalise(volume.image), frame), record)

    files = [file for case in cases for file in files_of(case.image)]
    key = _key(cases, files, ["image", asdict(preprocessing)])
    images, records = _cached(Path(cache_dir) / f"{key}-images.npy", blocks)
    samples = [Sample(r["case"], r["frame"], index) for r in records for index in range(r["slices"])]
    frames, spacings = [], []
    for record in records:
        spacing = tuple(record["spacing"]) if record["spacing"] else None
        frame = preprocessing.frame(tuple(record["shape"]), spacing and (spacing[1], spacing[2]))
        frames += [frame] * record["slices"]
        spacings += [spacing] * record["slices"]
    return PreparedImages(samples, images, frames, spacings)


def prepare_masks(
    cases: Sequence[Case], classes: Sequence[str], preprocessing: Preprocessing, cache_dir: str | Path
) -> NDArray[np.uint8]:
    """Label masks of every slice, (N, h, w) uint8 on disk, in the order that `prepare_images` has.

    Raises:
        DataError: A case has no mask, a mask does not fit its image, or has a label outside the classes.
    """

    def blocks() -> Iterator[Block]:
        for case in watched(cases, "Preparing masks"):
            volume = case.read_image()
            frame, record = _place(case, volume, preprocessing)
            yield Block(resample_mask(case.read_mask(classes, volume), frame), record)

    files = [file for case in cases for file in (*files_of(case.image), *files_of(_mask(case)))]
    key = _key(cases, files, ["mask", list(classes), asdict(preprocessing)])
    masks, _ = _cached(Path(cache_dir) / f"{key}-masks.npy", blocks)
    return masks


def normalise(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intensities clipped to their 0.5 and 99.5 percentiles, then zero mean and unit standard deviation.

    Example:
        >>> normalise(np.array([1, 3], np.float32))
        array([-1.,  1.], dtype=float32)
    """
    low, high = np.percentile(image, (0.5, 99.5))
    clipped = np.clip(image, low, high) if low < high else image
    centred = clipped - clipped.mean()
    return np.asarray(centred / clipped.std(), np.float32)


class Block(NamedTuple):
    """The slices of one case, (D, h, w), and what the cache remembers of them."""

    slices: NDArray[Any]
    record: dict[str, Any]


def _place(case: Case, volume: Volume, preprocessing: Preprocessing) -> tuple[Frame, dict[str, Any]]:
    depth, height, width = volume.image.shape
    between, row, column = (float(step) for step in volume.spacing)
    spacing = (between, row, column) if case.spacing_known else None
    if preprocessing.spacing is not None and spacing is None:
        raise DataError(
            case.image, expected=f"a known spacing, to resample to {preprocessing.spacing} mm", found="none"
        )
    record = {"case": case.name, "frame": case.frame, "slices": depth}
    record |= {"shape": (height, width), "spacing": spacing}
    return preprocessing.frame((height, width), spacing and (row, column)), record


def _mask(case: Case) -> Path:
    if case.mask is None:
        raise DataError(case.image, expected="a mask beside it", found="none")
    return case.mask


def _key(cases: Sequence[Case], files: Sequence[Path], options: list[Any]) -> str:
    if not cases:
        raise ArgumentError("cases", expected="at least one case", found="none")
    names = [(case.name, case.frame) for case in cases]
    stamps = [_stamp(file) for file in files]
    return hashlib.sha256(json.dumps([CACHE_VERSION, names, stamps, options]).encode()).hexdigest()[:32]


def _stamp(file: Path) -> tuple[str, int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise DataError(file, expected="a readable file", found=error.strerror) from error
    return str(file.absolute()), status.st_size, status.st_mtime_ns


def _cached(path: Path, blocks: Callable[[], Iterator[Block]]) -> tuple[NDArray[Any], list[dict[str, Any]]]:
    found = _load(path)
    if found is None:
        _store(path, blocks())
        found = _load(path)
    if found is None:
        raise DataError(path, expected="the slices just written", found="a damaged file")
    return found


def _load(path: Path) -> tuple[NDArray[Any], list[dict[str, Any]]] | None:
    """The slices and their records, or None where there are none or the checksum disagrees."""
    try:
        index = json.loads(path.with_suffix(".json").read_text())
        slices = np.load(path, mmap_mode="r", allow_pickle=False)
        intact = _checksum(slices) == index["checksum"]
        records: list[dict[str, Any]] = index["records"]
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None
    return (slices, records) if intact else None


def _checksum(slices: NDArray[Any], start: int = 0) -> int:
    for block in slices:
        start = zlib.crc32(np.ascontiguousarray(block).data, start)
    return start


def _store(path: Path, blocks: Iterator[Block]) -> None:
    """Write the slices, then the index that makes them valid; both appear whole or not at all."""
    with whole_file(path) as part, part.open("wb") as file:
        checksum, records = _stream(file, blocks)
    with whole_file(path.with_suffix(".json")) as part:
        part.write_text(json.dumps({"checksum": checksum, "records": records}))


def _stream(file: BinaryIO, blocks: Iterator[Block]) -> tuple[int, list[dict[str, Any]]]:
    """Append one case at a time: the header is as long for any number of slices."""
    checksum, count = 0, 0
    records: list[dict[str, Any]] = []
    for slices, record in blocks:
        if not records:
            _write_header(file, slices, count)
        file.write(slices.tobytes())
        checksum, count = _checksum(slices, checksum), count + len(slices)
        records.append(record)
    file.seek(0)
    _write_header(file, slices, count)
    return checksum, records


def _write_header(file: BinaryIO, slices: NDArray[Any], count: int) -> None:
    header = {"descr": slices.dtype.str, "fortran_order": False, "shape": (count, *slices.shape[1:])}
    np.lib.format.write_array_header_1_0(file, header)
