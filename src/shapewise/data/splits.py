"""Sharing out patients, so that no patient is both learned from and tested on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import accumulate

from shapewise.errors import ArgumentError, DataError

SPLITS = ("train", "validation", "test")
NEW = "new"
"""Where patients are that no split has."""


def split_patients(
    patients: Iterable[str], *, counts: Sequence[int] = (70, 10, 20), seed: int
) -> dict[str, list[str]]:
    """Share out the patients at random into train, validation and test.

    Each patient's place in line is a hash of the seed and the name: the split does not change with the order
    of the files, the machine or a library's version.

    Args:
        patients: names; a repeated name counts once, so that all frames of a patient stay together.
        counts: how many patients each split gets. Where there are fewer patients than their sum, the splits
            keep these proportions: each gets at least one, rounded by largest remainder. Where there are
            more, the rest stay out.
        seed: another seed is another split.

    Returns:
        Split name to its patients, sorted by name.

    Raises:
        ArgumentError: `counts` are not three positive whole numbers.
        DataError: there are fewer patients than splits.

    >>> split_patients(["a", "b", "c", "d", "e"], counts=(7, 1, 2), seed=0)
    {'train': ['a', 'c', 'd'], 'validation': ['b'], 'test': ['e']}
    """
    _check_counts(counts)
    line = sorted(set(patients), key=lambda name: (sha256(f"{seed}:{name}".encode()).digest(), name))
    if len(line) < len(SPLITS):
        expected = f"at least {len(SPLITS)} patients, one each for {', '.join(SPLITS)}"
        raise DataError("split", expected=expected, found=len(line))
    sizes = _proportions(counts, len(line)) if len(line) < sum(counts) else counts
    ends = list(accumulate(sizes, initial=0))
    return {name: sorted(line[start:end]) for name, start, end in zip(SPLITS, ends, ends[1:], strict=False)}


def _proportions(counts: Sequence[int], total: int) -> list[int]:
    """Round ``counts * total / sum(counts)`` by largest remainder; exact integers throughout.

    >>> _proportions((70, 10, 20), 80), _proportions((70, 10, 20), 4)
    ([56, 8, 16], [2, 1, 1])
    """
    whole = sum(counts)
    sizes = [count * total // whole for count in counts]
    by_remainder = sorted(range(len(counts)), key=lambda index: (-(counts[index] * total % whole), index))
    for index in by_remainder[: total - sum(sizes)]:
        sizes[index] += 1
    for index, size in enumerate(sizes):
        if size == 0:
            sizes[sizes.index(max(sizes))] -= 1
            sizes[index] = 1
    return sizes


def _check_counts(counts: Sequence[int]) -> None:
    if len(counts) != len(SPLITS) or min(counts) < 1:
        raise ArgumentError("counts", expected="three positive whole numbers", found=counts)
