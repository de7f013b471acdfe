"""Time and memory of contenders beside those of cross-entropy, on the same logits in the same process.

A contender takes logits and returns a scalar; one call of it is a forward and a backward pass. Each round
times cross-entropy and the contender one after the other, in alternating order, so that a busy machine slows
both alike; each timed call follows an untimed one of its own kind, so that neither pays for the memory that
the other has left behind.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

Contender = Callable[[Tensor], Tensor]
FEWEST, MOST = 3, 200
"""Rounds."""


class Ratio(NamedTuple):
    """Medians over the rounds; the ratio is that of a round's own two times."""

    ms: float
    cross_entropy_ms: float
    ratio: float
    quarter: float
    three_quarters: float
    rounds: int


def rings(batch: int, classes: int, space: Sequence[int]) -> Tensor:
    """Label masks ``(B, *S)`` with concentric rings, or shells, of every class."""
    radius = torch.zeros(())
    for size in space:
        radius = radius[..., None] + ((torch.arange(size) + 0.5) / size - 0.5) ** 2
    ring = (classes - radius.sqrt() * 3 * classes).floor().clamp(0, classes - 1).long()
    return ring.expand(batch, *space).contiguous()


def example(shape: Sequence[int], device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Random logits of a shape ``(B, K, *S)``, and rings."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(*shape, generator=random).to(device).requires_grad_()
    return logits, rings(shape[0], shape[1], shape[2:]).to(device)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def step(contender: Contender, logits: Tensor) -> None:
    """Forward and backward."""
    logits.grad = None
    contender(logits).backward()
    wait_for(logits)


def wait_for(tensor: Tensor) -> None:
    """Until a GPU has done what it was told."""
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)


def seconds(contender: Contender, logits: Tensor) -> float:
    """Of the second of two calls."""
    step(contender, logits)
    start = time.perf_counter()
    step(contender, logits)
    return time.perf_counter() - start


def beside_cross_entropy(contender: Contender, logits: Tensor, labels: Tensor, budget: float) -> Ratio:
    """Take turns with cross-entropy for so many seconds, but for no fewer than three rounds."""

    def cross_entropy(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels)

    pairs: list[tuple[float, float]] = []
    seconds(cross_entropy, logits), seconds(contender, logits)
    end = time.perf_counter() + budget
    while len(pairs) < FEWEST or (time.perf_counter() < end and len(pairs) < MOST):
        order = (contender, cross_entropy)[:: 1 if len(pairs) % 2 else -1]
        times = {each: seconds(each, logits) for each in order}
        pairs.append((times[contender], times[cross_entropy]))
    quarter, middle, three_quarters = statistics.quantiles((own / other for own, other in pairs), n=4)
    own, other = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
    return Ratio(own, other, middle, quarter, three_quarters, len(pairs))


def extra_memory(contender: Contender, logits: Tensor) -> int:
    """Bytes that one call allocates beyond the logits, at its peak, the gradient included.

    On the CPU PyTorch's own allocations count; what a library takes behind its back does not.
    """
    step(contender, logits)
    logits.grad = None
    if logits.is_cuda:
        before = torch.cuda.memory_allocated(logits.device)
        torch.cuda.reset_peak_memory_stats(logits.device)
        step(contender, logits)
        return torch.cuda.max_memory_allocated(logits.device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiled:
        step(contender, logits)
    events = profiled.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak


def launches(contender: Contender, logits: Tensor) -> int:
    """Kernels that one call launches on a GPU."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], acc_events=True) as profiled:
        step(contender, logits)
    return sum(event.count for event in profiled.key_averages() if "LaunchKernel" in event.key)


def hardware(device: str = "cpu") -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU threads at most, {platform.machine()}, torch {torch.__version__}"
