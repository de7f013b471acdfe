"""Targets of an epoch are the projections of each image, or volume, by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shapewise.data.slices import Slices
from shapewise.descriptors import describe_together
from shapewise.errors import DataError
from shapewise.losses import MomentProjectionLoss
from shapewise.training import EpochTargets, ProjectionSupervision
from shapewise.training.supervision import table_bounds

NAMES = ("volume", "centroid", "spread")
CASES = [[0, 1, 2], [3, 4]]
ROWS = [1, 2, 3, 5, 6]
"""Of seven images the first and the fifth have no numbers."""


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout2d(0.5), nn.Conv2d(4, 2, 1)
    )


def described(whole: bool) -> dict[str, Tensor]:
    """Value, lower and upper of a box in every image, or in the volume that it is a slice of."""
    masks = torch.zeros(7, 1, 12, 12)
    for image in range(7):
        masks[image, :, 2 : 6 + image // 2, 3:9] = 1
    if not whole:
        values = describe_together(masks, NAMES)
    else:
        volumes = [masks[[ROWS[i] for i in case]].movedim(0, 1)[None] for case in CASES]
        each = [describe_together(volume, NAMES) for volume in volumes]
        values = {name: torch.zeros(7, *each[0][name].shape[1:]) for name in NAMES}
        for case, found in zip(CASES, each, strict=True):
            for name in NAMES:
                values[name][[ROWS[i] for i in case]] = found[name]
    nothing = torch.nan
    return {
        name: torch.stack([v, torch.full_like(v, nothing), torch.full_like(v, nothing)], -1)
        for name, v in values.items()
    }


@pytest.mark.parametrize("whole", [False, True])
def test_a_target_is_the_projection_of_its_image_alone(tmp_path: Path, whole: bool) -> None:
    images = np.random.default_rng(0).normal(size=(7, 12, 12)).astype(np.float32)
    targets = described(whole)
    slices = Slices(images, targets=targets, indices=ROWS)
    loss = MomentProjectionLoss(NAMES, softmax=True, iterations=40)
    net = network().train()
    before = {name: each.clone() for name, each in net.state_dict().items()}
    batches = CASES if whole else [[0, 1], [2, 3], [4]]
    kept = EpochTargets(slices, batches, ProjectionSupervision(loss), tmp_path, whole_volumes=whole)
    with pytest.raises(RuntimeError, match="renew"):
        kept.of(torch.tensor(ROWS))
    assert kept.renew(net, batches) == 1
    assert list(tmp_path.iterdir()) == []
    assert net.training
    assert all(torch.equal(each, before[name]) for name, each in net.state_dict().items())
    net.eval()
    for case in CASES if whole else [[i] for i in range(5)]:
        rows = torch.tensor([ROWS[i] for i in case])
        with torch.no_grad():
            logits = net(torch.from_numpy(images)[rows][:, None])
        given = {name: each[rows] for name, each in targets.items()}
        if whole:
            logits, given = logits.movedim(0, 1)[None], {name: each[:1] for name, each in given.items()}
        alone = loss.report(logits, table_bounds(given)).target
        expected = alone[0].movedim(1, 0) if whole else alone
        torch.testing.assert_close(kept.of(rows), expected, atol=2e-3, rtol=0)


def test_a_full_disk_is_named(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    slices = Slices(np.zeros((7, 12, 12), np.float32), targets=described(False), indices=ROWS)
    projection = ProjectionSupervision(MomentProjectionLoss(NAMES, softmax=True))
    kept = EpochTargets(slices, [[0]], projection, tmp_path, whole_volumes=False)
    with full_disk(1000), pytest.raises(DataError, match=rf"^{tmp_path}: expected room for .* 4032 bytes"):
        kept.renew(network(), [[0]])
    assert list(tmp_path.iterdir()) == []
