"""A run's first guess: as much of every class as the annotated volumes say there is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from shapewise.build.slices import Prepared
from shapewise.errors import ConfigError

SMALLEST = 1e-4
"""The share of the pixels that a class has at least: what nobody expects is never learned."""

KEY = "network.output_bias"


def set_output_bias(network: nn.Module, shares: Tensor) -> None:
    """Set the bias of the last convolution that has one a class, ``(K,)``, to the logarithm of the shares.

    Raises:
        ConfigError: the network has none.

    >>> network = nn.Conv2d(1, 2, 1)
    >>> set_output_bias(network, torch.tensor([0.75, 0.25]))
    >>> network.bias.softmax(0)
    tensor([0.7500, 0.2500], grad_fn=<SoftmaxBackward0>)
    """
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    biases = [part.bias for part in convolutions if part.out_channels == len(shares)]
    if not biases or biases[-1] is None:
        expected = f"a network whose last convolution has a bias for each of {len(shares)} classes"
        raise ConfigError(KEY, expected=expected, found="none")
    with torch.no_grad():
        biases[-1].copy_(shares.log())


def mean_shares(train: Prepared, classes: Sequence[str], *, whole: bool) -> Tensor:
    """The mean share of a slice's pixels that every class has, background first, ``(K,)``.

    Absent objects count as 0, and those whose volume is unknown do not count.

    Args:
        train: slices with the numbers that a supervision is told.
        classes: foreground classes.
        whole: the volumes are those of 3-D objects.

    Raises:
        ConfigError: there are no numbers, or none of some class that is there.
    """
    expected, slices = "a supervision that is told volumes", train.slices
    if slices.targets is None:
        raise ConfigError(KEY, expected=expected, found="one by labels alone")
    value, lower, upper = slices.targets["volume"][slices.indices, :, 0].double().unbind(-1)
    volumes = torch.where(value.isnan(), (lower + upper) / 2, value)
    if whole:
        counts = Counter(train.cases)
        volumes = volumes / torch.tensor([[counts[case]] for case in train.cases])
    volumes = volumes.where(volumes.isfinite(), math.nan)
    for name, positive in zip(classes, (volumes > 0).any(0), strict=True):
        if not positive:
            raise ConfigError(KEY, expected=expected, found=f"no volume of any {name} in the training split")
    objects = volumes.nanmean(0) / math.prod(slices.images.shape[1:])
    return torch.cat([1 - objects.sum(0, keepdim=True), objects]).clamp_min(SMALLEST)
