"""Classes that are absent or unknown, and numbers that cannot be met."""

from __future__ import annotations

import math

import pytest
import torch

from projection.conftest import MOMENTS, described, noise, project, soft
from shapewise.descriptors import describe_together

pytestmark = pytest.mark.usefixtures("search")


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
