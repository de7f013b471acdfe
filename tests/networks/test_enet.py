from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from shapewise.errors import ArgumentError
from shapewise.networks import ENet
from shapewise.networks.enet import max_unpool


def test_parameter_count_is_the_published_one() -> None:
    network = ENet(in_channels=3, classes=19)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == 363_954
    assert count == pytest.approx(0.37e6, rel=0.02)  # table 3 of the paper


def test_resolution_and_channels_follow_table_1() -> None:
    network = ENet(in_channels=3, classes=12).eval()
    shapes: dict[str, tuple[int, ...]] = {}

    def remember(name: str):
        def hook(module, inputs, output):
            shapes[name] = tuple((output[0] if isinstance(output, tuple) else output).shape[1:])

        return hook

    for name, module in network.named_children():
        module.register_forward_hook(remember(name))
    network(torch.zeros(1, 3, 64, 64))
    assert shapes == {
        "initial": (16, 32, 32),
        "down1": (64, 16, 16),
        "stage1": (64, 16, 16),
        "down2": (128, 8, 8),
        "stage2": (128, 8, 8),
        "stage3": (128, 8, 8),
        "up4": (64, 16, 16),
        "stage4": (64, 16, 16),
        "up5": (16, 32, 32),
        "stage5": (16, 32, 32),
        "head": (12, 64, 64),
    }


def test_dilations_follow_table_1() -> None:
    network = ENet(in_channels=1, classes=2)
    dilations = [
        module.dilation[0]
        for stage in (network.stage2, network.stage3)
        for module in stage.modules()
        if isinstance(module, torch.nn.Conv2d) and module.dilation[0] > 1
    ]
    assert dilations == [2, 4, 8, 16, 2, 4, 8, 16]


def test_dropout_follows_the_paper() -> None:
    network = ENet(in_channels=1, classes=2)
    probabilities = [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout2d)]
    assert probabilities == [0.01] * 5 + [0.1] * 22


def test_unpooling_agrees_with_torch() -> None:
    features = torch.randn(2, 3, 6, 10)
    pooled, indices = F.max_pool2d(features, 2, return_indices=True)
    torch.testing.assert_close(max_unpool(pooled, indices), F.max_unpool2d(pooled, indices, 2))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"in_channels": 0, "classes": 2}, "`in_channels`.*at least 1.*0"),
        ({"in_channels": 16, "classes": 2}, "`in_channels`.*below 16"),
        ({"in_channels": 1, "classes": -1}, "`classes`"),
        ({"in_channels": 1, "classes": 2, "dropout": 1.0}, "`dropout`"),
        ({"in_channels": 1, "classes": 2, "early_dropout": -0.1}, "`early_dropout`"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, float], match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        ENet(**arguments)
