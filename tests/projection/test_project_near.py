"""A search that begins near where another one ended."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from projection.conftest import MOMENTS, described
from shapewise.errors import ArgumentError
from shapewise.projection import annotated_moments, moment_projection

pytestmark = pytest.mark.usefixtures("search")


def disc(centre: tuple[float, float], radius: float) -> Tensor:
    """Soft probabilities of background and a disc, (1, 2, 32, 32)."""
    row, column = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    inside = torch.sigmoid(radius - ((row - centre[0]) ** 2 + (column - centre[1]) ** 2).sqrt())
    return torch.stack([1 - inside, inside])[None]


def test_a_guess_that_misleads_costs_a_round_and_no_more() -> None:
    truth = disc((12.0, 12.0), 6.0)
    moments = annotated_moments(described(truth, MOMENTS["spread"]), 2)
    logits = disc((20.0, 18.0), 6.0).log()
    misleading = moment_projection(truth.roll((-9, -7), (2, 3)).log(), moments, iterations=40).multipliers
    cold, warm, broken = (
        moment_projection(logits, moments, iterations=rounds, near=near)
        for rounds, near in ((20, None), (21, misleading), (20, misleading * float("nan")))
    )
    assert warm.residual.max() <= cold.residual.max() + 0.05
    torch.testing.assert_close(broken.probs, cold.probs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_guess_may_be_of_another_type(dtype: torch.dtype) -> None:
    truth = disc((12.0, 12.0), 6.0)
    moments = annotated_moments(described(truth, MOMENTS["spread"]), 2)
    near = moment_projection(truth.roll(2, 2).log(), moments).multipliers.to(dtype)
    found = moment_projection(truth.roll(2, 2).log(), moments, near=near)
    assert found.probs.dtype == found.multipliers.dtype == torch.float32
    torch.testing.assert_close(
        found.probs, moment_projection(truth.roll(2, 2).log(), moments, near=near.float()).probs
    )


def test_a_guess_of_another_shape_is_refused() -> None:
    truth = disc((12.0, 12.0), 6.0)
    moments = annotated_moments(described(truth, MOMENTS["spread"]), 2)
    with pytest.raises(ArgumentError, match=r"near.*\(1, 1, 5\).*\(6,\)"):
        moment_projection(truth.log(), moments, near=torch.zeros(6))
