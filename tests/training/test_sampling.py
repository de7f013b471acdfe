from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric.utilities.data import _set_sampler_epoch
from lightning_fabric.utilities.distributed import DistributedSamplerWrapper
from torch.utils.data import DataLoader

from shapewise.data.slices import Slices
from shapewise.training import CaseBatches, EpochShuffle
from shapewise.training.sampling import stream_seed


@given(length=st.integers(1, 50), seed=st.integers(0, 5), epoch=st.integers(0, 300))
def test_every_slice_comes_once_an_epoch(length: int, seed: int, epoch: int) -> None:
    order = EpochShuffle(length, seed=seed)
    order.set_epoch(epoch)
    assert sorted(order) == list(range(length))
    assert len(order) == length


def test_epochs_and_seeds_differ_and_repeat() -> None:
    def visit(seed: int, epoch: int) -> tuple[int, ...]:
        order = EpochShuffle(40, seed=seed)
        order.set_epoch(epoch)
        return tuple(order)

    orders = {visit(seed, epoch) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert visit(2, 1) == visit(2, 1)


def test_streams_do_not_collide_in_a_long_run() -> None:
    seeds = {stream_seed(s, e, k) for s in range(3) for e in range(100) for k in range(20)}
    assert len(seeds) == 3 * 100 * 20


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=9), seed=st.integers(0, 5))
def test_every_case_comes_once_an_epoch_with_its_slices_in_order(sizes: list[int], seed: int) -> None:
    numbers = np.repeat(np.arange(len(sizes)), sizes).tolist()
    batches = CaseBatches(numbers, seed=seed)
    found = list(batches)
    assert len(found) == len(batches) == len(sizes)
    parts = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    assert sorted(found) == [part.tolist() for part in parts]


def test_cases_are_shuffled_as_slices_are() -> None:
    batches, order = CaseBatches(range(30), seed=4), EpochShuffle(30, seed=4)
    seen = set()
    for epoch in (0, 1, 7):
        batches.set_epoch(epoch)
        order.set_epoch(epoch)
        assert list(batches) == [[case] for case in order]
        assert list(batches) == list(batches)
        seen.add(str(list(batches)))
    assert len(seen) == 3


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_hands_out_whole_cases(workers: int) -> None:
    images = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((6, 2, 2), np.float32)
    slices = Slices(images, targets={"volume": torch.arange(6.0).reshape(6, 1, 1, 1)}, indices=[5, 1, 2, 4])
    batches = CaseBatches([0, 1, 1, 2], seed=0)
    loader = DataLoader(slices, sampler=batches, batch_size=None, num_workers=workers)
    _set_sampler_epoch(loader, 3)
    assert batches.order.epoch == 3
    found = {tuple(batch["index"].tolist()): batch for batch in loader}
    assert found.keys() == {(5,), (1, 2), (4,)}
    assert found[1, 2]["image"].shape == (2, 1, 2, 2)
    assert found[1, 2]["targets"]["volume"].flatten().tolist() == [1, 2]


def test_processes_share_the_cases_of_an_epoch() -> None:
    everybody = []
    for rank in range(2):
        shared = DistributedSamplerWrapper(CaseBatches([0, 0, 1, 1, 2, 3], seed=0), 2, rank, shuffle=False)
        shared.set_epoch(5)
        everybody += list(shared)
    alone = CaseBatches([0, 0, 1, 1, 2, 3], seed=0)
    alone.set_epoch(5)
    assert sorted(everybody) == sorted(alone)
    assert [everybody[i] for i in (0, 2, 1, 3)] == list(alone)
