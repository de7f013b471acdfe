"""Time a network's own training step in other precisions and layouts, and through torch.compile.

    python benchmarks/network_step.py --network enet --size 128 --rounds 9
    python benchmarks/network_step.py --network residual_unet --ways float32 bfloat16 "compiled, layout kept"

Every round takes one step, forward and backward with cross-entropy, in each way in turn. The table has the
medians, that of the rounds' own ratios, and what the first step took: a compiler's work is in it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as F

from shapewise.networks.registry import build_network
from timing import hardware, rings, wait_for


def as_it_is(network: nn.Module, images: Tensor) -> Tensor:
    return network(images)


def in_bfloat16(network: nn.Module, images: Tensor) -> Tensor:
    with torch.autocast(images.device.type, torch.bfloat16):
        return network(images)


LAST = torch.channels_last
WAYS: dict[str, tuple[Callable[[nn.Module], nn.Module], Callable[[nn.Module, Tensor], Tensor]]] = {
    "float32": (lambda network: network, as_it_is),
    "bfloat16": (lambda network: network, in_bfloat16),
    "channels last": (lambda network: network.to(memory_format=LAST), as_it_is),
    "compiled": (torch.compile, as_it_is),
    "compiled, layout kept": (lambda n: torch.compile(n, options={"layout_optimization": False}), as_it_is),
    "compiled, bfloat16": (torch.compile, in_bfloat16),
}


def main(arguments_: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="enet")
    parser.add_argument(
        "--options", type=yaml.safe_load, default={}, help="of the network, as in an experiment"
    )
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY")
    arguments = parser.parse_args(arguments_)
    batch, size, device = arguments.batch, arguments.size, arguments.device
    torch.set_flush_denormal(True)  # as a training does
    torch.manual_seed(0)
    images, labels = torch.randn(batch, 1, size, size).to(device), rings(batch, 4, (size, size)).to(device)

    def network() -> nn.Module:
        return build_network(arguments.network, in_channels=1, classes=4, options=arguments.options).to(
            device
        )

    running = {name: (WAYS[name][0](network()), WAYS[name][1]) for name in ("float32", *arguments.ways)}

    def step(name: str) -> float:
        network, predict = running[name]
        network.zero_grad()
        start = time.perf_counter()
        shaped = images.contiguous(memory_format=LAST) if name == "channels last" else images
        F.cross_entropy(predict(network, shaped).float(), labels).backward()
        wait_for(images)
        return time.perf_counter() - start

    first = {name: step(name) for name in running}
    rounds = [{name: step(name) for name in running} for _ in range(arguments.rounds)]
    print(hardware(device))
    title = f"{arguments.network}, {batch} x {size} x {size}"
    print(f"{title:<42} {'ms':>8} {'x float32':>10} {'first step, s':>14}")
    for name in running:
        own = statistics.median(each[name] for each in rounds)
        ratio = statistics.median(each[name] / each["float32"] for each in rounds)
        print(f"{name:<42} {1e3 * own:>8.1f} {ratio:>10.2f} {first[name]:>14.1f}")


if __name__ == "__main__":
    main()
