"""The prepared slices as a torch data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from shapewise.errors import ArgumentError


class Slices(Dataset[dict[str, Any]]):
    """Prepared slices, with their masks or their targets where there are any.

    An item is a dict: ``image`` (1, h, w) float32, ``index`` (the row in ``images``), and what is given
    of ``mask`` (h, w) int64 and ``targets`` name -> (Kfg, C, 3). Each item is copied out of the memory map,
    so memory does not grow with the data. A list of numbers gives a batch of items.

    Args:
        images: Prepared images, (N, h, w).
        masks: Label masks, (N, h, w), aligned with the images.
        targets: Name -> (N, Kfg, C, 3): value, lower and upper, aligned with the images.
        indices: The rows to use, all by default: for example those that a table annotates.

    Raises:
        ArgumentError: Masks or targets are not aligned with the images, or an index is out of range.

    Example:
        >>> slices = Slices(np.zeros((3, 4, 4), np.float32), indices=[2, 0])
        >>> len(slices), slices[0]["index"], slices[0]["image"].shape
        (2, 2, torch.Size([1, 4, 4]))
    """

    def __init__(
        self,
        images: NDArray[np.float32],
        *,
        masks: NDArray[np.integer] | None = None,
        targets: Mapping[str, Tensor] | None = None,
        indices: Sequence[int] | None = None,
    ) -> None:
        count = len(images)
        lengths = {f"targets[{name!r}]": len(values) for name, values in (targets or {}).items()}
        if masks is not None and masks.shape != images.shape:
            raise ArgumentError("masks", expected=f"of shape {images.shape}", found=masks.shape)
        for name, length in lengths.items():
            if length != count:
                raise ArgumentError(name, expected=f"of {count} rows", found=length)
        self.indices = [int(index) for index in (range(count) if indices is None else indices)]
        if any(not 0 <= index < count for index in self.indices):
            raise ArgumentError(
                "indices", expected=f"from 0 to {count - 1}", found=max(self.indices, key=abs)
            )
        self.images, self.masks, self.targets = images, masks, targets

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int | list[int]) -> dict[str, Any]:
        if isinstance(item, list):
            return stack([self[each] for each in item])
        index = self.indices[item]
        found: dict[str, Any] = {
            "image": torch.from_numpy(np.array(self.images[index])[None]),
            "index": index,
        }
        if self.masks is not None:
            found["mask"] = torch.from_numpy(self.masks[index].astype(np.int64))
        if self.targets is not None:
            found["targets"] = {name: values[index] for name, values in self.targets.items()}
        return found


def stack(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch: the items' tensors stacked along a new first axis, nested dicts kept.

    Example:
        >>> stack([{"index": 3, "targets": {"volume": torch.ones(2)}}] * 4)["targets"]["volume"].shape
        torch.Size([4, 2])
    """
    batch: dict[str, Any] = default_collate(list(items))
    return batch
