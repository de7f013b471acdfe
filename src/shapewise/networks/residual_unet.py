"""A fully residual U-Net: FusionNet's plan (Quan et al., arXiv:1612.05360, 2016) at a size for a CPU.

Every block is residual, and the decoder adds the encoder's features instead of concatenating them: one
chain of sums leads from the image to the logits.

Batch normalisation, because on ACDC's slices at 80 x 80 with batches of 8 it learned the most in the first
epochs and ended level with instance normalisation, ahead of group normalisation; it is also the only one of
the three that still works where the deepest level is a single pixel.
"""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import nn

from shapewise.networks.checks import require_counts
from shapewise.networks.padding import pad_to_multiple
from shapewise.typing import Image, Logits, Tensor


class ResidualUNet(nn.Module):
    """Encoder and decoder of residual blocks, joined by sums.

    Level l works at 1 / 2^l of the resolution with `channels` · 2^l channels.

    Inputs `(B, in_channels, H, W)` of any size: sizes that do not divide by 2^(levels - 1) are padded at the
    bottom and right by repeating the edge, and the output is cropped back. Outputs logits
    `(B, classes, H, W)`.

    Args:
        in_channels: channels of the image, at least 1.
        classes: classes including the background, at least 1.
        channels: channels of the first level, at least 1.
        levels: resolutions, at least 1; five see 200 pixels and more around every pixel.

    Raises:
        ArgumentError: a count below 1.

    >>> import torch
    >>> network = ResidualUNet(in_channels=1, classes=4, channels=8, levels=5)
    >>> tuple(network(torch.zeros(2, 1, 80, 75)).shape)
    (2, 4, 80, 75)
    """

    def __init__(self, in_channels: int, classes: int, *, channels: int = 8, levels: int = 5) -> None:
        super().__init__()
        require_counts(in_channels=in_channels, classes=classes, channels=channels, levels=levels)
        widths = [channels * 2**level for level in range(levels)]
        steps = list(itertools.pairwise(widths))
        self.multiple = 2 ** (levels - 1)
        self.stem = _stem(in_channels, channels)
        self.encoder = nn.ModuleList(_Residual(narrow, wide, stride=2) for narrow, wide in steps)
        self.widenings = nn.ModuleList(nn.Conv2d(wide, narrow, 1) for narrow, wide in reversed(steps))
        self.decoder = nn.ModuleList(_Residual(narrow, narrow) for narrow, _ in reversed(steps))
        self.head = nn.Conv2d(channels, classes, 1)

    def forward(self, images: Image) -> Logits:
        """Return the logits of every class at every pixel."""
        height, width = images.shape[-2:]
        features = [self.stem(pad_to_multiple(images, self.multiple))]
        for block in self.encoder:
            features.append(block(features[-1]))
        decoded = features.pop()
        for narrow, block in zip(self.widenings, self.decoder, strict=True):
            decoded = block(features.pop() + _doubled(narrow(decoded)))
        logits: Tensor = self.head(decoded)
        return logits[..., :height, :width]


def _stem(in_channels: int, channels: int) -> nn.Sequential:
    """One convolution: the image itself has too few channels to carry a residual block's sum."""
    convolution = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.LeakyReLU(0.01))


class _Residual(nn.Module):
    """Two normalised 3 x 3 convolutions beside the input, projected where its shape changes."""

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1) -> None:
        super().__init__()
        same = in_channels == channels and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, channels, 1, stride=stride)
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(0.01),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return F.leaky_relu(self.shortcut(features) + self.branch(features), 0.01)


def _doubled(features: Tensor) -> Tensor:
    """Twice the resolution; the nearest value, since the block that follows smooths it anyway."""
    return F.interpolate(features, scale_factor=2.0, mode="nearest")
