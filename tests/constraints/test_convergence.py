"""Penalties against an exact solver, on: the nearest point to another one in a polytope."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cvxpy
import numpy as np
import pytest
import torch
from torch import Tensor

from shapewise.constraints import AugmentedLagrangian, Geometric, LogBarrier, Penalty, Quadratic


class Solution(NamedTuple):
    point: Tensor
    multipliers: Tensor
    objective: float


GOAL = torch.tensor([2.0, 1.5, -1.0], dtype=torch.float64)
NORMALS = torch.tensor(
    [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.5, 0.2]], dtype=torch.float64
)
OFFSETS = torch.tensor([1.0, 0.8, 0.3, 2.0], dtype=torch.float64)


def objective(point: Tensor) -> Tensor:
    return (point - GOAL).square().sum()


def violation(point: Tensor) -> Tensor:
    return NORMALS @ point - OFFSETS


@pytest.fixture(scope="module")
def exact() -> Solution:
    x = cvxpy.Variable(3)
    constraint = NORMALS.numpy() @ x <= OFFSETS.numpy()
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(x - GOAL.numpy())), [constraint])
    problem.solve(solver=cvxpy.CLARABEL)
    point, multipliers = np.asarray(x.value), np.asarray(constraint.dual_value)
    return Solution(torch.as_tensor(point), torch.as_tensor(multipliers), float(problem.value))


def minimise(loss: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    point = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([point], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss(point)
        value.backward()
        return value

    optimiser.step(closure)
    return point.detach()


def train(penalty: Penalty, epochs: int) -> Tensor:
    """Minimise under the penalty again and again, starting far outside the polytope."""
    point = torch.full((3,), 5.0, dtype=torch.float64)
    for epoch in range(epochs):
        penalty.start_epoch(epoch)
        # Multipliers follow what is gathered in training mode: here only the minimum, not the way to it.
        penalty.eval()
        point = minimise(lambda x: objective(x) + penalty(violation(x)[None], "polytope").sum(), point)
        penalty.train()
        penalty(violation(point)[None], "polytope")
    return point


def test_the_constraints_bind(exact: Solution) -> None:
    assert violation(GOAL).max() > 0.5
    assert (exact.multipliers > 0.1).sum() == 2


@pytest.mark.parametrize("cap", [5.0, 30.0, 300.0])
def test_a_barrier_is_within_its_duality_gap(exact: Solution, cap: float) -> None:
    point = train(LogBarrier(Geometric(start=5.0, factor=3.0, cap=cap)), epochs=6)
    gap = objective(point).item() - exact.objective
    assert abs(gap) < len(OFFSETS) / cap
    assert violation(point).max() < 1 / cap


def test_a_growing_barrier_converges_to_the_optimum(exact: Solution) -> None:
    point = train(LogBarrier(Geometric(start=5.0, factor=3.0, cap=1e4)), epochs=9)
    torch.testing.assert_close(point, exact.point, rtol=0.0, atol=2e-3)


def test_multipliers_converge_where_a_quadratic_of_the_same_weight_does_not(exact: Solution) -> None:
    penalty = AugmentedLagrangian(rho=4.0).double()
    point = train(penalty, epochs=25)
    torch.testing.assert_close(point, exact.point, rtol=0.0, atol=1e-5)
    assert violation(point).max() < 1e-5
    penalised = train(Quadratic(), epochs=25)
    assert violation(penalised).max() > 0.1


def test_multipliers_converge_to_the_dual_solution(exact: Solution) -> None:
    penalty = AugmentedLagrangian(rho=4.0).double()
    train(penalty, epochs=25)
    torch.testing.assert_close(
        penalty.multiplier("polytope").double(), exact.multipliers, rtol=0.0, atol=1e-4
    )
