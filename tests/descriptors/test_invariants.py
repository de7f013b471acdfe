from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import measure

from shapewise.descriptors import hu_moments
from shapewise.errors import ArgumentError


def image(seed: int, size: int = 9) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((size, size + 2)))[None, None]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_agrees_with_skimage(seed):
    probs = image(seed)
    nu = measure.moments_normalized(measure.moments_central(probs[0, 0].numpy()))
    np.testing.assert_allclose(hu_moments(probs)[0, 0], measure.moments_hu(nu), rtol=1e-8, atol=1e-16)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), turns=st.integers(1, 3))
def test_rotation_changes_nothing(seed, turns):
    probs = image(seed)
    turned = torch.rot90(probs, turns, dims=(2, 3))
    torch.testing.assert_close(hu_moments(turned), hu_moments(probs), rtol=1e-7, atol=1e-14)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_a_mirror_changes_the_sign_of_the_seventh(seed):
    probs = image(seed)
    sign = torch.tensor([1, 1, 1, 1, 1, 1, -1])
    torch.testing.assert_close(hu_moments(probs.flip(3)), sign * hu_moments(probs), rtol=1e-7, atol=1e-14)


def test_scale_changes_little():
    """Enlarged pixels add a little second moment of their own."""
    probs = image(0, size=24)
    larger = probs.repeat_interleave(3, dim=2).repeat_interleave(3, dim=3)
    torch.testing.assert_close(hu_moments(larger)[..., 0], hu_moments(probs)[..., 0], rtol=0.01, atol=0)


def test_volumes_are_refused():
    with pytest.raises(ArgumentError, match=r"`probs`.*\(B, K, H, W\)"):
        hu_moments(torch.ones(1, 1, 2, 2, 2))
