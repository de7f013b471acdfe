"""Any supervision, and constraints beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn

from shapewise.training.supervision import PixelSupervision, ProjectionSupervision, ShapeSupervision
from shapewise.training.volume_projection import VolumeProjectionSupervision
from shapewise.typing import Logits


class CombinedSupervision(nn.Module):
    """A supervision, and constraints that pull beside it from some epoch on."""

    def __init__(self, main: Supervision, beside: ShapeSupervision, *, weight: float, start: int) -> None:
        super().__init__()
        self.main, self.beside = main, beside
        self.weight, self.start = weight, start
        self.epoch = 0
        self.measures: Mapping[str, Tensor] = {}

    def forward(self, logits: Logits, batch: Mapping[str, Any]) -> Tensor:
        """Add the constraints' loss, weighed, to the main one."""
        total: Tensor = self.main(logits, batch)
        self.measures = self.main.measures
        if self.epoch >= self.start:
            constraints: Tensor = self.beside(logits, batch)
            self.measures = {**self.measures, "train_beside": constraints.detach()}
            total = total + self.weight * constraints
        return total

    def start_epoch(self, epoch: int) -> None:
        """Move both on; the constraints' schedule begins where they do."""
        self.epoch = epoch
        self.main.start_epoch(epoch)
        self.beside.start_epoch(max(0, epoch - self.start))


Supervision: TypeAlias = (
    PixelSupervision
    | ShapeSupervision
    | ProjectionSupervision
    | VolumeProjectionSupervision
    | CombinedSupervision
)
"""Whatever scores logits against a batch; `measures` holds what else there is to log of it."""
