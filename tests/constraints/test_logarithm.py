from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shapewise.constraints import Constraint, residuals
from shapewise.constraints.bounds import Bounds
from shapewise.constraints.logarithm import in_logarithms

THERE, GONE = torch.tensor([[True]]), torch.tensor([[False]])
INF = math.inf


def amount(value: float) -> torch.Tensor:
    return torch.full((1, 1, 1), value, dtype=torch.float64)


def worst(value: float, lower: float, upper: float) -> float:
    c = in_logarithms(Constraint(amount(value), amount(lower), amount(upper), amount(1.0)), THERE)
    return residuals(c.value, Bounds(c.lower, c.upper), c.scale).max().item()


@given(value=st.floats(0, 1e4), low=st.floats(0.01, 1e3), width=st.floats(0.01, 1e3))
def test_the_same_values_are_allowed(value: float, low: float, width: float) -> None:
    allowed = low <= value <= low + width
    assert (worst(value, low, low + width) <= 1e-9) == allowed or math.isclose(value, low, rel_tol=1e-9)


def test_a_factor_costs_the_same_either_way() -> None:
    assert worst(50.0, 100.0, 100.0) == pytest.approx(math.log(2), rel=1e-4)
    assert worst(200.0, 100.0, 100.0) == pytest.approx(math.log(2), rel=1e-4)


def test_a_vanishing_class_gets_a_gradient_through_a_softmax() -> None:
    def slope(logarithmic: bool) -> float:
        logits = torch.full((1, 1, 64), -12.0, requires_grad=True)
        value = logits.sigmoid().sum(-1, keepdim=True)
        c = Constraint(value, *(torch.full((1, 1, 1), x) for x in (30.0, 40.0, 35.0)))
        c = in_logarithms(c, THERE) if logarithmic else c
        residuals(c.value, Bounds(c.lower, c.upper), c.scale).max().backward()
        assert logits.grad is not None
        return float(logits.grad.abs().sum())

    assert slope(logarithmic=True) > 0.5
    assert slope(logarithmic=False) < 1e-4


@pytest.mark.parametrize("value", [0.0, 1e-30, 1.0, 1e8])
def test_values_and_gradients_stay_finite(value: float) -> None:
    predicted = torch.full((1, 1, 1), value, requires_grad=True)
    one = torch.ones(1, 1, 1)
    c = in_logarithms(Constraint(predicted, 9 * one, 11 * one, 10 * one), THERE)
    c.value.sum().backward()
    assert c.value.isfinite().all()
    assert predicted.grad is not None
    assert predicted.grad.isfinite().all()
    assert predicted.grad.half().isfinite().all()


def test_open_and_unknown_sides_stay_as_they_are() -> None:
    one = torch.ones(1, 1, 1)
    c = in_logarithms(Constraint(one, -INF * one, INF * one, one), THERE)
    assert (c.lower.item(), c.upper.item()) == (-INF, INF)
    c = in_logarithms(Constraint(one, -3 * one, math.nan * one, one), THERE)
    assert c.lower.item() == -INF
    assert math.isnan(c.upper.item())


def test_a_class_that_is_not_there_is_left_alone() -> None:
    one = torch.ones(1, 1, 1)
    before = Constraint(5 * one, -INF * one, one, 2 * one)
    assert all(torch.equal(x, y) for x, y in zip(in_logarithms(before, GONE), before, strict=True))
