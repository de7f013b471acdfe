"""How time and memory grow with pixels, classes and the order of the moments: numbers, and curves to look at.

    python benchmarks/growth.py --out docs/images

One image; V, C, D, L is the loss with the log-barrier, from a table. Moments of higher order are raw moments
of the probabilities and their gradient, in plain PyTorch.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from torch.nn import functional as F

from shapewise.descriptors import describe_together, raw_moments
from shapewise.losses import ShapeConstraintLoss
from timing import Contender, example, extra_memory, hardware, seconds

NAMES = ("volume", "centroid", "spread", "length")
SIDES_2D = (64, 128, 256, 512, 1024, 2048)
SIDES_3D = (32, 64, 96, 128, 192)
CLASSES = (2, 4, 8, 16, 32, 64)
ORDERS = (1, 2, 3, 4, 5, 6, 7, 8)
REPEATS = 5
DOTS_PER_INCH = 80


class Point(NamedTuple):
    """One measurement: where on the horizontal axis, and what was found."""

    at: float
    ms: float
    mib: float


Curves = dict[str, list[Point]]


def losses(shape: Sequence[int]) -> dict[str, Contender]:
    _, labels = example(shape)
    values = describe_together(F.one_hot(labels, shape[1]).movedim(-1, 1).float(), NAMES, first=1)
    usual, moments = (ShapeConstraintLoss(names, softmax=True) for names in (NAMES, NAMES[:3]))
    return {
        "cross-entropy": lambda logits: F.cross_entropy(logits, labels),
        "V, C, D, L": lambda logits: usual(logits, values),
        "V, C, D": lambda logits: moments(logits, values),
    }


def orders(shape: Sequence[int], order: int) -> dict[str, Contender]:
    _, labels = example(shape)
    return {
        "cross-entropy": lambda logits: F.cross_entropy(logits, labels),
        "raw moments": lambda logits: raw_moments(logits.softmax(1), order).square().mean(),
    }


def measure(
    shapes: dict[float, Sequence[int]], running: Callable[..., dict[str, Contender]], **more
) -> Curves:
    """The medians of a few calls of each contender for every shape."""
    curves: Curves = {}
    for at, shape in shapes.items():
        logits, _ = example(shape)
        for name, contender in running(shape, **more).items():
            ms = 1e3 * statistics.median(seconds(contender, logits) for _ in range(REPEATS))
            point = Point(at, ms, extra_memory(contender, logits) / 2**20)
            curves.setdefault(name, []).append(point)
            print(
                f"{' x '.join(map(str, shape)):<24} {name:<16} {point.ms:>9.2f} ms {point.mib:>9.1f} MiB",
                flush=True,
            )
    return curves


def everything(
    sides_2d: Sequence[int], sides_3d: Sequence[int], classes: Sequence[int], side: int
) -> dict[str, Curves]:
    by_order: Curves = {}
    for order in ORDERS:
        for name, points in measure({order: (1, 4, side, side)}, orders, order=order).items():
            by_order.setdefault(name, []).extend(points)
    return {
        "pixels of an image, 4 classes": measure({n**2: (1, 4, n, n) for n in sides_2d}, losses),
        "voxels of a volume, 4 classes": measure({n**3: (1, 4, n, n, n) for n in sides_3d}, losses),
        f"classes of an image of {side} x {side}": measure({k: (1, k, side, side) for k in classes}, losses),
        f"order of the moments, 4 x {side} x {side}": by_order,
    }


def draw(panels: dict[str, Curves], what: str, label: str) -> Figure:
    """One panel an axis; where both scales are logarithmic, what is linear has slope one."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    for plot, (title, curves) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        by_order = title.startswith("order")
        for name, points in curves.items():
            x, y = [point.at for point in points], [getattr(point, what) for point in points]
            plot.plot(x, y, marker="o", markersize=3.5, label=name)
            if name == "cross-entropy" and not by_order:
                plot.plot(x, [y[-1] * each / x[-1] for each in x], ":", color="#999999", label="linear")
        plot.set(xlabel=title, ylabel=label)
        if by_order:
            plot.set_ylim(bottom=0)
        else:
            plot.set(xscale="log", yscale="log")
            plot.xaxis.set_minor_formatter(NullFormatter())
        plot.grid(color="#e4e4e4")
        plot.legend(fontsize=8, frameon=False)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES_2D, help="of images")
    parser.add_argument("--volumes", type=int, nargs="+", default=SIDES_3D, help="sides of volumes")
    parser.add_argument("--classes", type=int, nargs="+", default=CLASSES)
    parser.add_argument("--side", type=int, default=256, help="of the images for classes and orders")
    given = parser.parse_args(arguments)
    print(f"forward + backward, {hardware()}")
    panels = everything(given.sides, given.volumes, given.classes, given.side)
    given.out.mkdir(parents=True, exist_ok=True)
    for what, label in (("ms", "ms"), ("mib", "extra MiB at the peak")):
        name = {"ms": "time", "mib": "memory"}[what]
        draw(panels, what, label).savefig(given.out / f"growth_{name}.png", dpi=DOTS_PER_INCH)


if __name__ == "__main__":
    main()
