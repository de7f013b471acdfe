"""The order in which an epoch visits the slices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler


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


def stream_seed(*key: int) -> int:
    """Hash whole numbers, such as a seed, an epoch and a batch, to the seed of a stream of their own.

    >>> stream_seed(0, 1, 2) == stream_seed(0, 1, 2), stream_seed(0, 1, 2) == stream_seed(0, 2, 1)
    (True, False)
    """
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
