"""Time the projection's loss, forward and backward, with the kernel's search and with the plain one.

python benchmarks/projection.py --size 80 --batch 4 --rounds 6 12
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch.nn import functional as F

from shapewise.descriptors import describe_together
from shapewise.descriptors.kernel import without_kernel
from shapewise.losses import MomentProjectionLoss
from timing import rings

NAMES = ("volume", "centroid", "covariance")


def main(arguments_: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=80)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, nargs="+", default=[6, 12])
    parser.add_argument("--times", type=int, default=30)
    arguments = parser.parse_args(arguments_)
    torch.manual_seed(0)
    masks = F.one_hot(rings(arguments.batch, 4, (arguments.size,) * 2)).movedim(-1, 1).float()
    values, logits = (
        describe_together(masks[:, 1:], NAMES),
        (2 * masks + torch.randn_like(masks)).requires_grad_(),
    )
    print(f"{arguments.batch} x 4 x {arguments.size} x {arguments.size}, {torch.get_num_threads()} threads")
    for rounds in arguments.rounds:
        loss = MomentProjectionLoss(NAMES, iterations=rounds, softmax=True)
        for search, context in (("kernel", nullcontext), ("plain", without_kernel)):
            times = []
            with context():
                for _ in range(arguments.times + 2):
                    start = time.perf_counter()
                    loss(logits, values).backward()
                    times.append(time.perf_counter() - start)
            print(f"{rounds:>3} rounds, {search:<7} {1e3 * statistics.median(times[2:]):>8.1f} ms")


if __name__ == "__main__":
    main()
