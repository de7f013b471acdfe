"""The fused step against the plain functions that define it: values, gradients, gradients of gradients."""

from __future__ import annotations

import pytest
import torch

from shapewise.descriptors import describe_together, get
from shapewise.descriptors.fused import describe_fused

NAMES = ("volume", "centroid", "spread", "length")
SHAPES = [(2, 4, 9, 7), (1, 2, 1, 5), (2, 3, 5, 6, 4), (1, 3, 7, 2, 9), (2, 3, 120, 90), (2, 4, 400, 300)]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def plain(probs: torch.Tensor, names: tuple[str, ...], **options) -> dict[str, torch.Tensor]:
    return {name: get(name).function(probs, **options) for name in names}


def gradient(values: dict[str, torch.Tensor], probs: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Of a random combination of all values."""
    random = torch.Generator().manual_seed(seed)
    total = sum(
        (value * torch.randn(value.shape, generator=random, dtype=value.dtype)).sum()
        for value in values.values()
    )
    return torch.autograd.grad(total, probs)[0]


def blobs(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Probabilities; the last class of the first image is all but absent."""
    logits = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    logits[0, -1] -= 60
    return logits.softmax(1).requires_grad_()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("spacing", [None, (0.5, 2.0, 1.25)])
@pytest.mark.parametrize("names", [NAMES, NAMES[:3], NAMES[3:]], ids=["with length", "without", "alone"])
def test_values_and_gradients_are_those_of_the_plain_functions(shape, dtype, first, spacing, names):
    probs, tolerance = blobs(shape, dtype), TOLERANCE[dtype]
    spacing = spacing and spacing[: len(shape) - 2]
    found = describe_fused(probs, names, spacing=spacing, first=first)
    expected = plain(probs[:, first:], names, spacing=spacing)
    assert tuple(found) == names
    for name in names:
        size = expected[name].abs().max().item()
        torch.testing.assert_close(found[name], expected[name], rtol=tolerance, atol=tolerance * size)
    correct = gradient(expected, probs)
    size = correct.abs().max().item()
    torch.testing.assert_close(gradient(found, probs), correct, rtol=tolerance, atol=tolerance * size)


def test_extremes_have_the_plain_gradients():
    one_hot = torch.eye(3)[torch.arange(48).reshape(6, 8) % 3].movedim(-1, 0)
    point = torch.zeros(3, 6, 8)
    point[0] = 1
    point[:2, 2, 3] = torch.tensor([0.0, 1.0])
    full = torch.tensor([0.0, 1.0, 0.0]).reshape(3, 1, 1).expand(3, 6, 8)
    probs = torch.stack([one_hot, point, full, torch.full((3, 6, 8), 1 / 3)]).requires_grad_()
    found = gradient(describe_fused(probs, NAMES, first=1), probs)
    expected = gradient(plain(probs[:, 1:], NAMES), probs)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert not found[:, 0].any()


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (1, 2, 3, 2, 4)])
def test_gradients_of_gradients(shape):
    probs = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spacing = (0.5, 2.0, 3.0)[: len(shape) - 2]

    def values(p):
        return tuple(describe_fused(p, NAMES, spacing=spacing, first=1).values())

    assert torch.autograd.gradcheck(values, probs.requires_grad_())
    assert torch.autograd.gradgradcheck(values, probs)


def test_backward_twice():
    probs = blobs((2, 3, 8, 8), torch.float32)
    total = sum(value.sum() for value in describe_fused(probs, NAMES).values())
    first, second = (torch.autograd.grad(total, probs, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_what_was_built_in_inference_mode_serves_training():
    probs = blobs((1, 2, 13, 11), torch.float32)  # a size that no other test uses
    with torch.inference_mode():
        describe_fused(probs, NAMES)
    assert gradient(describe_fused(probs, NAMES), probs).isfinite().all()


def test_transforms_see_the_plain_functions():
    probs = torch.rand(3, 2, 2, 6, 5, generator=torch.Generator().manual_seed(0))

    def describe(p: torch.Tensor) -> torch.Tensor:
        return torch.cat(list(describe_together(p, NAMES).values()), -1)

    torch.testing.assert_close(torch.vmap(describe)(probs), torch.stack([describe(p) for p in probs]))
    slope = torch.func.grad(lambda p: describe(p).sum())(probs[0])
    leaf = probs[0].clone().requires_grad_()
    torch.testing.assert_close(slope, torch.autograd.grad(describe(leaf).sum(), leaf)[0])


def test_together_leaves_the_background_out():
    probs, names = blobs((2, 4, 9, 7), torch.float64), [*NAMES, "elongation"]
    found = describe_together(probs, names, first=1)
    for name, value in plain(probs[:, 1:], tuple(names)).items():
        torch.testing.assert_close(found[name], value)
