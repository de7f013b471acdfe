"""The projection against an optimiser that knows nothing of Newton, and against its own laws."""

from __future__ import annotations

import math
from collections.abc import Iterator
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
from shapewise.descriptors.kernel import kernel, without_kernel
from shapewise.errors import ArgumentError
from shapewise.projection import (
    AnnotatedMoments,
    annotated_moments,
    moment_projection,
    sharpen,
    sharpen_within,
)
from shapewise.projection.newton import VOLUME

MOMENTS = {
    "spread": ("volume", "centroid", "spread"),
    "covariance": ("volume", "centroid", "covariance"),
    "third": ("volume", "centroid", "covariance", "third_moments"),
}
PRECISE = {"iterations": 60, "accuracy": 1e-7, "ridge": 0.0}


@pytest.fixture(autouse=True, params=["compiled", "plain"], scope="module")
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


def test_numbers_that_no_distribution_has_leave_the_image_as_it_is_predicted() -> None:
    truth = soft(batch=2).float()
    values = described(truth, MOMENTS["covariance"])
    values["volume"][0, 0] = 3 * truth[0, 0].numel()  # an object of which the image shows a part
    logits = truth.log() + 0.5 * noise(truth)
    found = project(logits, values)
    torch.testing.assert_close(found.probs[0], logits.softmax(1)[0])
    assert found.converged.tolist() == [False, True]


@pytest.mark.parametrize("others", [True, False])
def test_an_object_larger_than_the_image_leaves_it_as_it_is_predicted(others: bool) -> None:
    values = {"volume": torch.tensor([[[900.0]]])}
    if others:
        values |= {"centroid": torch.tensor([[[12.0, 9.5]]]), "spread": torch.tensor([[[6.0, 6.0]]])}
    logits = noise(torch.zeros(1, 2, 24, 20))
    found = project(logits, values, iterations=60)
    torch.testing.assert_close(found.probs, logits.softmax(1))
    assert not found.converged.any()


@pytest.mark.parametrize("rounds", [12, 40, 100])
@pytest.mark.parametrize("volume", [20.0, 200.0])
def test_no_object_is_erased_because_its_numbers_cannot_be_met(volume: float, rounds: int) -> None:
    values = {
        "volume": torch.tensor([[[volume]]]),
        "centroid": torch.tensor([[[-6.0, 9.0]]]),  # outside of the image
        "covariance": torch.tensor([[[4.0, 0.0, 4.0]]]),
    }
    found = project(noise(torch.zeros(1, 2, 24, 20)), values, iterations=rounds)
    assert found.probs[:, 1].sum() > volume / 2
    assert not found.converged.any()


def test_the_default_rounds_are_enough_for_most_images() -> None:
    truth = soft(batch=16, size=(64, 64)).float()
    found = project(0.1 * noise(truth), described(truth, MOMENTS["covariance"]))
    assert found.converged.float().mean() > 0.9


def test_an_object_of_one_pixel() -> None:
    mask = torch.zeros(1, 1, 24, 24)
    mask[..., 7, 9] = 1
    values = describe_together(mask, MOMENTS["spread"])
    found = project(torch.zeros(1, 2, 24, 24), values, iterations=30).probs[0, 1]
    assert found.sum().item() == pytest.approx(1, abs=0.1)
    assert found.argmax().item() == 7 * 24 + 9
    assert found[6:9, 8:11].sum() > 0.8


def test_a_sure_and_right_prediction_has_converged() -> None:
    truth = one_hot(soft(size=(96, 96)).argmax(1), 3).movedim(-1, 1).float()
    found = project(30 * truth, described(truth, MOMENTS["spread"]))
    assert found.converged.all()
    assert (found.probs - truth).abs().max() < 0.05


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
    nobody = {"volume": torch.zeros(0, 2, 1)}
    for empty, none in (
        (torch.zeros(0, 3, 9, 8), nobody),
        (torch.zeros(1, 3, 0, 8), {"volume": torch.ones(1, 2, 1)}),
    ):
        with pytest.raises(ArgumentError, match="not empty"):
            moment_projection(empty, annotated_moments(none, 2))


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


def test_a_guess_that_misleads_costs_a_round_and_no_more() -> None:
    truth = disc((12.0, 12.0), 6.0)
    moments = annotated_moments(described(truth, MOMENTS["spread"]), 2)
    logits = disc((20.0, 18.0), 6.0).log()
    misleading = moment_projection(truth.roll((-9, -7), (2, 3)).log(), moments, iterations=40).multipliers
    cold, warm, broken = (
        moment_projection(logits, moments, iterations=rounds, near=near)
        for rounds, near in ((20, None), (21, misleading), (20, misleading * float("nan")))
    )
    assert warm.residual.max() <= cold.residual.max() + 0.05
    torch.testing.assert_close(broken.probs, cold.probs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_guess_may_be_of_another_type(dtype: torch.dtype) -> None:
    truth = disc((12.0, 12.0), 6.0)
    moments = annotated_moments(described(truth, MOMENTS["spread"]), 2)
    near = moment_projection(truth.roll(2, 2).log(), moments).multipliers.to(dtype)
    found = moment_projection(truth.roll(2, 2).log(), moments, near=near)
    assert found.probs.dtype == found.multipliers.dtype == torch.float32
    torch.testing.assert_close(
        found.probs, moment_projection(truth.roll(2, 2).log(), moments, near=near.float()).probs
    )


def test_a_guess_of_another_shape_is_refused() -> None:
    truth = disc((12.0, 12.0), 6.0)
    moments = annotated_moments(described(truth, MOMENTS["spread"]), 2)
    with pytest.raises(ArgumentError, match=r"near.*\(1, 1, 5\).*\(6,\)"):
        moment_projection(truth.log(), moments, near=torch.zeros(6))


def disc(centre: tuple[float, float], radius: float) -> Tensor:
    """Soft probabilities of background and a disc, (1, 2, 32, 32)."""
    row, column = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    inside = torch.sigmoid(radius - ((row - centre[0]) ** 2 + (column - centre[1]) ** 2).sqrt())
    return torch.stack([1 - inside, inside])[None]


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


def test_where_numbers_contradict_one_another_the_volume_is_kept() -> None:
    # A disc of radius 6 has a spread of 3 along each axis; with less there is no room for its volume.
    values = {
        "volume": torch.tensor([[[math.pi * 36]]], dtype=torch.float64),
        "centroid": torch.tensor([[[12.0, 12.0]]], dtype=torch.float64),
        "spread": torch.tensor([[[2.6, 2.6]]], dtype=torch.float64),
    }
    logits = torch.zeros(1, 2, 25, 25, dtype=torch.float64)
    found = project(logits, values, iterations=60).probs[:, 1:]
    volume, spread = (describe_together(found, (name,))[name] for name in ("volume", "spread"))
    assert volume.item() == pytest.approx(math.pi * 36, rel=0.02)
    assert 2.8 < spread.mean() < 3.2


def test_numbers_that_contradict_one_another_by_far_are_not_met_and_that_is_said() -> None:
    values = {
        "volume": torch.tensor([[[math.pi * 36]]], dtype=torch.float64),
        "centroid": torch.tensor([[[12.0, 12.0]]], dtype=torch.float64),
        "spread": torch.tensor([[[2.2, 2.2]]], dtype=torch.float64),  # of a disc it is 3
    }
    found = project(torch.zeros(1, 2, 25, 25, dtype=torch.float64), values, iterations=100)
    assert found.probs[:, 1].sum().item() == pytest.approx(math.pi * 36, rel=0.1)
    assert found.residual.max() > 0.25
    assert not found.converged.any()
