"""Sharper probabilities, alone and within their moments."""

from __future__ import annotations

import pytest
import torch

from projection.conftest import MOMENTS, described, soft
from shapewise.projection import annotated_moments, sharpen, sharpen_within

pytestmark = pytest.mark.usefixtures("search")


def test_sharpening_keeps_the_simplex_and_the_order() -> None:
    probs = soft()
    sharper = sharpen(probs, 2.0)
    torch.testing.assert_close(sharper.sum(1), torch.ones_like(sharper[:, 0]))
    assert (sharper.amax(1) >= probs.amax(1)).all()
    torch.testing.assert_close(sharpen(probs, 1.0), probs)


@pytest.mark.parametrize("factor", [0.1, 1.5])
def test_sharpening_leaves_the_absent_absent(factor: float) -> None:
    probs = soft()
    probs[:, 2] = 0
    assert (sharpen(probs, factor)[:, 2] == 0).all()


@pytest.mark.parametrize("names", [("volume",), MOMENTS["spread"], MOMENTS["covariance"]])
def test_what_is_sharpened_within_its_moments_keeps_them(names: tuple[str, ...]) -> None:
    probs = soft()
    values = described(probs, names)
    moments = annotated_moments(values, 2)
    sharper = sharpen_within(probs, 2.0, moments, iterations=40, ridge=0.0)
    for name, value in described(sharper, names).items():
        torch.testing.assert_close(value, values[name], rtol=0.02, atol=0.05)
    entropy, before = (-(p * p.clamp_min(1e-30).log()).sum() for p in (sharper, probs))
    assert entropy < 0.9 * before
    torch.testing.assert_close(sharpen_within(probs, 1.0, moments), probs)


def test_sharpening_within_moments_leaves_the_absent_absent() -> None:
    probs = soft().float()
    probs[:, 2] = 0
    probs /= probs.sum(1, keepdim=True)
    moments = annotated_moments(described(probs, MOMENTS["covariance"]), 2)
    sharper = sharpen_within(probs, 3.0, moments)
    assert sharper.isfinite().all()
    assert (sharper[:, 2] == 0).all()


def test_sharpening_keeps_the_volume_though_a_pixel_is_no_background_for_sure() -> None:
    probs = torch.tensor([0.7, 0.3])[None, :, None, None].repeat(1, 1, 8, 8)
    probs[..., 2, 2] = torch.tensor([0.0, 1.0])
    volume = annotated_moments(described(probs, ("volume",)), 2)
    sharper = sharpen_within(probs, 3.0, volume, iterations=40, ridge=0.0)
    assert sharper[:, 1].sum().item() == pytest.approx(probs[:, 1].sum().item(), rel=0.02)
