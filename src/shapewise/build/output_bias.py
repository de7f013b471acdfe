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
CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def set_output_bias(network: nn.Module, shares: Tensor, image: Tensor) -> None:
    """Set the bias that the network adds to its answer, ``(K,)``, to the logarithm of the classes' shares.

    It is that of the convolution with an output a class that is executed last.

    Args:
        network: logits from images.
        shares: background first.
        image: any, ``(1, 1, h, w)``; the network is tried on it.

    Raises:
        ConfigError: the network has no such convolution, or its answer does not move with that bias.

    >>> network = nn.Conv2d(1, 2, 1)
    >>> set_output_bias(network, torch.tensor([0.75, 0.25]), torch.rand(1, 1, 4, 4))
    >>> network.bias.softmax(0)
    tensor([0.7500, 0.2500], grad_fn=<SoftmaxBackward0>)
    """
    expected = f"a network whose last convolution has a bias for each of {len(shares)} classes"
    training = network.training
    with torch.no_grad():
        bias, before = last_bias(network.eval(), image, len(shares))
        if bias is None:
            raise ConfigError(KEY, expected=expected, found="none")
        random = bias.clone()
        bias.copy_(shares.log())
        added, wanted = network(image) - before, (bias - random)[:, None, None]
        if not torch.allclose(added, wanted.expand_as(added), atol=1e-3):
            bias.copy_(random)
            raise ConfigError(KEY, expected=expected, found="one whose answer does not move with that bias")
    network.train(training)


def last_bias(network: nn.Module, image: Tensor, classes: int) -> tuple[Tensor | None, Tensor]:
    """Find the bias of the last convolution executed that has one a class, and the network's answer."""
    executed: list[Tensor] = []
    hooks = [
        part.register_forward_hook(lambda part, given, answer: executed.append(part.bias))
        for part in network.modules()
        if isinstance(part, CONVOLUTIONS) and part.out_channels == classes and part.bias is not None
    ]
    answer = network(image)
    for hook in hooks:
        hook.remove()
    return (executed[-1] if executed else None), answer


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
    expected, slices = "a supervision that is told volumes, or both their bounds", train.slices
    if slices.targets is None:
        raise ConfigError(KEY, expected=expected, found="one by labels alone")
    value, lower, upper = slices.targets["volume"][slices.indices, :, 0].double().unbind(-1)
    volumes = torch.where(value.isnan(), (lower + upper) / 2, value)
    if whole:
        counts = Counter(train.cases)
        volumes = volumes / torch.tensor([[counts[case]] for case in train.cases])
    volumes = volumes.where(volumes.isfinite(), math.nan)
    bounded = (lower.isfinite() | upper.isfinite()).any(0)
    for name, positive, one_sided in zip(classes, (volumes > 0).any(0), bounded, strict=True):
        if not positive:
            found = "only one bound on the volume" if one_sided else "no volume"
            raise ConfigError(KEY, expected=expected, found=f"{found} of any {name} in the training split")
    objects = volumes.nanmean(0) / math.prod(slices.images.shape[1:])
    return torch.cat([1 - objects.sum(0, keepdim=True), objects]).clamp_min(SMALLEST)
