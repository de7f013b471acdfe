"""Learning slices from the numbers of whole volumes, without a whole volume in every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from shapewise.losses import MomentProjectionLoss
from shapewise.training.supervision import table_bounds
from shapewise.typing import Logits


class VolumeProjectionSupervision(nn.Module):
    """A moment projection loss whose numbers are about volumes while its batches are slices of any of them.

    At the start of an epoch `solve` projects each volume: its multipliers say how the logits of its slices
    are to be tilted. The steps tilt what the network, as it is kept, says of the unchanged slices
    (`batch["belief"]`) by these; `batch["place"]`, (B, 2), holds each slice's volume and position. A
    checkpoint keeps the multipliers, where the next search begins.
    """

    def __init__(self, loss: MomentProjectionLoss) -> None:
        super().__init__()
        self.loss = loss
        self.multipliers: dict[int, Tensor] = {}
        self.converged: list[Tensor] = []
        self.measures: Mapping[str, Tensor] = {}

    def solve(self, volume: int, logits: Logits, targets: Mapping[str, Tensor]) -> None:
        """Project one volume, logits (1, K, D, H, W), onto its numbers."""
        near = self.multipliers.get(volume)
        near = None if near is None else near.to(logits.device)[None]
        found = self.loss.report(logits, table_bounds(targets), near=near).projection
        self.multipliers[volume] = found.multipliers[0]
        self.converged.append(found.converged[0])

    def forward(self, logits: Logits, batch: Mapping[str, Any]) -> Tensor:
        """Score the logits of slices."""
        volumes, position = batch["place"].unbind(1)
        multipliers = torch.stack([self.multipliers[volume].to(logits.device) for volume in volumes.tolist()])
        self.measures = {"train_converged": torch.stack(self.converged).float().mean()}
        return self.loss.in_volumes(
            logits, table_bounds(batch["targets"]), multipliers, position, belief=batch["belief"]
        )

    def get_extra_state(self) -> dict[int, Tensor]:
        """What a checkpoint keeps beside the weights."""
        return dict(self.multipliers)

    def set_extra_state(self, state: dict[int, Tensor]) -> None:
        """Go on from a checkpoint."""
        self.multipliers = dict(state)

    def start_epoch(self, epoch: int) -> None:
        """Count anew which volumes have met their numbers."""
        self.converged = []
