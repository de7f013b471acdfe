"""Regions drawn from numbers, against the shapes that the numbers are of."""

from __future__ import annotations

import math

import pytest
import torch

from shapewise.descriptors import describe_together
from shapewise.projection import described_regions

NAMES = ("volume", "centroid", "covariance")


def ellipse(centre: tuple[float, float], axes: tuple[float, float], angle: float) -> torch.Tensor:
    row, column = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    row, column = row - centre[0], column - centre[1]
    along = math.cos(angle) * row + math.sin(angle) * column
    across = -math.sin(angle) * row + math.cos(angle) * column
    return (along / axes[0]) ** 2 + (across / axes[1]) ** 2 <= 1


def described(mask: torch.Tensor, classes: int) -> dict[str, torch.Tensor]:
    objects = torch.nn.functional.one_hot(mask, classes).movedim(-1, 1)[:, 1:]
    return {**describe_together(objects.float(), NAMES)}


def overlap(first: torch.Tensor, second: torch.Tensor) -> float:
    return (2 * (first & second).sum() / (first.sum() + second.sum())).item()


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_an_ellipse_comes_back(angle: float) -> None:
    mask = ellipse((30, 28), (14, 7), angle).long()[None]
    found, known = described_regions(described(mask, 2), (64, 64))
    assert known.all()
    assert overlap(found[0] == 1, mask[0] == 1) > 0.98


def test_a_disc_within_another_leaves_a_ring() -> None:
    outer, inner = ellipse((32, 32), (16, 16), 0), ellipse((32, 32), (9, 9), 0)
    mask = (outer.long() + inner.long())[None]
    found, _ = described_regions(described(mask, 3), (64, 64))
    assert overlap(found[0] == 2, mask[0] == 2) > 0.95
    assert overlap(found[0] == 1, mask[0] == 1) > 0.9


def test_absent_is_known_and_unknown_is_not() -> None:
    nan = math.nan
    given = {
        "volume": torch.tensor([[[40.0], [0.0]], [[40.0], [nan]]]),
        "centroid": torch.tensor([[[9.0, 9.0], [nan, nan]], [[9.0, 9.0], [nan, nan]]]),
        "spread": torch.tensor([[[1.8, 1.8], [nan, nan]], [[1.8, 1.8], [nan, nan]]]),
    }
    found, known = described_regions(given, (20, 20))
    assert known.tolist() == [True, False]
    assert not described_regions({"volume": given["volume"]}, (20, 20))[1].any()
    assert not (found[0] == 2).any()
    assert (found[0] == 1).sum().item() == pytest.approx(40, abs=8)


def test_what_gets_no_pixel_is_not_known_though_its_numbers_are() -> None:
    vast = {"volume": 40.0, "centroid": 9.0, "spread": 300.0}
    given = {name: torch.full((1, 1, 1 if name == "volume" else 2), each) for name, each in vast.items()}
    found, known = described_regions(given, (20, 20))
    assert not found.any()
    assert not known.any()
