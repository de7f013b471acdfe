from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from shapewise.errors import ArgumentError
from shapewise.networks import ENet, ResidualUNet, build_network, names

UNET = {"channels": [4, 8], "strides": [2]}


def test_names_lead_to_the_classes() -> None:
    assert names() == ("enet", "residual_unet")
    assert isinstance(build_network("enet", 1, 4), ENet)
    assert isinstance(build_network("residual_unet", 1, 4), ResidualUNet)


def test_options_reach_the_network() -> None:
    network = build_network("residual_unet", 1, 4, options={"channels": 4, "levels": 3})
    assert len(network.encoder) == 2
    assert network.head.in_channels == 4


@pytest.mark.parametrize("dimensions", [2, 3])
def test_monai_network_by_name(dimensions: int) -> None:
    pytest.importorskip("monai")
    network = build_network("monai:UNet", 1, 3, dimensions, UNET)
    image = torch.zeros(2, 1, *[8] * dimensions)
    assert network.eval()(image).shape == (2, 3, *[8] * dimensions)


def test_monai_weights_depend_on_the_seed_alone() -> None:
    pytest.importorskip("monai")
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build_network("monai:UNet", 1, 3, options=UNET).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("enett", "did you mean enet?"),
        ("ENet", "did you mean enet?"),
        ("residual-unet", "did you mean residual_unet?"),
        ("zzz", "one of enet, residual_unet, monai:UNet, but got 'zzz'"),
    ],
)
def test_an_unknown_name_is_told_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ArgumentError, match=nearest.replace("?", r"\?")):
        build_network(name, 1, 4)


@pytest.mark.parametrize(
    ("name", "nearest"), [("monai:UNett", "monai:UNet"), ("monai:SegRestNet", "monai:SegResNet")]
)
def test_an_unknown_monai_name_is_told_the_nearest(name: str, nearest: str) -> None:
    pytest.importorskip("monai")
    with pytest.raises(ArgumentError, match=rf"did you mean {nearest}\?"):
        build_network(name, 1, 4)


@pytest.mark.parametrize("name", ["monai:", "monai:torch", "monai:unet.nothing"])
def test_what_is_no_network_is_refused(name: str) -> None:
    pytest.importorskip("monai")
    with pytest.raises(ArgumentError, match=r"a class in monai\.networks\.nets"):
        build_network(name, 1, 4)


def test_a_monai_network_without_images_in_is_refused() -> None:
    pytest.importorskip("monai")
    with pytest.raises(ArgumentError, match="in_channels and out_channels"):
        build_network("monai:Regressor", 1, 4)


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("enet", {"droput": 0.2}, r"`options`.*did you mean dropout\?.*'droput'"),
        ("enet", {"classes": 2}, "`options`.*'classes'"),
        ("residual_unet", {"levels": 0}, "`levels`.*at least 1"),
        ("monai:UNet", {"channels": [4, 8]}, "`options`.*given with `strides`"),
        ("monai:UNet", {**UNET, "chanels": 1}, r"did you mean channels\?"),
        ("monai:UNet", {"channels": [4], "strides": [2]}, "accepted by UNet"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict[str, object], match: str) -> None:
    if name.startswith("monai"):
        pytest.importorskip("monai")
    with pytest.raises(ArgumentError, match=match):
        build_network(name, 1, 4, options=options)


def test_our_networks_are_two_dimensional() -> None:
    with pytest.raises(ArgumentError, match=r"`spatial_dims`.*2 for enet"):
        build_network("enet", 1, 4, 3)


def test_importing_the_room_needs_torch_alone() -> None:
    code = (
        "import sys, shapewise.networks; "
        "heavy = {'monai', 'scipy', 'pandas', 'SimpleITK', 'matplotlib'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or None)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
