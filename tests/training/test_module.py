"""What a step of the loop does with a batch."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from shapewise.data.augmentation import Augmentation
from shapewise.training import Optimisation, SegmentationModule


class Listening(nn.Module):
    """Compares what it is told of the unchanged images with what the kept network says of them."""

    measures: Mapping[str, Tensor] = {}
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.module: list[SegmentationModule] = []  # a list, so as not to be a part of it

    def forward(self, logits: Tensor, batch: Mapping[str, Any]) -> Tensor:
        (module,) = self.module
        self.steps += 1
        said = deepcopy(module.kept).eval()(batch["image"])
        torch.testing.assert_close(batch["belief"], said)
        assert not batch["belief"].requires_grad
        assert (logits - batch["belief"]).abs().max() > 0.01  # what was seen was changed
        assert all(part.training for part in module.network.modules())
        assert module.network[1].num_batches_tracked == self.steps  # a look in between leaves no trace
        return logits.square().mean()

    def start_epoch(self, epoch: int) -> None: ...

    def end_epoch(self) -> None: ...


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_a_teacher_looks_at_the_unchanged_image_and_leaves_no_trace(decay: float) -> None:
    torch.manual_seed(0)
    listening = Listening()
    module = SegmentationModule(
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 2, 1)),
        listening,  # type: ignore[arg-type]
        Augmentation(shift=0.2),
        Optimisation(0.01, (0.9, 0.99), weight_average=decay),
        classes=("disc",),
        yardstick=None,
        validation_case=torch.zeros(0, dtype=torch.long),
        seed=0,
        teacher=True,
    )
    listening.module.append(module)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    batches = [{"image": torch.randn(3, 1, 12, 12)} for _ in range(3)]
    loader = DataLoader(batches, batch_size=None, num_workers=0)  # type: ignore[arg-type]
    trainer.fit(module, loader, loader)
    assert listening.steps == 3
