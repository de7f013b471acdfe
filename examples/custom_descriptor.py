"""Add a descriptor with one decorated function and constrain it by name.

    python examples/custom_descriptor.py

A blob of unknown shape is asked to have the area, the place and the roundness of a disc, nothing else.
"""

from __future__ import annotations

import math

import torch

from shapewise.descriptors import get, length, register, volume
from shapewise.losses import ShapeConstraintLoss


@register("roundness", scale="one")
def roundness(probs, *, spacing=None):
    """Isoperimetric ratio 4π V / L² in 2-D: 1 for a disc, less for anything else, 0 for an absent class."""
    boundary = length(probs, spacing=spacing)
    return 4 * math.pi * volume(probs, spacing=spacing) / boundary.square().clamp(min=1)


def disc(radius: float, size: int) -> torch.Tensor:
    axis = torch.arange(size) - (size - 1) / 2
    return (axis[:, None] ** 2 + axis**2 <= radius**2).long()


def main() -> None:
    torch.manual_seed(0)
    target = disc(radius=10, size=32)[None]
    logits = (4 * torch.randn(1, 2, 32, 32)).requires_grad_()
    loss = ShapeConstraintLoss(["volume", "centroid", "spread", "roundness"], softmax=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for step in range(301):
        found = loss.report(logits, target)
        if step % 100 == 0:
            value = get("roundness").function(logits.softmax(1))[0, 1].item()
            held = ", ".join(f"{name} {share:.0%}" for name, share in found.satisfied.items())
            print(f"step {step:3d}  loss {found.total:7.3f}  roundness {value:.2f}  satisfied: {held}")
        optimizer.zero_grad()
        found.total.backward()
        optimizer.step()


if __name__ == "__main__":
    main()
