from __future__ import annotations

import pytest
import torch
from torch import Tensor

from shapewise.descriptors import describe_together
from shapewise.errors import ArgumentError
from shapewise.losses import MomentProjectionLoss

NAMES = ("volume", "centroid", "covariance")


def mask(batch: int = 2, size: int = 32) -> Tensor:
    labels = torch.zeros(batch, size, size, dtype=torch.long)
    labels[:, 6:18, 8:16], labels[:, 20:29, 15:28] = 1, 2
    return labels


def logits(seed: int = 0, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def values() -> dict[str, Tensor]:
    encoded = torch.nn.functional.one_hot(mask(), 3).movedim(-1, 1)[:, 1:].float()
    return describe_together(encoded, NAMES)


def test_a_mask_and_its_values_say_the_same() -> None:
    loss = MomentProjectionLoss(NAMES, softmax=True)
    torch.testing.assert_close(loss(logits(), mask()), loss(logits(), values()))


def test_logits_and_probabilities_say_the_same() -> None:
    soft, hard = MomentProjectionLoss(NAMES, softmax=True), MomentProjectionLoss(NAMES)
    torch.testing.assert_close(hard(logits().softmax(1), mask()), soft(logits(), mask()))


def test_no_gradient_goes_through_the_target() -> None:
    given = logits().requires_grad_()
    loss = MomentProjectionLoss(NAMES, softmax=True, sharpening=1.0)
    loss(given, mask()).backward()
    aim = loss.report(given, mask()).projection.probs
    # Cross-entropy's gradient: the prediction less the target, over the pixels of the batch.
    assert given.grad is not None
    torch.testing.assert_close(
        given.grad, (given.softmax(1) - aim).detach() / (2 * 32 * 32), atol=1e-8, rtol=1e-4
    )


@pytest.mark.parametrize(
    "option", [{"sharpening": 3.0}, {"error": 0.5}, {"tolerance": 0.5}, {"iterations": 1}]
)
def test_every_option_counts(option: dict[str, float]) -> None:
    plain = MomentProjectionLoss(NAMES, softmax=True)(logits(), mask())
    changed = MomentProjectionLoss(NAMES, softmax=True, **option)(logits(), mask())  # type: ignore[arg-type]
    assert abs(changed - plain) > 1e-4


@pytest.mark.parametrize("target", ["mask", "values"])
def test_absent_classes_are_absent_whatever_is_to_be_met(target: str) -> None:
    bare = mask().masked_fill(mask() == 2, 0)
    loss = MomentProjectionLoss(("centroid", "spread"), softmax=True)
    encoded = torch.nn.functional.one_hot(bare, 3).movedim(-1, 1)[:, 1:].float()
    told = bare if target == "mask" else describe_together(encoded, ("volume", "centroid", "spread"))
    found = loss.report(logits(), told).projection.probs
    assert (found[:, 2] == 0).all()
    assert (found[:, 1] > 0).any()


def test_it_learns_a_shape_from_numbers() -> None:
    given = (0.1 * logits()).requires_grad_()
    optimiser = torch.optim.Adam([given], lr=0.3)
    loss = MomentProjectionLoss(NAMES, softmax=True)
    for _ in range(60):
        optimiser.zero_grad()
        loss(given, values()).backward()
        optimiser.step()
    right = (given.argmax(1) == mask())[mask() > 0].float().mean()
    assert right > 0.9


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_reductions(reduction: str) -> None:
    each = MomentProjectionLoss(NAMES, softmax=True, reduction="none")(logits(), mask())
    found = MomentProjectionLoss(NAMES, softmax=True, reduction=reduction)(logits(), mask())  # type: ignore[arg-type]
    torch.testing.assert_close(found, {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction])


@pytest.mark.parametrize(
    "options",
    [
        {"descriptors": ("length",)},
        {"descriptors": ()},
        {"sharpening": 0.0},
        {"error": float("nan")},
        {"iterations": 0},
    ],
)
def test_bad_arguments_are_named(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ArgumentError, match=name):
        MomentProjectionLoss(**options)  # type: ignore[arg-type]


def test_a_missing_descriptor_is_named() -> None:
    with pytest.raises(ArgumentError, match="covariance"):
        MomentProjectionLoss(NAMES, softmax=True)(
            logits(), {"volume": values()["volume"], "centroid": values()["centroid"]}
        )


def test_a_belief_is_projected_in_place_of_the_input_and_has_its_shape() -> None:
    loss = MomentProjectionLoss(NAMES, softmax=True)
    found = loss.report(logits(), mask(), belief=logits(seed=1))
    torch.testing.assert_close(found.target, loss.report(logits(seed=1), mask()).target)
    for belief in (logits(batch=1), logits()[:, :2], logits()[..., :1]):
        with pytest.raises(ArgumentError, match=r"`belief` to be of shape \(2, 3, 32, 32\)"):
            loss.report(logits(), mask(), belief=belief)


@pytest.mark.parametrize("fill", [0.0, 1e4, -1e4])
def test_gradients_are_finite_for_flat_and_saturated_predictions(fill: float) -> None:
    given = torch.zeros(2, 3, 32, 32)
    given[:, 1] = fill
    given.requires_grad_()
    MomentProjectionLoss(NAMES, softmax=True)(given, mask()).backward()
    assert given.grad is not None
    assert given.grad.isfinite().all()


def test_an_absent_class_that_the_network_rules_out_costs_nothing() -> None:
    bare = mask().masked_fill(mask() == 2, 0)
    given = logits()
    given[:, 2] = -torch.inf
    given.requires_grad_()
    total = MomentProjectionLoss(NAMES, softmax=True)(given, bare)
    total.backward()
    expected = MomentProjectionLoss(NAMES, softmax=True)(given.detach()[:, :2], bare)
    torch.testing.assert_close(total.detach(), expected)
    assert given.grad is not None
    assert given.grad.isfinite().all()
