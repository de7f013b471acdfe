"""Hearts drawn by hand, and what tests ask of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from shapewise.losses import Relation

EVERYTHING = ("volume", "centroid", "spread", "covariance", "length", "orientation", "elongation")
HEART = (
    Relation("ratio", (2, 3), "length", lower=2.0, upper=3.0),
    Relation("difference", (2, 3), "centroid", lower=-2.0, upper=2.0, scale=5.0),
    Relation("contact", (1, 3), upper=0.0, scale=20.0),
)


def hearts(batch: int = 2, size: int = 32) -> Tensor:
    """Label masks (B, H, W) of a ring (2) around a disc (3) beside a box (1), each image another."""
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    masks = []
    for image in range(batch):
        radius = ((row - size * 0.4 - image) ** 2 + (column - size * 0.6) ** 2).sqrt()
        box = (row > size * 0.7) & (row < size * 0.9) & (column > 3 + image) & (column < size * 0.5)
        masks.append((radius < 9).long() * 2 + (radius < 5).long() + box.long() * (radius >= 9))
    return torch.stack(masks)


def encoded(mask: Tensor, classes: int = 4) -> Tensor:
    return one_hot(mask, classes).movedim(-1, 1).float()


def logits(batch: int = 2, size: int = 32, classes: int = 4, seed: int = 0, **options: Any) -> Tensor:
    return torch.randn(batch, classes, size, size, generator=torch.Generator().manual_seed(seed), **options)
