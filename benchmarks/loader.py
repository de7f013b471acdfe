"""Time the loader and the augmentation alone beside the step of ENet that waits for them; watch the memory.

    python benchmarks/loader.py --slices 2000 --size 256

Slices lie in a memory-mapped file, as a training's do, with the numbers of four descriptors. The table shows
how many images a second come out of each part by itself; then how much memory the process holds after each
of three epochs of the loader.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from shapewise.data.augmentation import Augmentation
from shapewise.data.slices import Slices, stack
from shapewise.networks.enet import ENet
from timing import hardware, rings, wait_for


def slices_on_disk(folder: Path, count: int, size: int) -> Slices:
    file = np.memmap(folder / "slices.bin", np.float32, "w+", shape=(count, size, size))
    random = np.random.default_rng(0)
    for index in range(count):
        file[index] = random.standard_normal((size, size), np.float32)
    file.flush()
    kept = np.memmap(folder / "slices.bin", np.float32, "r", shape=(count, size, size))
    targets = {name: torch.rand(count, 3, 2, 3) for name in ("volume", "centroid", "spread", "length")}
    return Slices(kept, targets=targets)


def images_a_second(work: Callable[[], Iterator[int]]) -> float:
    """Of the second of two goes: the first one warms up."""
    for _ in work():
        pass
    start, images = time.perf_counter(), 0
    for some in work():
        images += some
    return images / (time.perf_counter() - start)


def resident_megabytes() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) / 1024


def main(arguments_: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--device", default="cpu", help="of the augmentation and the network")
    arguments = parser.parse_args(arguments_)
    batch, size, device = arguments.batch, arguments.size, arguments.device
    torch.manual_seed(0)
    images, labels = torch.randn(batch, 1, size, size).to(device), rings(batch, 4, (size, size)).to(device)
    network = ENet(in_channels=1, classes=4).to(device)
    augmentation = Augmentation(blur=1.0, shift=0.1, scale=0.1, rotation=15.0)

    def steps() -> Iterator[int]:
        for _ in range(arguments.steps):
            F.cross_entropy(network(images), labels).backward()
            wait_for(images)
            yield batch

    def augmented() -> Iterator[int]:
        for _ in range(arguments.steps):
            augmentation.apply(images, augmentation.sample(images))
            wait_for(images)
            yield batch

    with tempfile.TemporaryDirectory() as folder:
        data = slices_on_disk(Path(folder), arguments.slices, size)

        def loaded(workers: int) -> Callable[[], Iterator[int]]:
            loader = DataLoader(data, batch, shuffle=True, num_workers=workers, collate_fn=stack)
            return lambda: (len(some["index"]) for some in loader)

        parts = {f"loader, {workers} workers": loaded(workers) for workers in (0, 1, 2)}
        parts |= {"augmentation": augmented, "ENet, forward and backward": steps}
        print(hardware(device))
        print(f"{f'{batch} x {size} x {size}':<34} images a second")
        for name, work in parts.items():
            print(f"{name:<34} {images_a_second(work):>12.0f}")
        for epoch in range(3):
            for _ in loaded(0)():
                pass
            print(f"memory after epoch {epoch + 1} of the loader  {resident_megabytes():>8.0f} MB")


if __name__ == "__main__":
    main()
