from __future__ import annotations

import math

import pytest
import torch

from shapewise.constraints import object_spread, own_size
from shapewise.errors import ArgumentError

NAN = math.nan
SPREAD = torch.tensor([[[3.0, 4.0]]])


def test_a_disc_spreads_by_half_its_radius() -> None:
    disc = torch.tensor([[[math.pi * 12.0**2]]])
    torch.testing.assert_close(
        object_spread(2, volume=disc, fallback=torch.zeros(2)), torch.full((1, 1, 2), 6.0)
    )


def test_a_ball_spreads_by_its_radius_over_the_root_of_five() -> None:
    grid = torch.stack(torch.meshgrid(*[torch.arange(-20.0, 21.0)] * 3, indexing="ij"))
    inside = grid.square().sum(0) <= 15.0**2
    measured = grid[:, inside].std(1, correction=0)
    volume = inside.sum().float().reshape(1, 1, 1)
    found = object_spread(3, volume=volume, fallback=torch.zeros(3))
    torch.testing.assert_close(found[0, 0], measured, rtol=0.01, atol=0.0)


def test_takes_the_best_of_what_is_known_number_by_number() -> None:
    volume = torch.full((1, 4, 1), math.pi * 100)
    volume[0, 3] = NAN
    covariance = torch.tensor([[[4.0, 1.0, 9.0], [4.0, 1.0, 9.0], [NAN, NAN, NAN], [NAN, NAN, NAN]]])
    spread = torch.tensor([[[7.0, NAN], [NAN, NAN], [NAN, NAN], [NAN, NAN]]])
    found = object_spread(
        2, spread=spread, covariance=covariance, volume=volume, fallback=torch.tensor([25.0, 30.0])
    )
    torch.testing.assert_close(found, torch.tensor([[[7.0, 3.0], [2.0, 3.0], [5.0, 5.0], [25.0, 30.0]]]))


def test_three_axes_of_a_covariance() -> None:
    covariance = torch.tensor([[[1.0, 0.0, 0.0, 4.0, 0.0, 9.0]]])
    found = object_spread(3, covariance=covariance, fallback=torch.zeros(3))
    assert found.tolist() == [[[1.0, 2.0, 3.0]]]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("value", [-8.0, 0.5], [8.0, 0.5]),
        ("spread", [100.0, 0.0], [3.0, 4.0]),
        ("spread_power", [9.0, 0.0, 16.0], [9.0, 12.0, 16.0]),
        ("spread_power", [1.0, 0.0, 0.0, 1.0], [27.0, 36.0, 48.0, 64.0]),
        ("one", [100.0], [1.0]),
    ],
)
def test_every_kind_of_scale(kind: str, value: list[float], expected: list[float]) -> None:
    found = own_size(kind, torch.tensor([[value]]), SPREAD)  # type: ignore[arg-type]
    assert found.tolist() == [[expected]]


def test_refuses_a_spread_for_a_descriptor_without_axes() -> None:
    with pytest.raises(ArgumentError, match="`value` to be of 2 components, as its scale is 'spread'"):
        own_size("spread", torch.zeros(1, 1, 1), SPREAD)
