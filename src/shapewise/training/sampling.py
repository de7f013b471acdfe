"""The order in which an epoch visits the slices."""

from __future__ import annotations

from collections.abc import Iterator

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


def stream_seed(seed: int, epoch: int, stream: int = 0) -> int:
    """One seed for each epoch and purpose, far apart for neighbouring arguments.

    >>> stream_seed(0, 1) != stream_seed(1, 0)
    True
    """
    return (seed * 1_000_003 + epoch * 7919 + stream * 104_729) % (2**63)
