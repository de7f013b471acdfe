"""The projection against optimisers that know nothing of Newton."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from projection.conftest import MOMENTS, PRECISE, described, noise, project, soft
from shapewise.constraints import Bounds
from shapewise.projection import AnnotatedMoments, annotated_moments, moment_projection
from shapewise.projection.newton import VOLUME

pytestmark = pytest.mark.usefixtures("search")


@pytest.mark.parametrize(
    ("names", "size", "margin", "ridge"),
    [
        ("spread", (9, 10), 0.0, 0.0),
        ("covariance", (9, 10), 0.0, 0.0),
        ("third", (9, 10), 0.0, 0.0),
        ("covariance", (5, 6, 7), 0.0, 0.0),
        ("covariance", (9, 10), 0.0, 0.1),
        ("covariance", (9, 10), 0.1, 0.0),
        ("third", (9, 10), 0.1, 0.1),
        ("covariance", (5, 6, 7), 0.1, 0.1),
    ],
)
def test_scipy_finds_the_same_distribution(
    names: str, size: tuple[int, ...], margin: float, ridge: float
) -> None:
    truth = soft(batch=1, size=size)
    logits = soft(batch=1, size=size, seed=3).log() + noise(truth)
    values = described(truth, MOMENTS[names])
    bounds = {name: Bounds.around(value, relative=margin) for name, value in values.items()}
    moments = annotated_moments(bounds, len(size))
    found = moment_projection(logits, moments, **PRECISE | {"ridge": ridge})
    multipliers, probs = scipy_projection(logits[0].numpy(), moments, ridge)
    np.testing.assert_allclose(found.probs[0].numpy(), probs, atol=1e-6)
    np.testing.assert_allclose(found.multipliers[0].numpy(), multipliers, atol=1e-6)
    if margin:  # some moments at their upper bound, some between the two, some at their lower
        assert set(found.multipliers.sign().flatten().tolist()) == {-1, 0, 1}


def scipy_projection(
    logits: np.ndarray, moments: AnnotatedMoments, ridge: float
) -> tuple[np.ndarray, np.ndarray]:
    """λ and the projection by L-BFGS-B, which has a multiplier of at least 0 for either bound of a moment.

    What pushes up to the lower bound, less what pushes down to the upper one, is λ.
    """
    powers = np.array(moments.exponents)
    is_volume = powers.sum(1) == 0
    names = ("centre", "scale", "lower", "upper", "size")
    centre, scale, lower, upper, size = (getattr(moments, name)[0].numpy() for name in names)
    pixels = np.indices(logits.shape[1:]).reshape(powers.shape[1], -1)
    units = (pixels - centre[..., None]) / scale[..., None]
    monomials = (units[:, None] ** powers[..., None]).prod(2)
    up_and_down = np.array([1, -1])[:, None, None]
    bounds = np.stack([lower, upper])
    features = up_and_down[..., None] * (monomials - np.where(is_volume, 0, bounds)[..., None])
    volumes = up_and_down * np.where(is_volume, bounds, 0)
    weight = ridge * size[:, None] * np.where(is_volume, VOLUME, 1)
    log_probs = logits.reshape(len(logits), -1)
    log_probs = log_probs - np.logaddexp.reduce(log_probs)

    def tilted(multipliers: np.ndarray) -> np.ndarray:
        tilt = np.einsum("skp,skpi->ki", multipliers.reshape(bounds.shape), features)
        return log_probs + np.concatenate([np.zeros_like(tilt[:1]), tilt])

    def dual(flat: np.ndarray) -> tuple[float, np.ndarray]:
        multipliers, scores = flat.reshape(bounds.shape), tilted(flat)
        partition = np.logaddexp.reduce(scores)
        probs = np.exp(scores - partition)[1:]
        gradient = np.einsum("ki,skpi->skp", probs, features) - volumes + weight * multipliers
        value = partition.sum() + (multipliers * (weight * multipliers / 2 - volumes)).sum()
        return value, gradient.ravel()

    options = {"ftol": 0, "gtol": 1e-8, "maxiter": 5000, "maxfun": 10000, "maxcor": 40}
    best = minimize(dual, np.zeros(bounds.size), jac=True, bounds=[(0, None)] * bounds.size, options=options)
    scores = tilted(best.x)
    up, down = best.x.reshape(bounds.shape)
    return up - down, np.exp(scores - np.logaddexp.reduce(scores)).reshape(logits.shape)


@pytest.mark.parametrize("names", [MOMENTS["spread"], MOMENTS["covariance"]], ids=["spread", "covariance"])
def test_scipy_finds_the_same_distribution_from_sums_over_pixels(names: tuple[str, ...]) -> None:
    truth = soft(batch=1, size=(9, 10), classes=3)
    logits = noise(truth)
    values = described(truth, names)
    found = project(logits, values, **PRECISE)
    expected = projection_onto_sums(logits[0].numpy(), truth[0].numpy(), crossed="covariance" in names)
    np.testing.assert_allclose(found.probs[0].numpy(), expected, atol=2e-5)


def projection_onto_sums(logits: np.ndarray, truth: np.ndarray, *, crossed: bool) -> np.ndarray:
    """The dual in plain pixel coordinates and raw moments, minimised by BFGS."""
    classes, rows, columns = logits.shape
    r, c = np.mgrid[:rows, :columns] / 5 - 1
    features = np.stack([np.ones_like(r), r, c, r * r, c * c, *([r * c] if crossed else [])]).reshape(
        -1, rows * columns
    )
    targets = truth.reshape(classes, -1)[1:] @ features.T
    log_probs = logits.reshape(classes, -1)
    log_probs = log_probs - np.logaddexp.reduce(log_probs)

    def tilted(multipliers: np.ndarray) -> np.ndarray:
        tilt = multipliers.reshape(classes - 1, -1) @ features
        return log_probs + np.concatenate([np.zeros_like(tilt[:1]), tilt])

    def dual(multipliers: np.ndarray) -> tuple[float, np.ndarray]:
        scores = tilted(multipliers)
        partition = np.logaddexp.reduce(scores)
        gradient = np.exp(scores - partition)[1:] @ features.T - targets
        return partition.sum() - (multipliers * targets.ravel()).sum(), gradient.ravel()

    best = minimize(
        dual, np.zeros(targets.size), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000}
    )
    scores = tilted(best.x)
    return np.exp(scores - np.logaddexp.reduce(scores)).reshape(logits.shape)
