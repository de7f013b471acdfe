"""What holds for every network of this package."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from shapewise.networks import build_network, names

pytestmark = pytest.mark.parametrize("name", names())


def build(name: str, *, seed: int = 0, in_channels: int = 1, classes: int = 4) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build_network(name, in_channels, classes)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (5, 64), (40, 17)])
@pytest.mark.parametrize(("in_channels", "classes"), [(1, 4), (3, 2)])
def test_logits_have_the_size_of_the_image(name, size, in_channels, classes) -> None:
    network = build(name, in_channels=in_channels, classes=classes).eval()
    assert network(torch.randn(2, in_channels, *size)).shape == (2, classes, *size)


def test_padding_changes_nothing_where_none_is_needed(name) -> None:
    network = build(name).eval()
    image = torch.randn(1, 1, 48, 48)
    padded = F.pad(image[..., :41, :45], (0, 3, 0, 7), mode="replicate")
    torch.testing.assert_close(network(image[..., :41, :45]), network(padded)[..., :41, :45])


def test_a_gradient_reaches_every_parameter(name) -> None:
    network = build(name)
    logits = network(torch.randn(2, 1, 64, 64))
    F.cross_entropy(logits, torch.randint(4, (2, 64, 64))).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().sum() > 0, key


def test_the_seed_alone_decides_the_initial_weights(name) -> None:
    first, again, other = build(name, seed=1), build(name, seed=1), build(name, seed=2)
    weights = [network.state_dict() for network in (first, again, other)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert any(not torch.equal(weights[0][key], weights[2][key]) for key in weights[0])


def test_building_draws_the_same_numbers_from_the_generator(name) -> None:
    build(name)
    following = torch.rand(3)
    build(name)
    torch.testing.assert_close(torch.rand(3), following)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_run_and_agree(name, dtype) -> None:
    network = build(name).eval()
    image = torch.randn(1, 1, 40, 40)
    expected = network(image)
    logits = network.to(dtype)(image.to(dtype))
    assert logits.dtype == dtype
    tolerance = {torch.float64: 1e-4, torch.bfloat16: 0.1}[dtype]
    assert (logits.float() - expected).abs().max() < tolerance * expected.abs().max().clamp(min=1)


def test_autocast_runs_forward_and_backward(name) -> None:
    network = build(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = network(torch.randn(2, 1, 32, 32)).float().square().mean()
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_it_learns_a_disc_on_noise(name) -> None:
    network = build(name, classes=2)
    generator = torch.Generator().manual_seed(0)
    rows = torch.arange(32).view(-1, 1)
    labels = ((rows - 16) ** 2 + (rows.T - 12) ** 2 < 64).long().expand(4, -1, -1)
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(12):
        images = labels[:, None] + 0.5 * torch.randn(4, 1, 32, 32, generator=generator)
        loss = F.cross_entropy(network(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
