"""Time descriptors and log-barrier, forward and backward, against cross-entropy on the same logits.

    python benchmarks/descriptors.py --threads 1 --repeats 50

Every round times each contender once, in turn, so that a busy machine slows all of them alike; the table
shows medians over the rounds and their ratio to cross-entropy's. Contenders start from logits, so each
includes the softmax and its gradient.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from shapewise.descriptors import centroid, describe_together, length, spread, volume
from shapewise.losses import ShapeConstraintLoss

NAMES = ("volume", "centroid", "spread", "length")
Contender = Callable[[Tensor], Tensor]


def discs(batch: int, classes: int, size: int) -> Tensor:
    """Label masks ``(B, H, W)`` with concentric rings of every class."""
    row = torch.arange(size) - size / 2
    radius = (row[:, None] ** 2 + row**2).sqrt()
    ring = (classes - radius // (size / (3 * classes))).clamp(0, classes - 1).long()
    return ring.expand(batch, -1, -1).contiguous()


def contenders(labels: Tensor, classes: int) -> dict[str, Contender]:
    """Each takes logits and returns a scalar; the loss starts from a table's values, as in training."""
    barrier = ShapeConstraintLoss(NAMES, penalty="log_barrier", softmax=True)
    annotated = describe_together(F.one_hot(labels, classes).movedim(-1, 1).float()[:, 1:], NAMES)

    def described(function: Callable[..., Tensor], **options: object) -> Contender:
        return lambda logits: function(logits.softmax(1)[:, 1:], **options).sum()

    return {
        "cross-entropy": lambda logits: F.cross_entropy(logits, labels),
        "volume": described(volume),
        "centroid": described(centroid),
        "spread": described(spread),
        "length, 4 neighbours": described(length, connectivity=4),
        "length, 8 neighbours": described(length),
        "V, C, D, L one by one": lambda logits: one_by_one(logits.softmax(1)[:, 1:]),
        "V, C, D, L together": lambda logits: together(logits.softmax(1)[:, 1:]),
        "V, C, D, L + log-barrier": lambda logits: barrier(logits, annotated),
    }


def one_by_one(probs: Tensor) -> Tensor:
    return torch.stack([f(probs).sum() for f in (volume, centroid, spread, length)]).sum()


def together(probs: Tensor) -> Tensor:
    return torch.stack([values.sum() for values in describe_together(probs, NAMES).values()]).sum()


def seconds(contender: Contender, logits: Tensor) -> float:
    logits.grad = None
    start = time.perf_counter()
    contender(logits).backward()
    if logits.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def table(times: dict[str, list[float]]) -> str:
    base = statistics.median(times["cross-entropy"])
    rows = [f"{'forward + backward':<26} {'median ms':>10} {'fastest ms':>11} {'x cross-entropy':>16}"]
    for name, each in times.items():
        middle = statistics.median(each)
        rows.append(f"{name:<26} {1e3 * middle:>10.2f} {1e3 * min(each):>11.2f} {middle / base:>16.2f}")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(8, 4, 256), metavar=("B", "K", "SIZE"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    batch, classes, size = arguments.shape
    logits = torch.randn(batch, classes, size, size, device=arguments.device, requires_grad=True)
    running = contenders(discs(batch, classes, size).to(arguments.device), classes)
    times: dict[str, list[float]] = {name: [] for name in running}
    for round_ in range(arguments.repeats + 3):
        for name, contender in running.items():
            took = seconds(contender, logits)
            if round_ >= 3:  # the first rounds warm up
                times[name].append(took)
    print(f"{batch} x {classes} x {size} x {size}, {arguments.threads} threads, {arguments.repeats} rounds")
    print(table(times))


if __name__ == "__main__":
    main()
