from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from shapewise.constraints import Bounds, require_possible
from shapewise.descriptors.least import least_values
from shapewise.errors import ArgumentError

NAN, INF = math.nan, math.inf
LEAST = {"volume": (0.0,), "centroid": (-INF, -INF)}


def volumes(value: float) -> Tensor:
    """Two images of three classes, of which one number is the given one."""
    numbers = torch.full((2, 3, 1), 9.0)
    numbers[1, 2] = value
    return numbers


@pytest.mark.parametrize("value", [0.0, 5.0, 1e30, NAN])
def test_what_an_object_may_have_passes(value: float) -> None:
    require_possible({"volume": volumes(value)}, LEAST)


@pytest.mark.parametrize("value", [-1.0, INF, -INF])
@pytest.mark.parametrize("as_reference", [True, False])
def test_what_no_object_has_is_named_with_its_place(value: float, as_reference: bool) -> None:
    unknown = torch.full((2, 3, 1), NAN)
    given = Bounds(unknown, unknown, volumes(value)) if as_reference else volumes(value)
    expected = rf"`target\['volume'\]` to be finite and at least 0 for class 3 of image 1, .* value {value}$"
    with pytest.raises(ArgumentError, match=expected):
        require_possible({"volume": given}, LEAST, argument="target")


def test_only_amounts_are_not_negative() -> None:
    centroid = torch.zeros(2, 3, 2)
    centroid[0, 1, 1] = -7.0
    given = {"volume": volumes(1.0), "centroid": centroid}
    require_possible(given, LEAST)
    centroid[0, 1, 1] = INF
    expected = (
        r"`given\['centroid'\]` to be finite for class 1 of image 0, but got the value inf as component 1"
    )
    with pytest.raises(ArgumentError, match=expected):
        require_possible(given, LEAST, first=0)


@pytest.mark.parametrize("name", ["elongation", "convexity", "length"])
def test_proportions_are_not_negative_either(name: str) -> None:
    with pytest.raises(ArgumentError, match="at least 0"):
        require_possible({name: volumes(-9.0)}, {name: least_values(name, 2)})


def test_sides_may_be_open_and_a_lower_bound_anything() -> None:
    for side in (INF, -INF, -5.0):
        require_possible({"volume": Bounds(volumes(side), volumes(INF))}, LEAST)
    with pytest.raises(ArgumentError, match=r"at least 0 for class 3 of image 1, .* the upper bound -5\.0"):
        require_possible({"volume": Bounds(volumes(-INF), volumes(-5.0))}, LEAST)


def test_it_keeps_out_of_the_way_of_vmap() -> None:
    def volume(values: torch.Tensor) -> torch.Tensor:
        require_possible({"volume": values[None]}, {"volume": (0.0,)})
        return values.sum()

    assert torch.vmap(volume)(torch.ones(2, 3, 1)).tolist() == [3.0, 3.0]
