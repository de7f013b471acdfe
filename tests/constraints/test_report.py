from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from shapewise.constraints import Reduction, contributions, reduce, satisfied

Z = torch.tensor([[[0.4, -0.2], [-math.inf, 0.6]], [[-0.1, -0.1], [-math.inf, -math.inf]]])
COSTS = Z.relu()
SIZES = {"volume": 1, "length": 1}


def test_the_mean_is_over_images_and_their_active_bounds() -> None:
    per_image = reduce(Z, COSTS, reduction="none", average=True)
    torch.testing.assert_close(per_image, torch.tensor([1.0 / 3, 0.0]))
    assert reduce(Z, COSTS, reduction="mean", average=True).item() == pytest.approx(1 / 6)
    assert reduce(Z, COSTS, reduction="sum", average=True).item() == pytest.approx(1 / 3)


def test_the_papers_sum_is_over_all_bounds() -> None:
    assert reduce(Z, COSTS, reduction="none", average=False).tolist() == [1.0, 0.0]
    assert reduce(Z, COSTS, reduction="mean", average=False).item() == 0.5


def test_an_image_without_constraints_costs_nothing() -> None:
    z = torch.full((1, 2, 2), -math.inf)
    assert reduce(z, z.relu(), reduction="mean", average=True).item() == 0.0


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("reduction", get_args(Reduction))
def test_contributions_add_up_to_the_loss(reduction: Reduction, average: bool) -> None:
    parts = contributions(Z, COSTS, SIZES, reduction=reduction, average=average)
    total = reduce(Z, COSTS, reduction=reduction, average=average)
    torch.testing.assert_close(sum(parts.values()), total.mean())
    assert list(parts) == list(SIZES)


def test_only_active_bounds_are_counted_as_satisfied() -> None:
    assert {name: value.item() for name, value in satisfied(Z, SIZES).items()} == {
        "volume": 0.75,
        "length": 0.0,
    }


def test_nothing_to_satisfy_is_satisfied() -> None:
    assert satisfied(torch.full((2, 1, 2), -math.inf), {"volume": 1})["volume"].item() == 1.0
