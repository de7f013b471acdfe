"""What the loss refuses, when it is made and when it is called."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from shapewise.errors import ArgumentError
from shapewise.losses import Relation, ShapeConstraintLoss

NAN = math.nan
HEART = (Relation("ratio", (2, 3), "length", lower=2.0, upper=3.0),)


def hearts() -> Tensor:
    """Label masks (2, 32, 32) of a box (1), and of a ring (2) around another (3)."""
    masks = torch.zeros(2, 32, 32, dtype=torch.long)
    masks[:, 20:28, 4:12], masks[:, 4:18, 12:26], masks[:, 8:14, 16:22] = 1, 2, 3
    return masks


def encoded(mask: Tensor) -> Tensor:
    return one_hot(mask, 4).movedim(-1, 1).float()


def logits(classes: int = 4) -> Tensor:
    return torch.randn(2, classes, 32, 32, generator=torch.Generator().manual_seed(0))


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({"descriptors": ["volum"]}, "descriptor"),
            ({"descriptors": []}, "descriptors"),
            ({"penalty": "barrier"}, "penalty"),
            ({"penalty": torch.nn.ReLU()}, "penalty"),
            ({"margin": -0.1}, "margin"),
            ({"margin": NAN}, "margin"),
            ({"absolute_margins": {"volume": -1.0}}, r"absolute_margins\['volume'\]"),
            ({"absolute_margins": {"covariance": 1.0}}, "absolute_margins"),
            ({"absent_volume": math.inf}, "absent_volume"),
            ({"descriptors": ["volume", "volume"]}, "descriptors"),
            ({"relations": [HEART[0], HEART[0]]}, "descriptors"),
            ({"relations": [Relation("ratio", (1, 2), "lenth", upper=1.0)]}, "descriptor"),
            ({"softmax": True, "sigmoid": True}, "sigmoid"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], name: str) -> None:
        with pytest.raises(ArgumentError, match=f"`{name}`"):
            ShapeConstraintLoss(**arguments)

    @pytest.mark.parametrize("arguments", [{"residual_scale": "paper"}, {"reduction": "median"}])
    def test_choices(self, arguments: dict[str, Any]) -> None:
        # A TypeError where the run-time type checker comes first.
        with pytest.raises((ArgumentError, TypeError), match=next(iter(arguments.values()))):
            ShapeConstraintLoss(**arguments)

    def test_a_margin_is_one_number(self) -> None:
        # In a process of its own, where no run-time type checker comes first.
        code = "from shapewise.losses import ShapeConstraintLoss; ShapeConstraintLoss(margin=[0.1, 0.2])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "ArgumentError: Expected argument `margin` to be a finite number" in done.stderr

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            (torch.zeros(2, 16, 16).long(), r"`target` to be of shape \(2, 32, 32\)"),
            (torch.zeros(2, 3, 32, 32), r"`target` to be of shape"),
            (torch.full((2, 32, 32), 4), "labels from 0 to 3, but got labels from 4 to 4"),
            (torch.full((2, 32, 32), -1), "labels from 0 to 3, but got labels from -1 to -1"),
            (torch.full((2, 32, 32), NAN), "labels from 0 to 3, but got labels from nan to nan"),
            (hearts() / 2, r"labels that are whole numbers, but got the label [01]\.5"),
            (255 * encoded(hearts()), "one-hot mask of values from 0 to 1, but got values from 0 to 255"),
            (encoded(hearts()) - 1, "values from 0 to 1, but got values from -1 to 0"),
            ({"volume": torch.zeros(2, 3, 1)}, "a mapping with 'centroid' in it, but got only volume"),
            ({}, "got only nothing"),
            ({"volume": torch.zeros(2, 4, 1)}, r"`target\['volume'\]` to be of shape \(2, 3, 1\)"),
            ({"volume": torch.zeros(2, 3)}, r"`target\['volume'\]` to be of shape \(2, 3, 1\)"),
        ],
    )
    def test_targets(self, target: Any, message: str) -> None:
        with pytest.raises(ArgumentError, match=message):
            ShapeConstraintLoss(["volume", "centroid"], softmax=True)(logits(), target)

    def test_a_single_channel_of_0_and_255(self) -> None:
        loss = ShapeConstraintLoss(sigmoid=True, include_background=True)
        mask = 255 * (hearts() == 2).to(torch.uint8)
        with pytest.raises(ArgumentError, match="`target` to be a one-hot mask of values from 0 to 1"):
            loss(logits(classes=1), mask[:, None])

    def test_inputs(self) -> None:
        with pytest.raises(ArgumentError, match="`input` to be a floating tensor"):
            ShapeConstraintLoss()(torch.zeros(2, 4, 32), hearts())
        with pytest.raises(ArgumentError, match="`input` to be of two classes or more"):
            ShapeConstraintLoss()(torch.zeros(2, 1, 32, 32), hearts())
        with pytest.raises(ArgumentError, match="`input` to be of more than 3 classes"):
            ShapeConstraintLoss(relations=HEART)(torch.zeros(2, 3, 32, 32), hearts().clamp(max=2))

    def test_a_spacing_of_another_dimension(self) -> None:
        with pytest.raises(ArgumentError, match="`spacing`"):
            ShapeConstraintLoss(spacing=(1.0, 1.0, 1.0))(logits(), hearts())


@pytest.mark.parametrize("shape", [(0, 2, 8, 8), (1, 2, 0, 8)])
def test_nothing_to_look_at_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="not empty"):
        ShapeConstraintLoss(("volume",), softmax=True)(torch.zeros(shape), {"volume": torch.ones(1)})
