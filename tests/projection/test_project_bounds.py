"""Moments that are to lie between bounds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from projection.conftest import MOMENTS, PRECISE, described, noise, project, soft
from shapewise.constraints import Bounds

pytestmark = pytest.mark.usefixtures("search")


def test_bounds_leave_alone_what_lies_between_them() -> None:
    truth = soft()
    logits = truth.log() + 0.3 * noise(truth)
    values = described(truth, MOMENTS["spread"])
    halves = {"volume": 0.5 * values["volume"], "centroid": 3.0, "spread": 0.5 * values["spread"]}
    wide = {name: Bounds(value - halves[name], value + halves[name]) for name, value in values.items()}
    torch.testing.assert_close(project(logits, wide).probs, logits.softmax(1), rtol=1e-6, atol=1e-8)


def test_bounds_are_met_and_no_more() -> None:
    truth = soft()
    logits = truth.log()
    logits[:, 1:] += 1.0  # everything too large
    values = described(truth, ("volume", "centroid"))
    volume = values["volume"]
    given_bounds = {"volume": Bounds(0.9 * volume, 1.1 * volume), "centroid": values["centroid"]}
    found = project(logits, given_bounds, **PRECISE)
    assert found.converged.all()
    torch.testing.assert_close(found.probs[:, 1:].sum((2, 3))[..., None], 1.1 * volume, rtol=1e-4, atol=1e-3)


def outside(probs: Tensor, bounds: dict[str, Bounds]) -> float:
    """By how many pixels a prediction's descriptors lie outside their bounds."""
    found = described(probs, tuple(bounds))
    worst = [torch.maximum(b.lower - found[name], found[name] - b.upper) for name, b in bounds.items()]
    return float(torch.cat(worst, -1).max())


def test_bounds_are_kept_however_wide_and_lopsided() -> None:
    truth = soft(batch=1)
    values = described(truth, MOMENTS["spread"])
    prediction = (0.4 * truth.log()).roll((3, -2), (2, 3))
    bounds = {
        "volume": Bounds(0.3 * values["volume"], 3 * values["volume"]),
        "centroid": Bounds(values["centroid"] - 0.5, values["centroid"] + 4),
        "spread": Bounds(0.9 * values["spread"], 1.3 * values["spread"]),
    }
    assert outside(prediction.softmax(1), bounds) > 0.5
    found = project(prediction, bounds, **PRECISE)
    assert found.converged.all()
    # A spread is measured about the middle of the centroid's bounds: the rest is exact.
    assert outside(found.probs, {name: bounds[name] for name in ("volume", "centroid")}) < 1e-4
    assert found.residual.max() < 1e-6


def test_what_lies_within_bounds_stays_though_they_are_lopsided() -> None:
    truth = soft(batch=1)
    values = described(truth, MOMENTS["spread"])
    bounds = {
        "volume": values["volume"],
        "centroid": Bounds(values["centroid"] - 1, values["centroid"] + 3),
        "spread": values["spread"],
    }
    found = project(truth.log(), bounds, **PRECISE)
    torch.testing.assert_close(found.probs, truth, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("lower", "upper", "expected"), [(1.5, math.inf, 1.5), (-math.inf, 0.5, 0.5), (0.5, 1.5, 1)]
)
def test_one_sided_bounds(lower: float, upper: float, expected: float) -> None:
    truth = soft(batch=1)
    volume = described(truth, ("volume",))["volume"]
    bounds = Bounds(
        *(
            factor * volume if math.isfinite(factor) else torch.full_like(volume, factor)
            for factor in (lower, upper)
        )
    )
    found = project(truth.log(), {"volume": bounds}, **PRECISE).probs
    torch.testing.assert_close(
        described(found, ("volume",))["volume"], expected * volume, rtol=1e-5, atol=1e-5
    )
