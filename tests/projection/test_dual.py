"""The dual's derivatives against autograd, over features written out pixel by pixel."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from shapewise.descriptors import describe_together
from shapewise.projection.annotated import AnnotatedMoments, annotated_moments
from shapewise.projection.dual import Problem

NAMES = {
    "spread": ("volume", "centroid", "spread"),
    "order 4": ("volume", "centroid", "covariance", "third_moments", "fourth_moments"),
}


def moments_of(size: tuple[int, ...], names: tuple[str, ...]) -> AnnotatedMoments:
    probs = torch.rand(2, 2, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return annotated_moments(describe_together(probs, names), len(size))


def dense_features(size: tuple[int, ...], moments: AnnotatedMoments) -> Tensor:
    """φ of every pixel, ``(B, K, P, *S)``."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(n) for n in size], indexing="ij"), -1).double()
    places = (slice(None), slice(None), *[None] * len(size))
    u = (grid - moments.centre[places]) / moments.scale[places]
    powers = [(u ** torch.tensor(exponent)).prod(-1) for exponent in moments.exponents]
    mean = moments.lower.clone()
    mean[..., 0] = 0
    return torch.stack(powers, 2) - mean.reshape(*mean.shape, *[1] * len(size))


@pytest.mark.parametrize("size", [(5, 7), (3, 4, 5)], ids=["2-D", "3-D"])
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_value_gradient_and_hessian(names: tuple[str, ...], size: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    moments = moments_of(size, names)
    log_probs = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64).log_softmax(1)
    at = 0.1 * torch.randn(moments.lower.shape, generator=generator, dtype=torch.float64)
    features = dense_features(size, moments)

    def dense(multipliers: Tensor) -> Tensor:
        tilt = (multipliers.reshape(*at.shape, *[1] * len(size)) * features).sum(2)
        tilted = torch.cat([log_probs[:, :1], log_probs[:, 1:] + tilt], 1)
        return tilted.logsumexp(1).flatten(1).sum(1) - (multipliers * moments.lower)[..., 0].sum(1)

    problem = Problem(log_probs, moments)
    found = problem.evaluate(at, moments.lower)
    curvature = problem.hessian(found.probs, moments.lower)
    torch.testing.assert_close(found.value, dense(at))
    for image in range(2):

        def one(multipliers: Tensor, image: int = image) -> Tensor:
            whole = at.clone().flatten(1)
            whole[image] = multipliers
            return dense(whole.view(at.shape))[image]

        start = at.flatten(1)[image].clone().requires_grad_()
        gradient, hessian = (
            torch.autograd.functional.jacobian(one, start),
            torch.autograd.functional.hessian(one, start),
        )
        sums = found.sums[image]
        mass = torch.cat([torch.ones_like(sums[:, :1]), sums[:, :1].expand_as(sums[:, 1:])], -1)
        off = sums - moments.lower[image] * mass
        torch.testing.assert_close(off.flatten(), gradient)
        torch.testing.assert_close(curvature[image], hessian)


def test_an_absent_class_takes_no_part() -> None:
    moments = moments_of((5, 7), NAMES["spread"])
    log_probs = torch.zeros(2, 3, 5, 7, dtype=torch.float64)
    log_probs[:, 2] = -math.inf
    problem = Problem(log_probs, moments)
    found = problem.evaluate(torch.zeros_like(moments.lower), moments.lower)
    second = problem.hessian(found.probs, moments.lower).unflatten(1, (2, -1)).unflatten(3, (2, -1))[:, 1]
    assert (second == 0).all()
    assert found.value.isfinite().all()


def test_a_pixel_that_is_no_background_for_sure_has_a_partition() -> None:
    moments = moments_of((5, 7), NAMES["spread"])
    log_probs = torch.zeros(2, 3, 5, 7, dtype=torch.float64)
    log_probs[:, 0, 2, 3] = -math.inf
    found = Problem(log_probs, moments).evaluate(torch.zeros_like(moments.lower), moments.lower)
    torch.testing.assert_close(found.value, log_probs.logsumexp(1).flatten(1).sum(1))
