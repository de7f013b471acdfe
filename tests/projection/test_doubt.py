"""What is put down to the annotator, by hand and as a law of the projection that follows."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from shapewise.constraints import Bounds
from shapewise.projection import annotated_moments, moment_projection
from shapewise.projection.annotated import AnnotatedMoments
from shapewise.projection.doubt import doubted


def one(*values: float) -> Tensor:
    return torch.tensor([[values]], dtype=torch.float64)


def of_a_square(error: float, volume: Tensor | Bounds | None = None) -> AnnotatedMoments:
    given = {
        "volume": one(100.0) if volume is None else volume,
        "centroid": one(5.0, 5.0),
        "spread": one(2, 2),
    }
    return annotated_moments(given, 2, error=error)


def moved(moments: AnnotatedMoments, *sums: float) -> AnnotatedMoments:
    assert moments.variance is not None
    return doubted(moments, moments.variance, one(*sums))


def test_a_discrepancy_of_the_error_moves_by_a_fifth() -> None:
    # One and two standard deviations (10 px; 20 px along each axis; 20 of the second moments): z² = 1.
    found = moved(of_a_square(0.1), 110, 20, -20, 130, 90)
    left = 0.8 * one(10, 20, -20, 20, -20)
    torch.testing.assert_close(found.lower[..., :1], one(100) + left[..., :1])
    torch.testing.assert_close(found.lower[..., 1:], one(0, 0, 1, 1) + left[..., 1:] / 108)
    torch.testing.assert_close(found.upper, found.lower)


def test_an_untrained_network_is_brought_to_its_numbers_nearly() -> None:
    # Ten standard deviations: a fiftieth is left.
    found = moved(of_a_square(0.1), 200, 200, 200, 400, 400)
    torch.testing.assert_close(found.lower[..., 0], torch.tensor([[102.0]], dtype=torch.float64))


def test_what_lies_between_its_bounds_stays() -> None:
    bounds = Bounds(one(80.0), one(120.0), one(math.nan))
    within, above = of_a_square(0.1, bounds), of_a_square(0.1, bounds)
    torch.testing.assert_close(moved(within, 110, 0, 0, 110, 110).lower, within.lower)
    found = moved(above, 130, 0, 0, 130, 130)
    torch.testing.assert_close(found.upper[..., 0] - found.lower[..., 0], one(40.0)[..., 0])
    assert found.upper[..., 0].item() == pytest.approx(128)


def test_an_open_side_stays_open() -> None:
    bounds = Bounds(one(80.0), one(math.inf), one(math.nan))
    found = moved(of_a_square(0.1, bounds), 60, 0, 0, 60, 60)
    assert found.upper[..., 0].isinf().all()
    assert found.lower[..., 0].item() < 80


def test_the_projection_leaves_the_same_part_of_every_discrepancy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 20, 20, generator=generator, dtype=torch.float64)
    where = torch.arange(20, dtype=torch.float64)
    bump = -((where[:, None] - 9) ** 2 + (where - 11) ** 2) / 12
    logits[:, 1] += bump
    given = {"volume": one(30.0), "centroid": one(9.0, 10.0), "spread": one(2.4, 2.2)}

    def gaps(probs: Tensor) -> Tensor:
        s = probs[0, 1]
        u, v = (where[:, None] - 9) / 2.4, (where - 10) / 2.2
        return torch.stack([s.sum() - 30, (s * u).sum(), (s * v).sum(), (s * (u**2 - 1)).sum()])

    found = moment_projection(
        logits, annotated_moments(given, 2, error=0.2), iterations=60, accuracy=1e-9, ridge=0.0
    )
    assert found.converged.all()
    parts = gaps(found.probs) / gaps(logits.softmax(1))
    assert 0 < parts[0] <= 0.8
    torch.testing.assert_close(parts, parts[:1].expand(4), rtol=1e-4, atol=1e-6)


def test_a_mean_moves_towards_what_is_annotated_however_thick_the_volume() -> None:
    centre = torch.tensor([[[6.0, 6.0]]], dtype=torch.float64)
    wide = Bounds(one(20.0), one(200.0), one(math.nan))
    given = {"volume": wide, "centroid": centre, "spread": one(2.0, 2.0)}
    moments = annotated_moments(given, 2, error=0.1)
    assert moments.variance is not None
    scale = moments.scale[0, 0, 0].item()
    found = doubted(moments, moments.variance, one(100, 100, 0, 100, 100))  # one scale too far down
    mean = found.lower[0, 0, 1].item() * scale
    assert 0 <= mean < scale


def test_an_object_that_is_missed_is_asked_for_nearly_whole() -> None:
    found = moved(of_a_square(0.2), 0, 0, 0, 0, 0)  # five standard deviations of the volume
    assert found.lower[0, 0, 0].item() == pytest.approx(100 * (1 - 2 / 25))
