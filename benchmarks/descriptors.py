"""Time the shape-constraint loss, forward and backward, against cross-entropy on the same logits.

    python benchmarks/descriptors.py
    python benchmarks/descriptors.py --shape 2 4 32 192 192 --threads 2 --seconds 60
    python benchmarks/descriptors.py --device cuda --json times.json

Every round times cross-entropy and a contender one after the other, in alternating order, so that a busy
machine slows both alike; each timed call follows an untimed one of its own kind, so that neither pays for the
memory that the other has left behind. The table shows the median over the rounds of the contender's time and
of the ratio of each pair, and between which ratios the middle half of the pairs lies. Contenders start from
logits, so each includes the softmax and its gradient.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from shapewise.constraints import Bounds
from shapewise.descriptors import describe_together, length
from shapewise.losses import ShapeConstraintLoss

SHAPES = [(8, 4, 256, 256), (8, 4, 128, 128), (4, 4, 80, 80)]
NAMES = ("volume", "centroid", "spread", "length")
WARM_UP = 3
Contender = Callable[[Tensor], Tensor]


def rings(batch: int, classes: int, space: Sequence[int]) -> Tensor:
    """Label masks ``(B, *S)`` with concentric rings, or shells, of every class."""
    radius = torch.zeros(())
    for size in space:
        radius = radius[..., None] + ((torch.arange(size) + 0.5) / size - 0.5) ** 2
    ring = (classes - radius.sqrt() * 3 * classes).floor().clamp(0, classes - 1).long()
    return ring.expand(batch, *space).contiguous()


def contenders(labels: Tensor, classes: int) -> dict[str, Contender]:
    """Each takes logits and returns a scalar."""
    with_length, without = (ShapeConstraintLoss(names, softmax=True) for names in (NAMES, NAMES[:-1]))
    values = describe_together(F.one_hot(labels, classes).movedim(-1, 1).float()[:, 1:], NAMES)
    bounds = {name: Bounds.around(value) for name, value in values.items()}
    return {
        "length": lambda logits: length(logits.softmax(1)[:, 1:]).sum(),
        "V, C, D, L": lambda logits: total(describe_together(logits.softmax(1)[:, 1:], NAMES)),
        "V, C, D, barrier, values": lambda logits: without(logits, values),
        "V, C, D, L, barrier, values": lambda logits: with_length(logits, values),
        "V, C, D, L, barrier, bounds": lambda logits: with_length(logits, bounds),
        "V, C, D, L, barrier, mask": lambda logits: with_length(logits, labels),
    }


def total(values: dict[str, Tensor]) -> Tensor:
    return torch.cat([value.flatten() for value in values.values()]).sum()


def synchronise(logits: Tensor) -> None:
    if logits.is_cuda:
        torch.cuda.synchronize(logits.device)


def seconds(contender: Contender, logits: Tensor) -> float:
    """Of the second of two calls."""
    step(contender, logits)
    start = time.perf_counter()
    step(contender, logits)
    return time.perf_counter() - start


def step(contender: Contender, logits: Tensor) -> None:
    """Forward and backward."""
    logits.grad = None
    contender(logits).backward()
    synchronise(logits)


def paired(running: dict[str, Contender], logits: Tensor, labels: Tensor, budget: float) -> dict[str, Any]:
    """Contender -> its times and, pair by pair, those of cross-entropy."""

    def cross_entropy(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels)

    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
    for _ in range(WARM_UP):
        for contender in running.values():
            seconds(cross_entropy, logits), seconds(contender, logits)
    end, round_ = time.perf_counter() + budget, 0
    while round_ < 5 or time.perf_counter() < end:
        for name, contender in running.items():
            order = (contender, cross_entropy)[:: 1 if round_ % 2 else -1]
            times = {each: seconds(each, logits) for each in order}
            pairs[name].append((times[contender], times[cross_entropy]))
        round_ += 1
    return {name: summary(each) for name, each in pairs.items()}


def summary(pairs: list[tuple[float, float]]) -> dict[str, float]:
    quarter, ratio, three_quarters = statistics.quantiles((own / other for own, other in pairs), n=4)
    own, other = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
    return {
        "ms": own,
        "cross_entropy_ms": other,
        "ratio": ratio,
        "ratio_quarter": quarter,
        "ratio_three_quarters": three_quarters,
        "rounds": len(pairs),
    }


def on_device(contender: Contender, logits: Tensor) -> dict[str, float]:
    """Kernels launched, and the largest memory beyond the logits, by one forward and backward on a GPU."""
    if not logits.is_cuda:
        return {}
    logits.grad = None
    before = torch.cuda.memory_allocated(logits.device)
    torch.cuda.reset_peak_memory_stats(logits.device)
    step(contender, logits)
    extra = torch.cuda.max_memory_allocated(logits.device) - before
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        step(contender, logits)
    launches = sum(event.count for event in profile.key_averages() if "LaunchKernel" in event.key)
    return {"launches": launches, "extra_mib": extra / 2**20}


def measure(shape: Sequence[int], threads: int, device: str, budget: float) -> dict[str, Any]:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    batch, classes, *space = shape
    logits = torch.randn(*shape, device=device, requires_grad=True)
    labels = rings(batch, classes, space).to(device)
    running = contenders(labels, classes)
    times = paired(running, logits, labels, budget)
    found = {name: times[name] | on_device(contender, logits) for name, contender in running.items()}
    base = on_device(lambda logits: F.cross_entropy(logits, labels), logits)
    return {"shape": list(shape), "threads": threads, "cross_entropy": base, "contenders": found}


def table(result: dict[str, Any]) -> str:
    """The medians of one shape; on a GPU with launches and memory."""
    on_gpu = bool(result["cross_entropy"])
    title = f"{' x '.join(map(str, result['shape']))}, {result['threads']} thread(s)"
    head = f"{title:<32} {'ms':>8} {'x cross-entropy':>16} {'middle half':>14}"
    rows = [head + f" {'launches':>9} {'extra MiB':>10}" * on_gpu]
    base = statistics.median(each["cross_entropy_ms"] for each in result["contenders"].values())
    lines = {"cross-entropy": {"ms": base, "ratio": 1.0} | result["cross_entropy"]} | result["contenders"]
    for name, each in lines.items():
        between = f"{each.get('ratio_quarter', 1):.2f} to {each.get('ratio_three_quarters', 1):.2f}"
        row = f"{name:<32} {each['ms']:>8.2f} {each['ratio']:>16.2f} {between:>14}"
        rows.append(row + (f" {each['launches']:>9} {each['extra_mib']:>10.1f}" if on_gpu else ""))
    return "\n".join(rows)


def hardware(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU cores, {platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs="+", action="append", metavar=("B K", "SIZE"))
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--seconds", type=float, default=15.0, help="for each shape and number of threads")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write every figure here as well")
    arguments = parser.parse_args()
    environment = {"torch": torch.__version__, "hardware": hardware(arguments.device)}
    print(f"forward + backward, torch {environment['torch']}, {environment['hardware']}")
    results = []
    for shape in arguments.shape or SHAPES:
        for threads in arguments.threads if arguments.device == "cpu" else (1,):
            results.append(measure(shape, threads, arguments.device, arguments.seconds))
            print(f"\n{table(results[-1])}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(environment | {"results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
