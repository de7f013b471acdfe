"""Sharing out patients, so that no patient is both learned from and tested on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

import pandas as pd

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


def read_split_table(path: Path) -> pd.DataFrame:
    """Read which patient is in which split: a CSV with the columns patient and split, as runs write it.

    Raises:
        DataError: the file is missing or no such table, or names a patient twice.
    """
    expected = "a table of patients and splits"
    try:
        written = pd.read_csv(path, dtype=str, keep_default_na=False, compression=None)
    except OSError as error:
        raise DataError(path, expected=expected, found=error.strerror or error) from None
    except ValueError as error:
        raise DataError(path, expected=expected, found=error) from None
    if not {"patient", "split"} <= set(written.columns):
        raise DataError(path, expected="columns patient and split", found=list(written.columns))
    if (twice := written["patient"].duplicated()).any():
        name = written.loc[twice, "patient"].iloc[0]
        raise DataError(path, expected="every patient once", found=f"{name} twice")
    return written


def read_chosen_split(path: Path, patients: Iterable[str]) -> dict[str, list[str]]:
    r"""Read a split that somebody has chosen; whoever it does not name stays out.

    Args:
        path: a CSV as `read_split_table` reads it, with the splits train, validation and test.
        patients: who there is.

    Returns:
        Split name to its patients, sorted by name.

    Raises:
        DataError: as `read_split_table`; another split is in it, one is empty, or a patient is not there.

    >>> path = Path(getfixture("tmp_path")) / "split.csv"
    >>> _ = path.write_text("patient,split\nb,train\na,train\nc,validation\nd,test\n")
    >>> read_chosen_split(path, ["a", "b", "c", "d", "e"])
    {'train': ['a', 'b'], 'validation': ['c'], 'test': ['d']}
    """
    written = read_split_table(path)
    for patient, name in zip(written["patient"], written["split"], strict=True):
        if name not in SPLITS:
            raise DataError(
                path, expected=f"splits among {', '.join(SPLITS)}", found=f"{name!r} of {patient}"
            )
    if absent := sorted(set(written["patient"]) - set(patients)):
        raise DataError(path, expected="patients of the data folder", found=repr(absent[0]))
    split = {name: sorted(written.loc[written["split"] == name, "patient"]) for name in SPLITS}
    if empty := [name for name, chosen in split.items() if not chosen]:
        raise DataError(path, expected=f"a patient of the split {empty[0]}", found="none")
    return split


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
