"""Train a network from four numbers an object, in a plain PyTorch loop: three lines of it are shapewise.

    python examples/three_lines.py

The images are bright ellipses on stripes and noise. The network never sees a mask: the table holds
each ellipse's volume, centroid, spread and length, as someone might have measured them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from shapewise.losses import ShapeConstraintLoss  # 1

SIZE = 48


def ellipses(count: int) -> tuple[Tensor, list[dict[str, list[float]]], Tensor]:
    """Images, a table of one row an image, and masks, which only the test at the end looks at."""
    axis = torch.arange(SIZE, dtype=torch.float32)
    centre, half = 14 + 20 * torch.rand(count, 2, 1, 1), 5 + 5 * torch.rand(count, 2, 1, 1)
    row = (axis[:, None] - centre[:, 0]) / half[:, 0]
    column = (axis - centre[:, 1]) / half[:, 1]
    masks = row.square() + column.square() <= 1
    stripes = 0.3 * torch.sin(axis / 3 + 6 * torch.rand(count, 1, 1))
    images = masks.float() + stripes + 0.3 * torch.randn(count, SIZE, SIZE)
    axes = zip(centre.flatten(1).tolist(), half.flatten(1).tolist(), strict=True)
    return images[:, None], [measure(*of_one) for of_one in axes], masks


def measure(centre: list[float], half: list[float]) -> dict[str, list[float]]:
    """One row of the table, in pixels."""
    a, b = half
    perimeter = math.pi * (3 * (a + b) - math.sqrt((3 * a + b) * (a + 3 * b)))  # Ramanujan's
    return {"volume": [math.pi * a * b], "centroid": centre, "spread": [a / 2, b / 2], "length": [perimeter]}


def dice(network: nn.Module, images: Tensor, masks: Tensor) -> float:
    with torch.no_grad():
        predicted = network(images).argmax(1).bool()
    overlap = 2 * (predicted & masks).sum((1, 2))
    return (overlap / (predicted.sum((1, 2)) + masks.sum((1, 2)))).mean().item()


def main() -> None:
    torch.manual_seed(0)
    images, table, _ = ellipses(160)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 5, padding=4, dilation=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 2, 5, padding=2),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    loss_function = ShapeConstraintLoss(softmax=True)  # 2
    for epoch in range(15):
        loss_function.start_epoch(epoch)
        network.train()
        total = 0.0
        for batch in torch.randperm(len(images)).split(16):
            rows = [table[i] for i in batch.tolist()]
            values = {name: torch.tensor([row[name] for row in rows])[:, None] for name in rows[0]}
            loss = loss_function(network(images[batch]), values)  # 3
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(batch) / len(images)
        print(f"epoch {epoch:2d}  loss {total:6.3f}")
    test_images, _, test_masks = ellipses(40)
    print(f"Dice on 40 new images: {dice(network.eval(), test_images, test_masks):.3f}")


if __name__ == "__main__":
    main()
