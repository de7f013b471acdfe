from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from shapewise.errors import ArgumentError
from shapewise.losses import MomentProjectionLoss, ShapeConstraintLoss

INF = math.inf
LOSSES = [ShapeConstraintLoss, MomentProjectionLoss]
NAMES = ("volume", "centroid", "covariance")


def squares() -> dict[str, Tensor]:
    """What two images say of two classes: squares of 4 by 4 pixels."""
    each = {
        "volume": [16.0],
        "centroid": [7.5, 7.5],
        "covariance": [1.25, 0.0, 1.25],
        "spread": [1.118, 1.118],
    }
    return {name: torch.tensor(values).expand(2, 2, -1).clone() for name, values in each.items()}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("name", "component", "value"),
    [
        ("volume", 0, -3.0),
        ("volume", 0, INF),
        ("centroid", 1, -INF),
        ("covariance", 2, -1.0),
        ("spread", 0, -1.0),
    ],
)
def test_numbers_that_no_object_has_are_refused(
    loss: type[ShapeConstraintLoss] | type[MomentProjectionLoss], name: str, component: int, value: float
) -> None:
    given = squares()
    given[name][1, 0, component] = value
    expected = rf"`target\['{name}'\]` to be .* for class 1 of image 1, but got the value {value}"
    with pytest.raises(ArgumentError, match=expected):
        loss(NAMES, softmax=True)(torch.zeros(2, 3, 16, 16), given)


def test_a_background_that_is_described_is_class_0() -> None:
    loss = ShapeConstraintLoss(["volume"], include_background=True)
    with pytest.raises(ArgumentError, match="for class 0 of image 0, but got the value -1"):
        loss(torch.full((1, 2, 8, 8), 0.5), {"volume": torch.tensor([[[-1.0], [4.0]]])})


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("value", [math.nan, 0.0])
def test_unknown_and_absent_objects_pass(
    loss: type[ShapeConstraintLoss] | type[MomentProjectionLoss], value: float
) -> None:
    given = squares()
    for numbers in given.values():
        numbers[1, 0] = value if numbers is given["volume"] else math.nan
    assert loss(NAMES, softmax=True)(torch.zeros(2, 3, 16, 16), given).isfinite()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_row_of_pixels_may_have_a_variance_a_rounding_below_0(
    loss: type[ShapeConstraintLoss] | type[MomentProjectionLoss],
) -> None:
    given = squares()
    given["covariance"][:, :, 0] = -1e-9
    assert loss(NAMES, softmax=True)(torch.zeros(2, 3, 16, 16), given).isfinite()
