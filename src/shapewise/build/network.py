"""An experiment's network, tried before anything is done with it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn

from shapewise.build.blaming import blaming
from shapewise.build.cases import build_preprocessing
from shapewise.config import Experiment
from shapewise.errors import ConfigError
from shapewise.networks.registry import build_network


def build_experiment_network(experiment: Experiment, classes: Sequence[str]) -> nn.Module:
    """Build the network with the seed's own initial weights, whatever the supervision.

    Raises:
        ConfigError: there is no such network, or it does not go from slices to logits.
    """
    torch.manual_seed(experiment.training.seed)
    settings, count = experiment.network, len(classes) + 1
    with blaming("network", **{option: f"options.{option}" for option in settings.options}):
        network = build_network(settings.name, in_channels=1, classes=count, options=settings.options)
    check_network(network, build_preprocessing(experiment).shape, count)
    return network


def check_network(network: nn.Module, shape: tuple[int, int], classes: int) -> None:
    """Try a network on one blank slice; raises `ConfigError` unless it answers with logits of its shape."""
    expected = f"a network from slices (B, 1, {shape[0]}, {shape[1]}) to logits of {classes} classes"
    try:
        with torch.inference_mode():
            answer = network.eval()(torch.zeros(1, 1, *shape))
    except Exception as error:  # somebody else's code may raise anything
        raise ConfigError("network", expected=expected, found=repr(error)) from error
    finally:
        network.train()
    found = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
    if found != (1, classes, *shape):
        raise ConfigError("network", expected=expected, found=found)


def check_training(network: nn.Module, shape: tuple[int, int], smallest: int) -> None:
    """Try a copy of a network on the smallest batch in training mode, in which normalising needs two pixels.

    Raises:
        ConfigError: its deepest level has one pixel a slice, and the batch one slice.
    """
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            deepcopy(network).train()(torch.zeros(min(smallest, 2), 1, *shape))
    except ValueError as error:  # torch's
        expected = f"one that trains on a batch of {smallest}"
        raise ConfigError("network", expected=expected, found=error) from None
