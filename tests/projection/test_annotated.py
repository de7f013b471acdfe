from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from shapewise.constraints import Bounds
from shapewise.descriptors import describe_together
from shapewise.errors import ArgumentError
from shapewise.projection import annotated_moments

NAN = math.nan


def one(*numbers: float) -> Tensor:
    """Values of one object in one image."""
    return torch.tensor([[numbers]], dtype=torch.float64)


def box() -> Tensor:
    probs = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    probs[..., 2:6, 3:11] = 1
    return probs


def test_worked_by_hand() -> None:
    found = annotated_moments({"volume": one(32.0), "centroid": one(3.5, 6.5), "spread": one(2.0, 4.0)}, 2)
    assert found.exponents == ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2))
    torch.testing.assert_close(found.value, one(32, 0, 0, 0, 0))
    torch.testing.assert_close(found.mean, one(0, 0, 0, 1, 1))  # in its own spreads every object has spread 1
    assert found.known.all()
    assert found.size.item() == 32


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_annotated_object_meets_its_own_constraints(order: int) -> None:
    names = ("volume", "centroid", "covariance", "third_moments", "fourth_moments")[: order + 1]
    found = annotated_moments(describe_together(box(), names), 2)
    row, column = torch.meshgrid(*[torch.arange(12.0, dtype=torch.float64)] * 2, indexing="ij")
    for index, (p, q) in enumerate(found.exponents):
        u = (row - found.centre[0, 0, 0]) / found.scale[0, 0, 0]
        v = (column - found.centre[0, 0, 1]) / found.scale[0, 0, 1]
        total = (box()[0, 0] * (u**p * v**q - found.mean[0, 0, index])).sum()
        assert total.item() == pytest.approx(found.value[0, 0, index].item(), abs=1e-9)


def test_what_is_not_known_is_left_out() -> None:
    given = {"volume": one(NAN), "centroid": one(3.0, NAN), "spread": one(2.0, 4.0)}
    found = annotated_moments(given, 2)
    # A spread says nothing about an object that nobody has located.
    assert found.known.tolist() == [[[False, True, False, False, False]]]
    assert found.present.item()
    assert found.size.item() == 4 * 8  # a box of one spread to each side
    for part in (found.mean, found.value, found.centre, found.tolerance, found.variance):
        assert part.isfinite().all()


def test_a_class_of_no_volume_is_absent_and_asks_for_nothing() -> None:
    found = annotated_moments({"volume": one(0.0), "centroid": one(3.0, 4.0), "spread": one(0.0, 0.0)}, 2)
    assert not found.present.item()
    assert not found.known.any()


def test_presence_alone() -> None:
    volume = Bounds(one(1.0), one(NAN), one(NAN))
    found = annotated_moments({"volume": volume}, 2)
    assert found.present.item()
    assert not found.known.any()


def test_bounds_become_middles_and_tolerances() -> None:
    given = {
        "volume": Bounds(one(80.0), one(120.0)),
        "centroid": Bounds(one(4.0, 5.0), one(6.0, 5.0)),
        "spread": Bounds(one(1.0, 2.0), one(3.0, 2.0)),
    }
    found = annotated_moments(given, 2)
    torch.testing.assert_close(found.value, one(100, 0, 0, 0, 0))
    torch.testing.assert_close(found.centre, one(5.0, 5.0))
    # Half-widths: 20 px; 1 px of a spread of 2; the squares 1 and 9 in units of 4, so 1.25 give or take 1.
    torch.testing.assert_close(found.mean, one(0, 0, 0, 1.25, 1))
    torch.testing.assert_close(found.tolerance, one(20, 50, 0, 100, 0))


def test_an_error_is_measured_in_sizes_of_the_object() -> None:
    given = {"volume": one(100.0), "centroid": one(5.0, 5.0), "spread": one(2.0, 2.0)}
    torch.testing.assert_close(annotated_moments(given, 2, error=0.1).variance, one(100, 400, 400, 400, 400))


@pytest.mark.parametrize("given", [{}, {"length": one(9.0)}])
def test_what_is_no_moment_is_refused(given: dict[str, Tensor]) -> None:
    with pytest.raises(ArgumentError):
        annotated_moments(given, 2)
