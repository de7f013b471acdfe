"""Time a training step of ENet with cross-entropy, with the barrier and with moment projection.

    python benchmarks/enet_step.py --size 128 --rounds 15

Every round takes one step, forward and backward, with each loss in turn. The table shows the medians, and by
how much of cross-entropy's step the others' are longer, as the median of the rounds' own ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from shapewise.descriptors import describe_together
from shapewise.losses import MomentProjectionLoss, ShapeConstraintLoss
from shapewise.networks.enet import ENet
from timing import hardware, rings, wait_for

NAMES = ("volume", "centroid", "spread", "length", "covariance")


def losses(labels: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    """Each takes logits; those of shapes know the numbers of a table."""
    values = describe_together(F.one_hot(labels, 4).movedim(-1, 1).float(), NAMES, first=1)
    barrier = ShapeConstraintLoss(NAMES[:4], softmax=True)
    projection = MomentProjectionLoss(iterations=6, softmax=True)  # a training's rounds, all of them used
    return {
        "cross-entropy": lambda logits: F.cross_entropy(logits, labels),
        "V, C, D, L, barrier": lambda logits: barrier(logits, values),
        "V, C, covariance, projection": lambda logits: projection(logits, values),
    }


def main(arguments_: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args(arguments_)
    torch.manual_seed(0)
    network = ENet(in_channels=1, classes=4).to(arguments.device)
    images = torch.randn(arguments.batch, 1, arguments.size, arguments.size).to(arguments.device)
    running = losses(rings(arguments.batch, 4, (arguments.size, arguments.size)).to(arguments.device))
    times: dict[str, list[float]] = {name: [] for name in running}
    for round_ in range(arguments.rounds + 2):
        for name, loss in running.items():
            start = time.perf_counter()
            loss(network(images)).backward()
            wait_for(images)
            if round_ >= 2:  # the first ones warm up
                times[name].append(time.perf_counter() - start)
    print(hardware(arguments.device))
    title = f"ENet, {arguments.batch} x {arguments.size} x {arguments.size}"
    print(f"{title:<34} {'ms':>8} {'longer by':>10}")
    for name, each in times.items():
        ratio = statistics.median(own / base for own, base in zip(each, times["cross-entropy"], strict=True))
        print(f"{name:<34} {1e3 * statistics.median(each):>8.1f} {ratio - 1:>10.1%}")


if __name__ == "__main__":
    main()
