"""The projection against an optimiser that knows nothing of Newton, and against its own laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import one_hot

from shapewise.constraints import Bounds
from shapewise.descriptors import describe_together
from shapewise.errors import ArgumentError
from shapewise.projection import annotated_moments, moment_projection, sharpen

MOMENTS = {
    "spread": ("volume", "centroid", "spread"),
    "covariance": ("volume", "centroid", "covariance"),
    "third": ("volume", "centroid", "covariance", "third_moments"),
}
PRECISE = {"iterations": 60, "accuracy": 1e-7, "ridge": 0.0}


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


@pytest.mark.parametrize("names", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize("size", [(20, 24), (6, 12, 14)], ids=["2-D", "3-D"])
def test_the_projection_has_the_annotated_moments(names: tuple[str, ...], size: tuple[int, ...]) -> None:
    truth = soft(size=size)
    values = described(truth, names)
    found = project(noise(truth), values, **PRECISE)
    assert found.converged.all()
    for name, value in described(found.probs, names).items():
        torch.testing.assert_close(value, values[name], rtol=1e-5, atol=1e-5)


def test_a_prediction_that_has_the_moments_stays_as_it_is() -> None:
    truth = soft()
    found = project(truth.log(), described(truth, MOMENTS["covariance"]))
    torch.testing.assert_close(found.probs, truth, rtol=1e-6, atol=1e-8)
    assert found.converged.all()


@pytest.mark.parametrize("names", [MOMENTS["spread"], MOMENTS["covariance"]], ids=["spread", "covariance"])
def test_scipy_finds_the_same_distribution(names: tuple[str, ...]) -> None:
    truth = soft(batch=1, size=(9, 10), classes=3)
    logits = noise(truth)
    values = described(truth, names)
    found = project(logits, values, **PRECISE)
    expected = scipy_projection(logits[0].numpy(), truth[0].numpy(), crossed="covariance" in names)
    np.testing.assert_allclose(found.probs[0].numpy(), expected, atol=2e-5)


def scipy_projection(logits: np.ndarray, truth: np.ndarray, *, crossed: bool) -> np.ndarray:
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


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
def test_no_other_distribution_with_these_moments_is_closer(seed: int, shift: tuple[int, int]) -> None:
    truth = soft(batch=1, seed=seed)
    logits = 2 * noise(truth, seed).roll(shift, (2, 3))
    found = project(logits, described(truth, MOMENTS["covariance"]), **PRECISE).probs
    prediction = logits.softmax(1)

    def divergence(q: Tensor) -> float:
        return float((q * (q / prediction).log()).sum())

    # The truth has the moments too, and so has everything on the line to it.
    for share in (0.01, 0.5, 1.0):
        assert divergence(found) <= divergence((1 - share) * found + share * truth) + 1e-4


def test_a_batch_is_its_images_one_by_one() -> None:
    truth = soft(batch=3)
    logits = noise(truth)
    together = project(logits, described(truth, MOMENTS["covariance"])).probs
    alone = [
        project(logits[i : i + 1], described(truth[i : i + 1], MOMENTS["covariance"])).probs for i in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-3, atol=1e-4)


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


def test_an_absent_class_is_taken_out() -> None:
    truth = soft()
    values = described(truth, MOMENTS["covariance"])
    for value in values.values():
        value[0, 1] = math.nan
    values["volume"][0, 1] = 0
    found = project(noise(truth), values)
    assert found.probs[0, 2].max() == 0
    assert found.probs[1, 2].sum() > 1
    assert found.probs.isfinite().all()


def test_a_class_of_which_nothing_is_known_keeps_its_share() -> None:
    truth = soft()
    values = {
        name: torch.full_like(value, math.nan) for name, value in described(truth, MOMENTS["spread"]).items()
    }
    logits = noise(truth)
    torch.testing.assert_close(project(logits, values).probs, logits.softmax(1))


def test_what_cannot_be_met_is_said_and_poisons_nobody() -> None:
    truth = soft()
    values = described(truth, MOMENTS["spread"])
    values["volume"][0, 0] = 1e6
    found = project(noise(truth), values)
    assert found.converged.tolist() == [False, True]
    assert found.probs.isfinite().all()
    alone = project(noise(truth)[1:], {name: value[1:] for name, value in values.items()})
    torch.testing.assert_close(found.probs[1:], alone.probs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("sure", [60.0, 1e4])
def test_a_network_that_is_sure_of_a_mistake_is_talked_out_of_it(sure: float) -> None:
    truth = soft(batch=1)
    wrong = sure * one_hot(truth.argmax(1).roll((6, 7), (1, 2)), 3).movedim(-1, 1).float()
    found = project(wrong, described(truth.float(), MOMENTS["spread"]), iterations=40)
    assert found.probs.isfinite().all()
    before, after = (overlap(p, truth) for p in (wrong.softmax(1), found.probs))
    assert after > before + 0.3


def overlap(probs: Tensor, truth: Tensor) -> float:
    return float(2 * torch.minimum(probs, truth)[:, 1:].sum() / (probs + truth)[:, 1:].sum())


def test_an_error_allowed_for_moves_less() -> None:
    truth = soft()
    logits = noise(truth)
    values = described(truth, MOMENTS["spread"])
    exact, doubted = (
        moment_projection(logits, annotated_moments(values, 2, error=error)).probs for error in (0.0, 0.2)
    )
    prediction = logits.softmax(1)
    assert (doubted - prediction).abs().sum() < (exact - prediction).abs().sum()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    truth = soft().float()
    logits = noise(truth).to(dtype)
    values = described(truth, MOMENTS["spread"])
    assert project(logits, values).probs.dtype == torch.float32
    torch.testing.assert_close(project(logits, values).probs, project(logits.float(), values).probs)


def test_logits_that_do_not_fit_are_refused() -> None:
    truth = soft()
    with pytest.raises(ArgumentError, match="logits"):
        project(noise(truth)[:, :2], described(truth, MOMENTS["spread"]))


def test_sharpening_keeps_the_simplex_and_the_order() -> None:
    probs = soft()
    sharper = sharpen(probs, 2.0)
    torch.testing.assert_close(sharper.sum(1), torch.ones_like(sharper[:, 0]))
    assert (sharper.amax(1) >= probs.amax(1)).all()
    torch.testing.assert_close(sharpen(probs, 1.0), probs)
