from __future__ import annotations

import math

import pytest
import torch

from shapewise.descriptors import edge_length
from shapewise.errors import ArgumentError
from shapewise.losses import EdgeLengthLoss


@pytest.mark.parametrize("space", [(8, 2), (4, 2, 8)])
def test_it_is_the_length_of_all_objects_in_sides_of_the_image(space: tuple[int, ...]) -> None:
    logits, images = torch.randn(2, 3, *space), torch.randn(2, 1, *space)
    objects = logits.softmax(1)[:, 1:]
    side = {2: 4.0, 3: 16.0}[len(space)]  # of a square and, squared, of a cube of as many pixels
    expected = edge_length(objects, images, sigma=0.5).sum() / 2 / side
    torch.testing.assert_close(EdgeLengthLoss(0.5, softmax=True)(logits, images), expected)
    torch.testing.assert_close(EdgeLengthLoss(0.5)(logits.softmax(1), images), expected)


def test_it_draws_a_boundary_to_the_edge() -> None:
    images = (torch.arange(16) >= 8).float().expand(1, 1, 16, 16)

    def loss(column: int) -> float:
        inside = (torch.arange(16) >= column).float().expand(1, 1, 16, 16)
        return EdgeLengthLoss(0.2)(torch.cat([1 - inside, inside], 1), images).item()

    assert min(range(1, 16), key=loss) == 8
    assert loss(8) < 1e-4 < loss(7) == pytest.approx(1, rel=0.1)


def test_values_and_gradients_are_finite_in_half_precision() -> None:
    logits = (30 * torch.eye(4)).expand(1, 2, 4, 4).half().requires_grad_()
    images = torch.tensor([1e4, -1e4]).repeat(8).reshape(1, 1, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = EdgeLengthLoss(0.1, softmax=True)(logits, images)
    loss.backward()
    assert loss.dtype == torch.float32
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_refuses_a_sigma_without_a_meaning(sigma: float) -> None:
    with pytest.raises(ArgumentError, match="`sigma`"):
        EdgeLengthLoss(sigma)(torch.ones(1, 2, 4, 4), torch.ones(1, 1, 4, 4))


def test_refuses_an_input_without_objects() -> None:
    with pytest.raises(ArgumentError, match="`input` to be of two classes or more"):
        EdgeLengthLoss(0.5, softmax=True)(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4))
