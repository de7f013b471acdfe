"""Slices tilted one by one add up to the volume that was projected whole."""

from __future__ import annotations

import torch

from shapewise.descriptors import describe_together
from shapewise.losses import MomentProjectionLoss
from shapewise.training import VolumeProjectionSupervision

NAN = float("nan")
NAMES = ("volume", "centroid", "covariance")


def ball() -> torch.Tensor:
    place, row, column = torch.meshgrid(*[torch.arange(n) for n in (6, 20, 20)], indexing="ij")
    return (((place - 2.5) * 2.5) ** 2 + (row - 9) ** 2 + (column - 11) ** 2 < 40).long()


def supervised() -> tuple[VolumeProjectionSupervision, torch.Tensor, dict[str, torch.Tensor]]:
    hard = torch.nn.functional.one_hot(ball(), 2).movedim(-1, 0)[None].float()
    values = describe_together(hard, NAMES, first=1)
    targets = {name: torch.stack([each, each * NAN, each * NAN], -1) for name, each in values.items()}
    logits = 2 * hard + torch.randn(hard.shape, generator=torch.Generator().manual_seed(0))
    loss = MomentProjectionLoss(NAMES, softmax=True, iterations=30)
    return VolumeProjectionSupervision(loss), logits, targets


def test_slices_learn_what_their_volume_would() -> None:
    supervision, logits, targets = supervised()
    supervision.start_epoch(0)
    supervision.solve(7, logits, targets)
    whole = supervision.loss(logits, {name: each[..., 0] for name, each in targets.items()})
    slices = logits[0].movedim(1, 0)
    order = torch.tensor([4, 0, 2, 5, 1, 3])
    batch = {
        "belief": slices[order],
        "place": torch.stack([torch.full((6,), 7), order], 1),
        "targets": {name: each.expand(6, *each.shape[1:]) for name, each in targets.items()},
    }
    torch.testing.assert_close(supervision(slices[order], batch), whole)
    assert supervision.measures["train_converged"] == 1


def test_the_next_search_begins_where_the_last_one_ended() -> None:
    supervision, logits, targets = supervised()
    supervision.start_epoch(0)
    supervision.solve(0, logits, targets)
    resumed = VolumeProjectionSupervision(MomentProjectionLoss(NAMES, softmax=True, iterations=1))
    resumed.load_state_dict(supervision.state_dict())
    resumed.start_epoch(1)
    resumed.solve(0, logits, targets)
    assert resumed.converged[0]
    cold = VolumeProjectionSupervision(resumed.loss)
    cold.solve(0, logits, targets)
    assert not cold.converged[0]
