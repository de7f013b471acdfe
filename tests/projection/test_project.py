"""The projection against its own laws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import one_hot

from projection.conftest import MOMENTS, PRECISE, described, noise, project, soft
from shapewise.descriptors import describe_together
from shapewise.errors import ArgumentError
from shapewise.projection import annotated_moments, moment_projection

pytestmark = pytest.mark.usefixtures("search")


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
