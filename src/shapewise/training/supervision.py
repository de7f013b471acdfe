"""What the network learns from: the pixels of a mask, or the numbers of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shapewise.constraints import Bounds
from shapewise.losses import EdgeLengthLoss, MomentProjectionLoss, ShapeConstraintLoss
from shapewise.losses.moment_projection import ProjectionReport
from shapewise.training.processes import gathered
from shapewise.typing import Logits


class Supervision(nn.Module, ABC):
    """Whatever scores logits against a batch.

    Attributes:
        measures: what else there is to log of the last batch.
    """

    measures: Mapping[str, Tensor] = {}

    @abstractmethod
    def forward(self, logits: Logits, batch: Mapping[str, Any]) -> Tensor:
        """Return the loss."""

    def start_epoch(self, epoch: int) -> None:
        """Prepare for an epoch, counted from 0; by default there is nothing to prepare."""

    def end_epoch(self) -> None:
        """Bring together what the processes of a distributed run have learned; by default that is nothing."""


class PixelSupervision(Supervision):
    """Cross-entropy against a mask, in float32 whatever the precision of the network."""

    def forward(self, logits: Logits, batch: Mapping[str, Any]) -> Tensor:
        """Score `logits` against `batch["mask"]`, (B, H, W): 0 where no pixel has a label."""
        labels: Tensor = batch["mask"]
        total = F.cross_entropy(logits.float(), labels, reduction="sum")
        return total / (labels >= 0).sum().clamp_min(1)


class ShapeSupervision(Supervision):
    """A shape constraint loss against the rows of a descriptor table; it never sees a mask."""

    def __init__(self, loss: ShapeConstraintLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Logits, batch: Mapping[str, Any]) -> Tensor:
        """Score `logits` against `batch["targets"]`."""
        total: Tensor = self.loss(logits, table_bounds(batch["targets"]))
        return total

    def start_epoch(self, epoch: int) -> None:
        """Move the penalty on: a barrier's t grows, multipliers are updated."""
        self.loss.start_epoch(epoch)


class ProjectionSupervision(Supervision):
    """A moment projection loss towards the rows of a descriptor table; it never sees a mask.

    Values are met exactly, and rows with bounds of their own within these. What is projected is the
    prediction, or what a teacher says in `batch["belief"]`. Each image's search begins where its last one
    ended, an epoch ago: `batch["index"]` numbers the images, and a checkpoint keeps these places. The share
    of the last batch's images whose projection has converged is kept to be logged. Where `batch["dense"]`
    holds targets that are made already, they are what is learned from.
    """

    def __init__(self, loss: MomentProjectionLoss) -> None:
        super().__init__()
        self.loss = loss
        self.multipliers: dict[int, Tensor] = {}
        self.projected: set[int] = set()

    def forward(self, logits: Logits, batch: Mapping[str, Any]) -> Tensor:
        """Score `logits` against `batch["targets"]`, or what was made of them before."""
        if "dense" in batch:
            return F.cross_entropy(logits.float(), batch["dense"])
        report = self.project(logits, batch)
        self.measures = {"train_converged": report.projection.converged.float().mean()}
        return report.total

    def project(self, logits: Logits, batch: Mapping[str, Any]) -> ProjectionReport:
        """Project `logits` onto `batch["targets"]`, from where each image's last search ended."""
        images = batch["index"].tolist()
        near = None
        if all(image in self.multipliers for image in images):
            near = torch.stack([self.multipliers[image] for image in images]).to(logits.device)
        targets = table_bounds(batch["targets"])
        report = self.loss.report(logits, targets, near=near, belief=batch.get("belief"))
        self.multipliers.update(zip(images, report.projection.multipliers.cpu(), strict=True))
        self.projected.update(images)
        return report

    def end_epoch(self) -> None:
        """Tell every process of a distributed run what the others have found in this epoch."""
        for found in gathered({image: self.multipliers[image] for image in self.projected}):
            self.multipliers.update(found)
        self.projected.clear()

    def get_extra_state(self) -> dict[int, Tensor]:
        """What a checkpoint keeps beside the weights."""
        return dict(self.multipliers)

    def set_extra_state(self, state: dict[int, Tensor]) -> None:
        """Go on from a checkpoint."""
        self.multipliers = dict(state)


class EdgeLengthSupervision(Supervision):
    """Boundaries that follow the image; it sees neither masks nor numbers."""

    def __init__(self, loss: EdgeLengthLoss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Logits, batch: Mapping[str, Any]) -> Tensor:
        """Score `logits` against `batch["image"]`."""
        total: Tensor = self.loss(logits, batch["image"])
        return total


class CombinedSupervision(Supervision):
    """A supervision, and what pulls beside it from some epoch on, logged by a name of its own."""

    def __init__(
        self,
        main: Supervision,
        beside: Supervision,
        *,
        weight: float,
        start: int = 0,
        name: str = "train_beside",
    ) -> None:
        super().__init__()
        self.main, self.beside = main, beside
        self.weight, self.start, self.name = weight, start, name
        self.epoch = 0

    def forward(self, logits: Logits, batch: Mapping[str, Any]) -> Tensor:
        """Add the other loss, weighed, to the main one."""
        total: Tensor = self.main(logits, batch)
        self.measures = self.main.measures
        if self.epoch >= self.start:
            added: Tensor = self.beside(logits, batch)
            self.measures = {**self.measures, self.name: added.detach()}
            total = total + self.weight * added
        return total

    def start_epoch(self, epoch: int) -> None:
        """Move both on; a schedule of constraints begins where they do."""
        self.epoch = epoch
        self.main.start_epoch(epoch)
        self.beside.start_epoch(max(0, epoch - self.start))

    def end_epoch(self) -> None:
        """Let both bring together what the processes have learned."""
        self.main.end_epoch()
        self.beside.end_epoch()


def table_bounds(targets: Mapping[str, Tensor]) -> dict[str, Bounds]:
    """Turn (value, lower, upper) on the last axis into bounds around the value.

    A NaN bound means that the table leaves it to the loss.

    >>> import torch
    >>> values = torch.tensor([[[[10.0, float("nan"), 12.0]]]])
    >>> table_bounds({"volume": values})["volume"].upper
    tensor([[[12.]]])
    """
    return {
        name: Bounds(lower=rows[..., 1], upper=rows[..., 2], reference=rows[..., 0])
        for name, rows in targets.items()
    }
