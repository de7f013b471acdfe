from __future__ import annotations

import pytest
import torch

from shapewise.training.validation import CaseDice


def test_dice_is_counted_a_case_not_a_slice() -> None:
    dice = CaseDice(cases=2, classes=2)
    # Case 0 over two slices: 2 of 2 pixels, then 0 of 2: 2 * 2 / (2 + 4). Case 1: perfect.
    dice.add(torch.tensor([[1, 1]]), torch.tensor([[1, 1]]), torch.tensor([0]))
    dice.add(torch.tensor([[0, 0], [1, 0]]), torch.tensor([[1, 1], [1, 0]]), torch.tensor([0, 1]))
    assert dice.mean().item() == pytest.approx((2 * 2 / 6 + 1) / 2)


def test_a_class_that_nobody_has_scores_one_and_a_miss_zero() -> None:
    dice = CaseDice(cases=1, classes=3)
    dice.add(torch.tensor([[0, 0]]), torch.tensor([[1, 0]]), torch.tensor([0]))
    assert dice.mean().tolist() == [0.0, 1.0]
