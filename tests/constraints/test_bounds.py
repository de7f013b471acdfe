from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from shapewise.constraints import Bounds
from shapewise.errors import ArgumentError

NAN, INF = math.nan, math.inf


def column(*values: float) -> Tensor:
    return torch.tensor(values)


def test_a_relative_margin_is_a_share_of_the_magnitude() -> None:
    bounds = Bounds.around(column(100.0, -20.0, 0.0), relative=0.1)
    torch.testing.assert_close(bounds.lower, column(90.0, -22.0, 0.0))
    torch.testing.assert_close(bounds.upper, column(110.0, -18.0, 0.0))


def test_margins_add_up() -> None:
    bounds = Bounds.around(column(50.0), relative=0.2, absolute=3.0)
    assert (bounds.lower.item(), bounds.upper.item()) == (37.0, 63.0)


def test_a_value_that_does_not_exist_constrains_nothing() -> None:
    assert not Bounds.around(column(NAN)).active.any()


def test_infinite_and_unknown_sides_are_inactive() -> None:
    bounds = Bounds(column(-INF, 1.0, NAN), column(2.0, INF, NAN))
    assert bounds.active.tolist() == [[False, True], [True, False], [False, False]]


def test_sides_broadcast_against_each_other() -> None:
    bounds = Bounds(torch.zeros(2, 3, 1), torch.ones(4))
    assert bounds.lower.shape == bounds.upper.shape == (2, 3, 4)
    assert bounds.active.shape == (2, 3, 4, 2)


def test_a_reference_broadcasts_with_the_sides() -> None:
    one, many = torch.ones(1), torch.zeros(2, 3, 1)
    for bounds in (Bounds(many, many + 2, one), Bounds(one - 1, one + 1, many)):
        assert bounds.reference is not None
        assert bounds.reference.shape == bounds.lower.shape == bounds.upper.shape == (2, 3, 1)
    assert bounds.expand((2, 3, 4)).center().shape == (2, 3, 4)


def test_the_center_is_the_best_guess_of_the_value() -> None:
    lower, upper = column(1.0, 1.0, -INF, -INF, 1.0), column(3.0, INF, 3.0, INF, 3.0)
    assert str(Bounds(lower, upper).center().tolist()) == "[2.0, 1.0, 3.0, nan, 2.0]"
    reference = column(2.5, 2.0, 1.0, NAN, NAN)
    assert str(Bounds(lower, upper, reference).center().tolist()) == "[2.5, 2.0, 1.0, nan, 2.0]"


def test_only_unknown_sides_of_known_values_are_filled() -> None:
    lower = column(NAN, 9.5, -INF, NAN, NAN)
    upper = column(NAN, NAN, NAN, NAN, 4.0)
    filled = Bounds(lower, upper, column(10.0, 10.0, 10.0, NAN, NAN)).filled(1.0)
    assert str(filled.lower.tolist()) == "[9.0, 9.5, -inf, nan, nan]"
    assert str(filled.upper.tolist()) == "[11.0, 11.0, 11.0, nan, 4.0]"


def test_a_filled_side_does_not_pass_the_given_one() -> None:
    filled = Bounds(column(12.0, NAN), column(NAN, 8.0), column(10.0, 10.0)).filled(1.0)
    assert filled.upper.tolist() == [12.0, 8.0]
    assert filled.lower.tolist() == [12.0, 8.0]


def test_bounds_without_a_reference_have_nothing_to_fill() -> None:
    assert Bounds(column(NAN), column(4.0)).filled(1.0).lower.isnan().all()


def test_moving_keeps_everything() -> None:
    moved = Bounds.around(column(10.0)).to("cpu", torch.float64)
    assert moved.lower.dtype == moved.upper.dtype == torch.float64
    assert moved.reference is not None
    assert moved.reference.dtype == torch.float64


def test_refuses_bounds_that_are_upside_down_and_says_where() -> None:
    with pytest.raises(ArgumentError, match=r"`lower` to be at most `upper`, but got 5.0 > 4.0 at \(1, 0\)"):
        Bounds(torch.tensor([[1.0], [5.0]]), torch.tensor([4.0]))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Bounds(torch.zeros(2), torch.zeros(3)), "lower"),
        (lambda: Bounds(torch.zeros(2), torch.ones(2), torch.zeros(3)), "reference"),
        (lambda: Bounds.around(column(1.0), relative=-0.1), "relative"),
        (lambda: Bounds.around(column(1.0), absolute=NAN), "absolute"),
        (lambda: Bounds.constant(lower=NAN), "lower"),
        (lambda: Bounds.constant(0.0, 1.0).expand((2, 0)).expand((3, 4)), "bounds"),
    ],
)
def test_refuses_what_makes_no_interval(make: object, name: str) -> None:
    with pytest.raises(ArgumentError, match=f"`{name}`"):
        make()  # type: ignore[operator]
