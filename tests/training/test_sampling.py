from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shapewise.training import EpochShuffle
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
