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
    torch.testing.assert_close(found.lower, one(32, 0, 0, 1, 1))  # in its own spreads an object has spread 1
    torch.testing.assert_close(found.upper, found.lower)
    torch.testing.assert_close(found.centre, one(3.5, 6.5))
    assert found.known.all()
    assert found.size.item() == 32


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_annotated_object_meets_its_own_constraints(order: int) -> None:
    names = ("volume", "centroid", "covariance", "third_moments", "fourth_moments")[: order + 1]
    found = annotated_moments(describe_together(box(), names), 2)
    row, column = torch.meshgrid(*[torch.arange(12.0, dtype=torch.float64)] * 2, indexing="ij")
    for index, (p, q) in enumerate(found.exponents[1:], start=1):
        u = (row - found.centre[0, 0, 0]) / found.scale[0, 0, 0]
        v = (column - found.centre[0, 0, 1]) / found.scale[0, 0, 1]
        mean = (box()[0, 0] * u**p * v**q).sum() / 32
        assert mean.item() == pytest.approx(found.lower[0, 0, index].item(), abs=1e-6)


def test_what_is_not_known_is_left_out() -> None:
    given = {"volume": one(NAN), "centroid": one(3.0, NAN), "spread": one(2.0, 4.0)}
    found = annotated_moments(given, 2)
    # A spread says nothing about an object that nobody has located.
    assert found.known.tolist() == [[[False, True, False, False, False]]]
    assert found.present.item()
    assert found.size.item() == 4 * 8  # a box of one spread to each side
    for part in (found.centre, found.scale, found.size):
        assert part.isfinite().all()


def test_a_covariance_that_is_not_known_leaves_the_spread() -> None:
    given = {"volume": one(9.0), "centroid": one(3.0, 3.0), "spread": one(2.0, 4.0)}
    found = annotated_moments(given | {"covariance": one(NAN, NAN, NAN)}, 2)
    assert found.exponents[3:] == ((2, 0), (1, 1), (0, 2))
    assert found.known.tolist() == [[[True, True, True, True, False, True]]]
    torch.testing.assert_close(found.lower[..., [3, 5]], one(1, 1))


@pytest.mark.parametrize(
    "volume", [one(0.0), Bounds(one(NAN), one(NAN), one(0.0)), Bounds(one(0), one(3), one(0))]
)
def test_a_class_of_no_volume_is_absent_and_asks_for_nothing(volume: Tensor | Bounds) -> None:
    found = annotated_moments({"volume": volume, "centroid": one(3.0, 4.0), "spread": one(0.0, 0.0)}, 2)
    assert not found.present.item()
    assert not found.known.any()


def test_a_volume_tells_who_is_absent_though_it_is_not_to_be_met() -> None:
    given = {"volume": torch.tensor([[[9.0], [0.0]]]), "centroid": torch.tensor([[[3.0, 3.0], [NAN, NAN]]])}
    found = annotated_moments(given, 2, descriptors=["centroid"])
    assert found.present.tolist() == [[True, False]]
    assert found.known.tolist() == [[[False, True, True], [False] * 3]]


def test_presence_alone_is_a_volume_of_a_pixel_or_more() -> None:
    found = annotated_moments({"volume": Bounds(one(1.0), one(NAN), one(NAN))}, 2)
    assert found.present.item()
    assert (found.lower.item(), found.upper.item()) == (1, math.inf)


def test_bounds_are_kept_as_they_are() -> None:
    given = {
        "volume": Bounds(one(80.0), one(120.0)),
        "centroid": Bounds(one(4.0, 5.0), one(6.0, 5.0)),
        "spread": Bounds(one(1.0, 2.0), one(3.0, 2.0)),
    }
    found = annotated_moments(given, 2)
    torch.testing.assert_close(found.centre, one(5.0, 5.0))
    # In spreads of 2; a square about a point 1 px from the centroid is larger by 1 px².
    torch.testing.assert_close(found.lower, one(80, -0.5, 0, 0.25, 1))
    torch.testing.assert_close(found.upper, one(120, 0.5, 0, (9 + 1) / 4, 1))


def test_a_covariance_about_a_centroid_in_doubt() -> None:
    centroid = Bounds(one(4.0, 3.0), one(6.0, 7.0))  # give or take 1 and 2 px
    given = {"volume": one(100.0), "centroid": centroid, "covariance": one(4.0, 1.0, 9.0)}
    found = annotated_moments(given, 2)
    torch.testing.assert_close(found.lower[..., 3:], one(4 / 4, (1 - 2) / 6, 9 / 9))
    torch.testing.assert_close(found.upper[..., 3:], one((4 + 1) / 4, (1 + 2) / 6, (9 + 4) / 9))


def test_a_spread_is_never_less_than_nothing() -> None:
    given = {"centroid": one(5.0, 5.0), "spread": Bounds(one(-3.0, 1.0), one(1.0, 3.0))}
    assert annotated_moments(given, 2).lower[0, 0, 3] == 0


@pytest.mark.parametrize(
    ("bounds", "lower", "upper"),
    [
        (Bounds(one(-math.inf), one(math.inf), one(100)), -math.inf, math.inf),
        (Bounds(one(90), one(math.inf), one(100)), 90, math.inf),
        (Bounds(one(NAN), one(100), one(NAN)), -math.inf, 100),
        (Bounds(one(90), one(NAN), one(100)), 90, 100),
        (Bounds(one(NAN), one(NAN), one(100)), 100, 100),
    ],
)
def test_sides_that_are_open_or_not_given(bounds: Bounds, lower: float, upper: float) -> None:
    found = annotated_moments({"volume": bounds}, 2)
    assert (found.lower.item(), found.upper.item()) == (lower, upper)
    assert found.known.item() == (lower > -math.inf or upper < math.inf)


def test_an_error_is_measured_in_sizes_of_the_object() -> None:
    given = {"volume": one(100.0), "centroid": one(5.0, 5.0), "spread": one(2.0, 2.0)}
    torch.testing.assert_close(annotated_moments(given, 2, error=0.1).variance, one(100, 400, 400, 400, 400))


def test_a_tolerance_moves_the_bounds_apart_in_the_same_units() -> None:
    given = {"volume": one(100.0), "centroid": one(5.0, 5.0), "spread": one(2.0, 3.0)}
    found = annotated_moments(given, 2, tolerance=0.1)
    torch.testing.assert_close(found.lower, one(90.0, -0.2, -0.2, 0.8, 0.8))
    torch.testing.assert_close(found.upper, one(110.0, 0.2, 0.2, 1.2, 1.2))


def test_a_volume_alone_says_how_far_its_centroid_may_be_off() -> None:
    disc = {"volume": one(400 * math.pi), "centroid": one(5.0, 5.0)}
    torch.testing.assert_close(annotated_moments(disc, 2).scale, one(10.0, 10.0))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"length": one(9.0)},
        {"volume": one(-5.0)},
        {"volume": one(math.inf)},
        {"centroid": one(3.0, -math.inf)},
        {"volume": one(1.0, 2.0)},
        {"volume": torch.tensor(3.0)},
        {"centroid": one(1.0)},
        {"volume": torch.ones(4, 1, 1), "centroid": torch.ones(4, 2, 2)},
        {"volume": Bounds(torch.ones(1, 1, 1), torch.ones(1, 1, 1)), "centroid": torch.ones(4, 1, 2)},
    ],
)
def test_what_cannot_be_a_moment_is_refused(given: dict[str, Tensor]) -> None:
    with pytest.raises(ArgumentError):
        annotated_moments(given, 2)


def test_a_wanted_descriptor_that_is_not_given_is_named() -> None:
    with pytest.raises(ArgumentError, match="to have 'spread', but got volume"):
        annotated_moments({"volume": one(9.0)}, 2, descriptors=["volume", "spread"])
