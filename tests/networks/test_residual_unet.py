from __future__ import annotations

import pytest
import torch

from shapewise.errors import ArgumentError
from shapewise.networks import ResidualUNet


@pytest.mark.parametrize("levels", [1, 2, 5])
@pytest.mark.parametrize("channels", [1, 4])
def test_levels_and_channels_are_free(channels: int, levels: int) -> None:
    network = ResidualUNet(in_channels=2, classes=3, channels=channels, levels=levels).eval()
    assert network(torch.zeros(1, 2, 32, 20)).shape == (1, 3, 32, 20)


def test_every_level_halves_the_resolution_and_doubles_the_channels() -> None:
    network = ResidualUNet(in_channels=1, classes=2, channels=4, levels=4)
    features = network.stem(torch.zeros(1, 1, 32, 32))
    shapes = [tuple(features.shape[1:])]
    for block in network.encoder:
        features = block(features)
        shapes.append(tuple(features.shape[1:]))
    assert shapes == [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4)]


def test_it_sees_far() -> None:
    network = ResidualUNet(in_channels=1, classes=2).eval()
    image = torch.zeros(1, 1, 160, 160, requires_grad=True)
    network(image)[0, 0, 80, 80].backward()
    rows = torch.nonzero(image.grad[0, 0].abs().sum(1))
    assert int(rows.max() - rows.min()) > 100


@pytest.mark.parametrize("argument", ["in_channels", "classes", "channels", "levels"])
@pytest.mark.parametrize("value", [0, -2, 1.5])
def test_counts_are_checked(argument: str, value: float) -> None:
    arguments = {"in_channels": 1, "classes": 2, argument: value}
    with pytest.raises(ArgumentError, match=f"`{argument}`.*at least 1.*{value}"):
        ResidualUNet(**arguments)
