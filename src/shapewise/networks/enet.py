"""ENet: a small, fast encoder-decoder (Paszke et al., arXiv:1606.02147, 2016).

The layers are those of the paper's table 1 and figure 2: an initial block, five stages of bottlenecks, of
which the second and third mix regular, dilated and asymmetric convolutions, and a decoder that undoes the
encoder's max-pooling with the indices that the pooling remembered.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from shapewise.errors import ArgumentError
from shapewise.networks.checks import require_counts, require_probabilities
from shapewise.networks.padding import pad_to_multiple
from shapewise.typing import Image, Logits, Tensor

_REDUCTION = 4  # how much narrower a bottleneck's middle is than the network around it


class ENet(nn.Module):
    """ENet as published: a third of a million parameters, an eighth of the resolution at its deepest.

    With three input channels and Cityscapes' 19 classes it has 363 954 parameters; the paper's table 3 says
    0.37 million. No convolution but the last carries a bias, and every nonlinearity is a PReLU with one
    slope a channel (paper, section 4).

    Inputs `(B, in_channels, H, W)` of any size: sizes that do not divide by 8 are padded at the bottom and
    right by repeating the edge, and the output is cropped back. Outputs logits `(B, classes, H, W)`.

    Args:
        in_channels: channels of the image, at least 1.
        classes: classes including the background, at least 1.
        early_dropout: probability of spatial dropout in stage 1 (paper: 0.01).
        dropout: probability of spatial dropout from stage 2 on (paper: 0.1).

    Raises:
        ArgumentError: a count below 1 or a probability outside [0, 1).

    >>> network = ENet(in_channels=1, classes=4)
    >>> tuple(network(torch.zeros(2, 1, 40, 51)).shape)
    (2, 4, 40, 51)
    """

    def __init__(
        self, in_channels: int, classes: int, *, early_dropout: float = 0.01, dropout: float = 0.1
    ) -> None:
        super().__init__()
        require_counts(in_channels=in_channels, classes=classes)
        require_probabilities(early_dropout=early_dropout, dropout=dropout)
        self.initial = _Initial(in_channels, 16)
        self.down1 = _Downsampling(16, 64, early_dropout)
        self.stage1 = nn.Sequential(*[_Bottleneck(64, _regular(16), early_dropout) for _ in range(4)])
        self.down2 = _Downsampling(64, 128, dropout)
        self.stage2 = _context_stage(128, dropout)
        self.stage3 = _context_stage(128, dropout)
        self.up4 = _Upsampling(128, 64, dropout)
        self.stage4 = nn.Sequential(*[_Bottleneck(64, _regular(16), dropout) for _ in range(2)])
        self.up5 = _Upsampling(64, 16, dropout)
        self.stage5 = _Bottleneck(16, _regular(4), dropout)
        self.head = nn.ConvTranspose2d(16, classes, kernel_size=2, stride=2)

    def forward(self, images: Image) -> Logits:
        """Return the logits of every class at every pixel."""
        height, width = images.shape[-2:]
        features = self.initial(pad_to_multiple(images, 8))
        features, indices1 = self.down1(features)
        features, indices2 = self.down2(self.stage1(features))
        features = self.stage3(self.stage2(features))
        features = self.stage4(self.up4(features, indices2))
        logits: Tensor = self.head(self.stage5(self.up5(features, indices1)))
        return logits[..., :height, :width]


class _Initial(nn.Module):
    """Figure 2a: a strided convolution beside max-pooling of the image itself."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        if in_channels >= channels:
            raise ArgumentError("in_channels", expected=f"below {channels}", found=in_channels)
        self.convolution = nn.Conv2d(in_channels, channels - in_channels, 3, stride=2, padding=1, bias=False)
        self.activation = _normalised_prelu(channels)

    def forward(self, images: Tensor) -> Tensor:
        both = torch.cat([self.convolution(images), F.max_pool2d(images, 2)], dim=1)
        activated: Tensor = self.activation(both)
        return activated


class _Bottleneck(nn.Module):
    """Figure 2b at one resolution: narrow, convolve, widen, drop channels, add the input."""

    def __init__(self, channels: int, middle: nn.Module, dropout: float) -> None:
        super().__init__()
        narrow = channels // _REDUCTION
        self.branch = nn.Sequential(
            *_convolution(channels, narrow), middle, *_widening(narrow, channels), nn.Dropout2d(dropout)
        )
        self.activation = nn.PReLU(channels)

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = self.activation(features + self.branch(features))
        return added


class _Downsampling(nn.Module):
    """Figure 2b at half the resolution: the main path is max-pooling, zeros in the channels it lacks."""

    def __init__(self, in_channels: int, channels: int, dropout: float) -> None:
        super().__init__()
        narrow = channels // _REDUCTION
        self.missing = channels - in_channels
        self.branch = nn.Sequential(
            *_convolution(in_channels, narrow, size=2, stride=2),
            _regular(narrow),
            *_widening(narrow, channels),
            nn.Dropout2d(dropout),
        )
        self.activation = nn.PReLU(channels)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        pooled, indices = F.max_pool2d(features, 2, return_indices=True)
        main = F.pad(pooled, (0, 0, 0, 0, 0, self.missing))
        return self.activation(main + self.branch(features)), indices


class _Upsampling(nn.Module):
    """Figure 2b at twice the resolution: the main path puts each value where its maximum once was."""

    def __init__(self, in_channels: int, channels: int, dropout: float) -> None:
        super().__init__()
        narrow = channels // _REDUCTION
        self.main = nn.Sequential(*_widening(in_channels, channels))
        self.branch = nn.Sequential(
            *_convolution(in_channels, narrow),
            nn.ConvTranspose2d(narrow, narrow, 3, stride=2, padding=1, output_padding=1, bias=False),
            _normalised_prelu(narrow),
            *_widening(narrow, channels),
            nn.Dropout2d(dropout),
        )
        self.activation = nn.PReLU(channels)

    def forward(self, features: Tensor, indices: Tensor) -> Tensor:
        placed: Tensor = self.activation(max_unpool(self.main(features), indices) + self.branch(features))
        return placed


def max_unpool(features: Tensor, indices: Tensor) -> Tensor:
    """Undo a 2 x 2 max-pooling: every value goes where the maximum was, zeros elsewhere.

    The same as `torch.nn.functional.max_unpool2d`, written as a scatter because that one has no deterministic
    implementation on a GPU; pooling windows do not overlap, so no two values ever meet.

    Args:
        features: `(B, C, H, W)`.
        indices: `(B, C, H, W)`, as `max_pool2d(..., return_indices=True)` gives them.

    Returns:
        `(B, C, 2 H, 2 W)`.

    >>> pooled, indices = F.max_pool2d(torch.tensor([[[[1.0, 4.0], [2.0, 3.0]]]]), 2, return_indices=True)
    >>> max_unpool(pooled, indices).tolist()
    [[[[0.0, 4.0], [0.0, 0.0]]]]
    """
    batch, channels, height, width = features.shape
    flat = features.new_zeros(batch, channels, 4 * height * width)
    placed = flat.scatter(2, indices.flatten(2), features.flatten(2))
    return placed.view(batch, channels, 2 * height, 2 * width)


def _context_stage(channels: int, dropout: float) -> nn.Sequential:
    """Stages 2 and 3 of table 1, without their downsampling: a wide view at a low cost."""
    narrow = channels // _REDUCTION
    middles = [
        _regular(narrow),
        _regular(narrow, dilation=2),
        _asymmetric(narrow),
        _regular(narrow, dilation=4),
        _regular(narrow),
        _regular(narrow, dilation=8),
        _asymmetric(narrow),
        _regular(narrow, dilation=16),
    ]
    return nn.Sequential(*[_Bottleneck(channels, middle, dropout) for middle in middles])


def _regular(channels: int, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(convolution, _normalised_prelu(channels))


def _asymmetric(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, (5, 1), padding=(2, 0), bias=False),
        nn.Conv2d(channels, channels, (1, 5), padding=(0, 2), bias=False),
        _normalised_prelu(channels),
    )


def _convolution(in_channels: int, channels: int, *, size: int = 1, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, channels, size, stride=stride, bias=False)
    return [convolution, _normalised_prelu(channels)]


def _widening(in_channels: int, channels: int) -> list[nn.Module]:
    """A 1 x 1 convolution without a nonlinearity: that one follows the sum."""
    return [nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels)]


def _normalised_prelu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))
