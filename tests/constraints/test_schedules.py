from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapewise.constraints import Constant, Geometric
from shapewise.errors import ArgumentError


def test_grows_by_the_factor_up_to_the_cap() -> None:
    schedule = Geometric(start=5.0, factor=1.05, cap=30.0)
    assert schedule(0) == 5.0
    assert schedule(10) == pytest.approx(5.0 * 1.05**10)
    assert schedule(36) < 30.0 == schedule(37)


@given(
    st.floats(1e-3, 1e3), st.floats(1.0, 10.0), st.floats(1.0, 1e6), st.integers(0, 10**7), st.integers(0, 99)
)
@settings(deadline=None)
def test_never_falls_and_never_overflows(
    start: float, factor: float, growth: float, epoch: int, later: int
) -> None:
    schedule = Geometric(start, factor, start * growth)
    assert start <= schedule(epoch) * (1 + 1e-12)
    assert schedule(epoch) <= schedule(epoch + later) * (1 + 1e-12) < math.inf


def test_constant_never_changes() -> None:
    assert [Constant(7.0)(epoch) for epoch in (0, 1, 500)] == [7.0] * 3


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"start": 0.0}, "start"),
        ({"start": math.nan}, "start"),
        ({"factor": 0.9}, "factor"),
        ({"cap": 4.0}, "cap"),
        ({"cap": math.inf}, "cap"),
    ],
)
def test_refuses_a_schedule_that_shrinks_or_runs_away(arguments: dict[str, float], name: str) -> None:
    with pytest.raises(ArgumentError, match=f"`{name}`"):
        Geometric(**arguments)


@pytest.mark.parametrize("schedule", [Geometric(), Constant(5.0)])
def test_refuses_a_negative_epoch(schedule: Geometric | Constant) -> None:
    with pytest.raises(ArgumentError, match="`epoch`"):
        schedule(-1)


def test_refuses_a_constant_that_is_no_slope() -> None:
    with pytest.raises(ArgumentError, match="`t`"):
        Constant(0.0)
