from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shapewise.constraints import (
    PENALTIES,
    AugmentedLagrangian,
    Constant,
    Geometric,
    LogBarrier,
    Penalty,
    Quadratic,
    augmented_lagrangian,
    hinge,
    log_barrier,
    quadratic,
)
from shapewise.errors import ArgumentError

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "log_barrier_5": lambda z: log_barrier(z, 5.0),
    "log_barrier_30": lambda z: log_barrier(z, torch.tensor(30.0)),
    "quadratic": quadratic,
    "hinge": hinge,
    "augmented_lagrangian": lambda z: augmented_lagrangian(z, torch.tensor(0.7), 2.0),
}
every_function = pytest.mark.parametrize("penalty", FUNCTIONS.values(), ids=FUNCTIONS.keys())


def slope(penalty: Callable[[Tensor], Tensor], z: float) -> float:
    point = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(penalty(point), point)
    return gradient.item()


def test_the_barrier_worked_by_hand() -> None:
    z = torch.tensor([-math.e, -1.0, -0.5, 0.0, 2.0], dtype=torch.float64)
    tangent = 2 * math.log(5) / 5 + 1 / 5
    expected = [-1 / 5, 0.0, math.log(2) / 5, tangent, 10 + tangent]
    torch.testing.assert_close(log_barrier(z, 5.0), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("t", [0.5, 1.0, 5.0, 30.0, 1e3])
def test_the_barriers_branches_meet_in_value_and_slope(t: float) -> None:
    knee, step = -1 / t**2, 1e-9 / t**2
    for z in (knee - step, knee, knee + step):
        value = log_barrier(torch.tensor(z, dtype=torch.float64), t).item()
        assert value == pytest.approx(2 * math.log(t) / t, abs=1e-8 / t)
        assert slope(lambda x: log_barrier(x, t), z) == pytest.approx(t, rel=1e-6)


@every_function
def test_an_inactive_constraint_costs_and_moves_nothing(penalty: Callable[[Tensor], Tensor]) -> None:
    assert penalty(torch.tensor(-math.inf)).item() == 0.0
    assert slope(penalty, -math.inf) == 0.0


@every_function
@pytest.mark.parametrize("z", [-1e30, -1e4, -1e-30, 0.0, 1e-30, 1e4, 1e15])
def test_values_and_slopes_are_finite(penalty: Callable[[Tensor], Tensor], z: float) -> None:
    point = torch.tensor(z, requires_grad=True)
    value = penalty(point)
    (gradient,) = torch.autograd.grad(value, point)
    assert value.isfinite()
    assert gradient.isfinite()
    assert gradient >= 0


@every_function
@given(z=st.floats(-50, 50), more=st.floats(0, 50))
@settings(deadline=None)
def test_more_violation_never_costs_less(penalty: Callable[[Tensor], Tensor], z: float, more: float) -> None:
    low, high = penalty(torch.tensor([z, z + more], dtype=torch.float64))
    assert low <= high + 1e-12


@every_function
@given(a=st.floats(-10, 10), b=st.floats(-10, 10))
@settings(deadline=None)
def test_penalties_are_convex(penalty: Callable[[Tensor], Tensor], a: float, b: float) -> None:
    left, middle, right = penalty(torch.tensor([a, (a + b) / 2, b], dtype=torch.float64))
    assert middle <= (left + right) / 2 + 1e-9


@every_function
def test_gradients_are_those_of_the_values(penalty: Callable[[Tensor], Tensor]) -> None:
    z = torch.tensor([-3.0, -0.9, -0.2, -0.005, 0.01, 0.4, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(penalty, z)


@every_function
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(
    penalty: Callable[[Tensor], Tensor], dtype: torch.dtype
) -> None:
    z = torch.tensor([-2.0, -1e-3, 0.0, 300.0], dtype=dtype)
    assert penalty(z).dtype == torch.float32
    torch.testing.assert_close(penalty(z), penalty(z.float()), rtol=0.0, atol=0.0)


def test_the_slope_of_an_augmented_lagrangian_is_its_multiplier_at_the_bound() -> None:
    assert slope(lambda z: augmented_lagrangian(z, torch.tensor(0.7), 2.0), 0.0) == pytest.approx(0.7)


def test_refuses_a_barrier_without_a_slope() -> None:
    with pytest.raises(ArgumentError, match="`t`"):
        log_barrier(torch.zeros(1), 0.0)


@pytest.mark.parametrize("name", PENALTIES)
def test_modules_share_one_interface(name: str) -> None:
    penalty = PENALTIES[name]()
    z = torch.randn(4, 3, 2, requires_grad=True)
    costs = penalty(z, "volume")
    assert costs.shape == z.shape
    penalty.start_epoch(1)
    with pytest.raises(ArgumentError, match="`epoch`"):
        penalty.start_epoch(-1)


def test_the_barrier_follows_its_schedule_and_resumes() -> None:
    barrier = LogBarrier(Geometric(start=5.0, factor=1.5, cap=30.0))
    z = torch.tensor([[1.0]])
    assert barrier(z, "volume").item() == pytest.approx(log_barrier(z, 5.0).item())
    barrier.start_epoch(2)
    assert barrier(z, "volume").item() == pytest.approx(log_barrier(z, 11.25).item())
    resumed = LogBarrier(Constant(1.0))
    resumed.load_state_dict(barrier.state_dict())
    torch.testing.assert_close(resumed(z, "volume"), barrier(z, "volume"))


def gathered(penalty: Penalty, *batches: list[list[float]]) -> None:
    for batch in batches:
        penalty(torch.tensor(batch, requires_grad=True), "volume")


def test_a_single_image_gets_the_classical_multiplier() -> None:
    penalty = AugmentedLagrangian(rho=2.0)
    for epoch in (1, 2):
        gathered(penalty, [[0.5, -0.1]])
        penalty.start_epoch(epoch)
    torch.testing.assert_close(penalty.multiplier("volume"), torch.tensor([2.0, 0.0]))
    gathered(penalty, [[-0.25, -0.1]])
    penalty.start_epoch(3)
    torch.testing.assert_close(penalty.multiplier("volume"), torch.tensor([1.5, 0.0]))


def test_multipliers_are_means_over_the_images_in_which_a_bound_is_active() -> None:
    penalty = AugmentedLagrangian(rho=1.0)
    gathered(penalty, [[1.0, -math.inf], [3.0, -math.inf]], [[-9.0, 4.0]])
    penalty.start_epoch(1)
    torch.testing.assert_close(penalty.multiplier("volume"), torch.tensor([4.0 / 3, 4.0]))


def test_multipliers_keep_their_value_without_new_images_and_stop_at_the_cap() -> None:
    penalty = AugmentedLagrangian(rho=1.0, cap=2.5)
    gathered(penalty, [[2.0]])
    penalty.start_epoch(1)
    penalty.start_epoch(2)
    assert penalty.multiplier("volume").item() == 2.0
    gathered(penalty, [[2.0]])
    penalty.start_epoch(3)
    assert penalty.multiplier("volume").item() == 2.5


def test_validation_leaves_no_trace() -> None:
    penalty = AugmentedLagrangian()
    gathered(penalty, [[1.0]])
    with torch.no_grad():
        penalty(torch.tensor([[100.0]]), "volume")
    penalty.eval()
    gathered(penalty, [[100.0]])
    penalty.start_epoch(1)
    assert penalty.multiplier("volume").item() == 1.0


@pytest.mark.parametrize("resumes", [False, True])
def test_what_is_first_seen_in_inference_mode_is_trained_afterwards(resumes: bool) -> None:
    penalty, saved = AugmentedLagrangian(), AugmentedLagrangian()
    gathered(saved, [[2.0]])
    with torch.inference_mode():
        if resumes:
            penalty.load_state_dict(saved.state_dict())
        penalty(torch.tensor([[1.0]]), "volume")
    gathered(penalty, [[4.0]])
    penalty.start_epoch(1)
    assert penalty.multiplier("volume").item() == (3.0 if resumes else 4.0)


def test_an_interrupted_epoch_resumes_with_what_it_had_gathered() -> None:
    penalty = AugmentedLagrangian()
    gathered(penalty, [[1.0]])
    penalty.start_epoch(1)
    gathered(penalty, [[5.0]])
    resumed = AugmentedLagrangian()
    resumed.load_state_dict(penalty.state_dict())
    for each in (penalty, resumed):
        gathered(each, [[3.0]])
        each.start_epoch(2)
    assert resumed.multiplier("volume").item() == penalty.multiplier("volume").item() == 5.0


def test_multipliers_of_different_constraints_are_kept_apart() -> None:
    penalty = AugmentedLagrangian()
    penalty(torch.tensor([[1.0]], requires_grad=True), "volume")
    penalty(torch.tensor([[2.0, 3.0]], requires_grad=True), "my.length")
    penalty.start_epoch(1)
    assert penalty.multiplier("volume").tolist() == [1.0]
    assert penalty.multiplier("my.length").tolist() == [2.0, 3.0]


def test_refuses_another_number_of_constraints_than_before() -> None:
    penalty = AugmentedLagrangian()
    gathered(penalty, [[1.0, 2.0]])
    with pytest.raises(ArgumentError, match=r"`z` to be \(B, \*\(2,\)\) as before for 'volume'"):
        gathered(penalty, [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("arguments", [{"rho": 0.0}, {"cap": math.inf}])
def test_refuses_an_augmented_lagrangian_without_weight_or_cap(arguments: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match=f"`{next(iter(arguments))}`"):
        AugmentedLagrangian(**arguments)


def test_a_users_penalty_needs_no_epochs() -> None:
    class Cubic(Penalty):
        def forward(self, z: Tensor, key: str) -> Tensor:
            return hinge(z) ** 3

    Cubic().start_epoch(3)
    assert Cubic()(torch.tensor([2.0]), "volume").item() == 8.0
    assert not Quadratic().state_dict()


RANK = """
import sys, torch
from shapewise.constraints import AugmentedLagrangian
rank, store = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
penalty = AugmentedLagrangian()
images = [[1.0]] if rank == 0 else [[2.0], [6.0]]
penalty(torch.tensor(images, requires_grad=True), "volume")
checkpoint = [penalty.state_dict()]  # one process writes it
torch.distributed.broadcast_object_list(checkpoint, src=0)
resumed = AugmentedLagrangian()
resumed.load_state_dict(checkpoint[0])
for each in (penalty, resumed):
    each.start_epoch(1)
    print(each.multiplier("volume").item())
torch.distributed.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no distributed package")
def test_devices_agree_on_the_multipliers_of_all_their_images_and_resume_with_them(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RANK]
    ranks = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "store")], stdout=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    assert [rank.communicate(timeout=60)[0].split() for rank in ranks] == [["3.0", "3.0"]] * 2
