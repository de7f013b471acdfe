"""The order in which an epoch visits the slices, one by one or case by case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler


class EpochShuffle(Sampler[int]):
    """A permutation that only the seed and the epoch decide, so that a resumed run sees the same batches.

    The trainer calls `set_epoch` before each epoch.

    >>> order = EpochShuffle(5, seed=0)
    >>> order.set_epoch(3)
    >>> list(order) == list(order)
    True
    """

    def __init__(self, length: int, *, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation of `epoch`."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(stream_seed(self.seed, self.epoch))
        return iter(torch.randperm(self.length, generator=generator).tolist())


class CaseBatches(Sampler[list[int]]):
    """All slices of a case at a time, in order; the cases are shuffled anew each epoch as by `EpochShuffle`.

    Give it to a data loader as ``sampler=`` with ``batch_size=None``, over a data set that takes lists, such
    as `Slices`: Lightning then hands each process cases of its own, as it does slices. As ``batch_sampler=``
    it works in one process, and nobody calls `set_epoch`.

    Args:
        cases: the number of the case that each slice of the data set belongs to.
        seed: as in `EpochShuffle`; None leaves the cases in their order.

    >>> batches = CaseBatches([0, 0, 0, 1, 1, 7], seed=0)
    >>> sorted(batches), len(batches)
    ([[0, 1, 2], [3, 4], [5]], 3)
    """

    def __init__(self, cases: Sequence[int], *, seed: int | None) -> None:
        slices: dict[int, list[int]] = {}
        for index, case in enumerate(cases):
            slices.setdefault(case, []).append(index)
        self.slices = list(slices.values())
        self.order = None if seed is None else EpochShuffle(len(self.slices), seed=seed)

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation of `epoch`."""
        if self.order is not None:
            self.order.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[list[int]]:
        return (list(self.slices[case]) for case in self.order or range(len(self.slices)))


class LateLoader(DataLoader[Any]):
    """A data loader that begins to read when the first batch is asked for.

    The trainer of a resumed run makes its iterator before it says which epoch it is; workers would read
    ahead in the order of the first one.
    """

    def __iter__(self) -> Any:
        yield from super().__iter__()


def stream_seed(*key: int) -> int:
    """Hash whole numbers, such as a seed, an epoch and a batch, to the seed of a stream of their own.

    >>> stream_seed(0, 1, 2) == stream_seed(0, 1, 2), stream_seed(0, 1, 2) == stream_seed(0, 2, 1)
    (True, False)
    """
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
