"""A run's first guess: the bias of the output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shapewise.build.cases import build_preprocessing, build_split, build_study, build_table
from shapewise.build.fit import build_fit
from shapewise.build.output_bias import mean_shares, set_output_bias
from shapewise.build.slices import Prepared
from shapewise.config import load_experiment
from shapewise.data.prepare import prepare_masks
from shapewise.data.slices import Slices
from shapewise.errors import ConfigError
from shapewise.networks import build_network

ExperimentFile = Callable[..., Path]
CLASSES = ("RV", "Myo", "LV")
NAN = float("nan")


def told(volumes: list[list[tuple[float, float, float]]], cases: list[int]) -> Prepared:
    """Slices of 10 by 10 pixels, and the volume's value and bounds of each object."""
    images = np.zeros((len(volumes), 10, 10), np.float32)
    return Prepared(Slices(images, targets={"volume": torch.tensor(volumes).unsqueeze(2)}), cases)


def test_shares_worked_by_hand() -> None:
    exact, nothing, absent = (10.0, NAN, NAN), (NAN, NAN, NAN), (0.0, NAN, NAN)
    within, there, speck = (NAN, 10.0, 30.0), (NAN, 1.0, NAN), (1e-5, NAN, NAN)
    train = told([[exact, absent, speck], [absent, within, nothing], [nothing, there, nothing]], [0, 1, 2])
    found = mean_shares(train, CLASSES, whole=False)
    expected = torch.tensor([1 - 0.05 - 0.1 - 1e-7, 0.05, 0.1, 1e-4], dtype=torch.float64)
    torch.testing.assert_close(found, expected)


def test_the_volume_of_a_case_is_shared_by_its_slices() -> None:
    first, second = [(60.0, NAN, NAN)], [(80.0, NAN, NAN)]
    train = told([first, second, second, first, first], [4, 7, 7, 4, 4])
    found = mean_shares(train, ["LV"], whole=True)
    torch.testing.assert_close(found, torch.tensor([0.72, 0.28], dtype=torch.float64))


def test_shares_need_a_volume_of_every_class() -> None:
    for unknown, found in [
        ((NAN, NAN, NAN), "no volume"),
        ((0.0, NAN, NAN), "no volume"),
        ((NAN, 1.0, NAN), "only one bound on the volume"),
        ((NAN, 1.0, np.inf), "only one bound on the volume"),
    ]:
        with pytest.raises(ConfigError, match=rf"network\.output_bias: .*, found {found} of any Myo in"):
            mean_shares(told([[(5.0, NAN, NAN), unknown]], [0]), ["RV", "Myo"], whole=False)
    with pytest.raises(ConfigError, match=r"network\.output_bias: .*found one by labels alone"):
        mean_shares(Prepared(Slices(np.zeros((1, 4, 4), np.float32)), [0]), ["LV"], whole=False)


MONAI = {"channels": [8, 16], "strides": [2]}
DEEP = {"kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2], "filters": [8, 8, 8]}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("enet", {}),
        ("residual_unet", {"channels": 4, "levels": 3}),
        ("monai:UNet", MONAI),
        ("monai:UNet", MONAI | {"num_res_units": 2}),
        ("monai:AttentionUnet", MONAI),
        ("monai:SegResNet", {"init_filters": 8}),
        ("monai:DynUNet", DEEP | {"deep_supervision": True}),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_bias_is_that_of_the_output(name: str, options: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = build_network(name, in_channels=1, classes=4, options=options).eval()
    image, shares = torch.rand(1, 1, 32, 32), torch.tensor([0.9, 0.05, 0.04, 0.01])
    with torch.no_grad():
        set_output_bias(network, torch.ones(4), image)
        before = network(image)
        set_output_bias(network, shares, image)
        added = network(image) - before
    torch.testing.assert_close(added, shares.log()[:, None, None].expand_as(added), rtol=0, atol=1e-4)


def test_the_bias_may_be_one_of_three_dimensions() -> None:
    network = nn.Sequential(nn.Unflatten(1, (1, 1)), nn.Conv3d(1, 2, 1), nn.Flatten(1, 2)).train()
    set_output_bias(network, torch.tensor([0.75, 0.25]), torch.rand(1, 1, 4, 4))
    torch.testing.assert_close(network[1].bias.softmax(0), torch.tensor([0.75, 0.25]))  # type: ignore[union-attr]
    assert network.training


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (nn.Conv2d(1, 4, 1, bias=False), "none"),
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1, bias=False)), "one whose answer does not move"),
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.InstanceNorm2d(4)), "one whose answer does not move"),
    ],
)
def test_a_network_without_such_a_bias_is_refused(network: nn.Module, found: str) -> None:
    before = {name: each.clone() for name, each in network.state_dict().items()}
    with pytest.raises(
        ConfigError, match=rf"network\.output_bias: expected .*each of 4 classes, found {found}"
    ):
        set_output_bias(network, torch.tensor([0.7, 0.1, 0.1, 0.1]), torch.rand(1, 1, 8, 8))
    assert all(torch.equal(each, before[name]) for name, each in network.state_dict().items())


@pytest.mark.parametrize("extent", ["slice", "volume"])
def test_a_run_begins_with_what_the_masks_have(
    extent: str, phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    network = {"name": "residual_unet", "options": {"channels": 4, "levels": 3}, "output_bias": "volumes"}
    experiment = load_experiment(
        experiment_file(supervision={"extent": extent}, network=network), ["training.weight_average=0.9"]
    )
    study = build_study(experiment, phantom)
    split = build_split(experiment, study)
    table = build_table(experiment, study, split, tmp_path / "descriptors.csv")
    fit = build_fit(experiment, study, split, table, tmp_path / "cache")
    masks = prepare_masks(split["train"], study.classes, build_preprocessing(experiment), tmp_path / "cache")
    shares = np.bincount(np.ravel(masks), minlength=4) / np.size(masks)
    for kept in (fit.module.network, fit.module.average.module):  # type: ignore[union-attr]
        found = kept.head.bias.detach().softmax(0).numpy()  # type: ignore[union-attr]
        np.testing.assert_allclose(found, shares, rtol=0.05)
