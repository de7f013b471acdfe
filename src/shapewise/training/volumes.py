"""A batch that is the slices of one case, as one volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def as_volume(logits: Tensor, batch: Mapping[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """Join slices' logits, (D, K, H, W), and images to (1, K, D, H, W); the first's numbers speak for all.

    >>> import torch
    >>> batch = {"index": torch.tensor([4, 5]), "targets": {"volume": torch.ones(2, 3, 1, 3)}}
    >>> logits, batch = as_volume(torch.zeros(2, 4, 8, 8), batch)
    >>> logits.shape, batch["index"], batch["targets"]["volume"].shape
    (torch.Size([1, 4, 2, 8, 8]), tensor([4]), torch.Size([1, 3, 1, 3]))
    """
    joined = {name: batch[name].movedim(0, 1)[None] for name in ("image", "belief") if name in batch}
    targets = {name: each[:1] for name, each in batch["targets"].items()}
    return logits.movedim(0, 1)[None], {**batch, **joined, "index": batch["index"][:1], "targets": targets}
