"""Time and memory of the shape-constraint loss beside cross-entropy, forward and backward, with other losses.

    python benchmarks/bars.py
    python benchmarks/bars.py --shape 8 4 256 256 --threads 2 --seconds 5 --only "V, C, D"
    python benchmarks/bars.py --device cuda --json bars.json

All start from logits, so each includes the softmax. V, C, D and L are volume, centroid, spread and length;
they have the log-barrier, and their numbers come from a table unless a line says otherwise. timing.py says
how time and memory are measured. scikit-image's moments are values alone: they have no gradient.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from monai.losses import DiceCELoss, DiceLoss, HausdorffDTLoss
from skimage.measure import moments_central
from torch import Tensor
from torch.nn import functional as F

from shapewise.constraints import Bounds
from shapewise.descriptors import describe_together
from shapewise.descriptors.kernel import kernel, without_kernel
from shapewise.losses import ShapeConstraintLoss
from timing import Contender, beside_cross_entropy, example, extra_memory, hardware, launches, threads

SHAPES = [(8, 4, 256, 256), (2, 4, 32, 192, 192), (8, 32, 256, 256)]
NAMES = ("volume", "centroid", "spread", "length", "covariance")


def contenders(labels: Tensor, classes: int) -> dict[str, Contender]:
    """Each takes logits and returns a scalar."""
    values = describe_together(F.one_hot(labels, classes).movedim(-1, 1).float(), NAMES, first=1)
    bounds = {name: Bounds.around(value) for name, value in values.items()}
    moments, usual, everything = (ShapeConstraintLoss(NAMES[:n], softmax=True) for n in (3, 4, 5))

    def plain(loss: ShapeConstraintLoss) -> Contender:
        def run(logits: Tensor) -> Tensor:
            with without_kernel():
                return loss(logits, values)

        return run

    # What it takes into its graphs is the kernel: without a compiler there is neither, on a CPU.
    traced = {
        f"{letters}, torch.compile": partial(torch.compile(loss), target=values)
        for letters, loss in (("V, C, D", moments), ("V, C, D, L", usual))
        if kernel() or labels.is_cuda
    }
    return {
        "V, C, D": lambda logits: moments(logits, values),
        "V, C, D, L": lambda logits: usual(logits, values),
        "V, C, D, L, covariance": lambda logits: everything(logits, values),
        "V, C, D, L, from bounds": lambda logits: usual(logits, bounds),
        "V, C, D, L, from a label mask": lambda logits: usual(logits, labels),
        **traced,
        "V, C, D, without the kernel": plain(moments),
        "V, C, D, L, without the kernel": plain(usual),
        **others(labels.unsqueeze(1)),
    }


def others(labels: Tensor) -> dict[str, Contender]:
    """MONAI's losses on label masks ``(B, 1, *S)``, and scikit-image."""
    options = {"softmax": True, "to_onehot_y": True}
    dice, both, hausdorff = DiceLoss(**options), DiceCELoss(**options), HausdorffDTLoss(**options)
    return {
        "MONAI DiceLoss": lambda logits: dice(logits, labels),
        "MONAI DiceCELoss": lambda logits: both(logits, labels),
        "MONAI HausdorffDTLoss": lambda logits: hausdorff(logits, labels),
        "scikit-image moments_central": skimage_moments,
    }


def skimage_moments(logits: Tensor) -> Tensor:
    """Order 2, of every class but the background; no gradient comes of it, so none is asked for."""
    probs = logits.detach().softmax(1)[:, 1:].flatten(0, 1).cpu().numpy()
    total = sum(float(moments_central(each, order=2).sum()) for each in probs)
    return torch.tensor(total, requires_grad=True)


def table(
    shape: Sequence[int], number: int, device: str, budget: float, only: Sequence[str] | None
) -> list[dict]:
    """Print and return the lines of one shape."""
    logits, labels = example(shape, device)
    base = extra_memory(lambda logits: F.cross_entropy(logits, labels), logits)
    print(f"\n{' x '.join(map(str, shape))}, {number} thread(s); cross-entropy takes {base / 2**20:.0f} MiB")
    print(
        f"{'':<32} {'ms':>8} {'x cross-entropy':>16} {'middle half':>16} {'rounds':>7} {'x its memory':>13}"
    )
    found = []
    torch.compiler.reset()  # it compiles only so often in one process
    with threads(number):
        for name, contender in contenders(labels, shape[1]).items():
            if only and name not in only:
                continue
            time = beside_cross_entropy(contender, logits, labels, budget)
            memory = extra_memory(contender, logits) / base
            between = f"{time.quarter:.2f} to {time.three_quarters:.2f}"
            launched = f"{launches(contender, logits):>6} launches" if logits.is_cuda else ""
            print(
                f"{name:<32} {time.ms:>8.2f} {time.ratio:>16.2f} {between:>16} {time.rounds:>7}"
                f" {memory:>13.2f}{launched}   (cross-entropy {time.cross_entropy_ms:.2f} ms)",
                flush=True,
            )
            found.append(
                {"shape": shape, "threads": number, "name": name, "memory": memory, **time._asdict()}
            )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs="+", action="append", metavar=("B K", "SIZE"))
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()}))
    parser.add_argument("--seconds", type=float, default=4.0, help="for each line")
    parser.add_argument("--only", nargs="+", metavar="LINE", help="the lines to measure")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write every figure here as well")
    given = parser.parse_args(arguments)
    print(f"forward + backward, {hardware(given.device)}, kernel: {kernel()}")
    results = []
    for shape in given.shape or SHAPES:
        for number in given.threads if given.device == "cpu" else given.threads[:1]:
            results += table(shape, number, given.device, given.seconds, given.only)
    if given.json:
        given.json.write_text(
            json.dumps({"hardware": hardware(given.device), "results": results}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
