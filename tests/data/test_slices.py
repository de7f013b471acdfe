from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from shapewise.data.slices import Slices, stack
from shapewise.errors import ArgumentError

IMAGES = np.random.default_rng(0).normal(size=(5, 4, 6)).astype(np.float32)
MASKS = np.random.default_rng(1).integers(0, 3, (5, 4, 6)).astype(np.uint8)
TARGETS = {"volume": torch.rand(5, 2, 1, 3), "centroid": torch.rand(5, 2, 2, 3)}


def test_an_image_alone() -> None:
    item = Slices(IMAGES)[3]
    assert set(item) == {"image", "index"}
    assert item["index"] == 3
    assert item["image"].shape == (1, 4, 6)
    np.testing.assert_array_equal(item["image"][0], IMAGES[3])


def test_everything_there_is() -> None:
    item = Slices(IMAGES, masks=MASKS, targets=TARGETS)[4]
    assert item["mask"].dtype == torch.int64
    np.testing.assert_array_equal(item["mask"], MASKS[4])
    torch.testing.assert_close(item["targets"], {name: values[4] for name, values in TARGETS.items()})


def test_indices_choose_and_order_the_rows() -> None:
    slices = Slices(IMAGES, masks=MASKS, indices=[4, 1])
    assert [item["index"] for item in slices] == [4, 1]
    np.testing.assert_array_equal(slices[1]["mask"], MASKS[1])


def test_an_item_is_a_copy_of_the_memory_map(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    slices = Slices(np.load(tmp_path / "images.npy", mmap_mode="r"))
    slices[0]["image"].zero_()
    np.testing.assert_array_equal(slices[0]["image"][0], IMAGES[0])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_stacks_items(workers: int) -> None:
    slices = Slices(IMAGES, masks=MASKS, targets=TARGETS)
    first, last = DataLoader(slices, batch_size=3, num_workers=workers, collate_fn=stack)
    assert first["image"].shape == (3, 1, 4, 6)
    assert first["mask"].shape == (3, 4, 6)
    assert first["targets"]["centroid"].shape == (3, 2, 2, 3)
    assert last["index"].tolist() == [3, 4]


def test_what_is_not_aligned_is_refused() -> None:
    with pytest.raises(ArgumentError, match="masks"):
        Slices(IMAGES, masks=MASKS[:4])
    with pytest.raises(ArgumentError, match="volume"):
        Slices(IMAGES, targets={"volume": torch.zeros(4, 2, 1, 3)})
    with pytest.raises(ArgumentError, match="indices"):
        Slices(IMAGES, indices=[0, 5])
    with pytest.raises(ArgumentError, match="indices"):
        Slices(IMAGES, indices=[-1])
