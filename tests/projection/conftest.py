"""Soft predictions, and both ways to search for their projection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from shapewise.descriptors import describe_together
from shapewise.descriptors.kernel import kernel, without_kernel
from shapewise.projection import annotated_moments, moment_projection

MOMENTS = {
    "spread": ("volume", "centroid", "spread"),
    "covariance": ("volume", "centroid", "covariance"),
    "third": ("volume", "centroid", "covariance", "third_moments"),
}
PRECISE = {"iterations": 60, "accuracy": 1e-7, "ridge": 0.0}


@pytest.fixture(params=["compiled", "plain"], scope="module")
def search(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every law holds for both searches."""
    if request.param == "plain":
        with without_kernel():
            yield
    elif kernel() is None:
        pytest.skip("no compiled kernel on this machine")
    else:
        yield


def soft(batch: int = 2, size: tuple[int, ...] = (20, 24), seed: int = 0, classes: int = 3) -> Tensor:
    """Soft probabilities (B, K, *S), smooth enough to lie well inside of what moments can be."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, n, dtype=torch.float64) for n in size], indexing="ij")
    logits = torch.zeros(batch, classes, *size, dtype=torch.float64)
    for image in range(batch):
        for label in range(1, classes):
            centre = torch.rand(len(size), generator=generator, dtype=torch.float64) - 0.5
            distance = sum((axis - where) ** 2 for axis, where in zip(axes, centre, strict=True))
            logits[image, label] = (3 - 12 * distance).clamp(-5)
    return logits.softmax(1)


def noise(like: Tensor, seed: int = 1) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=like.dtype)


def described(probs: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
    return describe_together(probs[:, 1:], names)


def project(logits: Tensor, values: Any, **options: Any) -> Any:
    return moment_projection(logits, annotated_moments(values, logits.ndim - 2), **options)
