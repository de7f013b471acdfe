from __future__ import annotations

import math

import pytest
import torch

from shapewise.constraints import Bounds, residuals
from shapewise.errors import ArgumentError


def test_positive_means_violated() -> None:
    z = residuals(torch.tensor([80.0, 100.0, 130.0]), Bounds.constant(90.0, 110.0))
    assert z.tolist() == [[10.0, -30.0], [-10.0, -10.0], [-40.0, 20.0]]


def test_a_scale_divides_both_sides() -> None:
    z = residuals(torch.tensor([80.0]), Bounds.constant(90.0, 110.0), scale=torch.tensor([20.0]))
    assert z.tolist() == [[0.5, -1.5]]


def test_an_unknown_scale_divides_by_one() -> None:
    z = residuals(torch.tensor([80.0]), Bounds.constant(90.0, 110.0), scale=torch.tensor([math.nan]))
    assert z.tolist() == [[10.0, -30.0]]


@pytest.mark.parametrize("scale", [None, torch.tensor(math.nan), torch.tensor(2.0)])
@pytest.mark.parametrize("side", [math.inf, math.nan])
def test_an_inactive_side_has_no_value_and_no_gradient(side: float, scale: torch.Tensor | None) -> None:
    values = torch.tensor([1.0, -2.0], requires_grad=True)
    z = residuals(values, Bounds(torch.tensor(-side), torch.tensor(side)), scale)
    assert (z == -math.inf).all()
    (gradient,) = torch.autograd.grad(torch.where(z.isinf(), 0.0, z).sum(), values)
    assert gradient.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_values_are_compared_in_float32(dtype: torch.dtype) -> None:
    z = residuals(torch.tensor([60000.0], dtype=dtype), Bounds.constant(upper=-60000.0))
    assert z.dtype == torch.float32
    assert z[0, 1] > 119000


def test_refuses_bounds_of_another_shape() -> None:
    with pytest.raises(ArgumentError, match=r"`bounds` to be of a shape that broadcasts to \(2, 3\)"):
        residuals(torch.zeros(2, 3), Bounds(torch.zeros(4), torch.ones(4)))
