"""Augmentation of a batch, on its device.

Numbers cannot be recomputed from a warped mask that does not exist. So the image is warped, and the network's
answer is warped back before it is described: the loss lives in the original frame, whatever the supervision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from shapewise.errors import ArgumentError


@dataclass(frozen=True)
class Augmentation:
    """How far a batch may be changed; every image draws its own change.

    Attributes:
        blur: Largest standard deviation of a Gaussian blur, in pixels.
        shift: Largest shift along each axis, as a fraction of the image's size.
        scale: Largest relative change of size: 0.1 draws factors from 0.9 to 1.1.
        rotation: Largest angle, in degrees, to either side.
        flip: Whether each axis is mirrored half of the time.

    Raises:
        ArgumentError: A negative range, or a scale of 1 or more.

    Example:
        >>> images = torch.rand(2, 1, 8, 8)
        >>> augmentation, generator = Augmentation(flip=True), torch.Generator().manual_seed(0)
        >>> theta = augmentation.sample(images, generator)
        >>> augmented = augmentation.apply(images, theta, generator)
        >>> torch.allclose(augmentation.unwarp(augmented, theta), images, atol=1e-5)
        True
    """

    blur: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        for name in ("blur", "shift", "scale", "rotation"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ArgumentError(name, expected="zero or a positive number", found=getattr(self, name))
        if self.scale >= 1:
            raise ArgumentError("scale", expected="less than 1", found=self.scale)

    @property
    def geometric(self) -> bool:
        """Whether any pixel may move."""
        return bool(self.shift or self.scale or self.rotation or self.flip)

    def sample(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor | None:
        """One affine map an image, from its augmented to its original place, or None where no pixel may move.

        Args:
            images: The batch, (B, C, H, W); only its shape and device count.
            generator: Source of all randomness; it may live on another device.

        Returns:
            (B, 2, 3) float32 as `torch.nn.functional.affine_grid` takes it.
        """
        if not self.geometric:
            return None
        batch, _, height, width = images.shape
        draw = _uniform((batch, 6), generator)
        angle = math.radians(self.rotation) * draw[:, 0]
        factor = 1 / (1 + self.scale * draw[:, 1])
        mirror = torch.where(draw[:, 2:4] < 0, -1.0, 1.0) if self.flip else torch.ones_like(draw[:, 2:4])
        cosine, sine = factor * angle.cos(), factor * angle.sin()
        # affine_grid's coordinates are (column, row), each from -1 to 1: turning needs the sides' ratio.
        theta = torch.zeros(batch, 2, 3, device=draw.device)
        theta[:, 0, 0], theta[:, 0, 1] = mirror[:, 1] * cosine, -mirror[:, 1] * sine * (height / width)
        theta[:, 1, 0], theta[:, 1, 1] = mirror[:, 0] * sine * (width / height), mirror[:, 0] * cosine
        theta[:, :, 2] = 2 * self.shift * draw[:, 4:]
        return theta.to(images.device)

    def apply(self, images: Tensor, theta: Tensor | None, generator: torch.Generator | None = None) -> Tensor:
        """The augmented batch, (B, C, H, W): each image warped by what `sample` drew for it, then blurred."""
        augmented = images if theta is None else warp(images, theta)
        if not self.blur:
            return augmented
        sigma = self.blur * _uniform((len(images),), generator).abs()
        return gaussian_blur(augmented, sigma.to(images.device), radius=math.ceil(3 * self.blur))

    @staticmethod
    def unwarp(logits: Tensor, theta: Tensor | None) -> Tensor:
        """What a network says about the augmented batch, (B, K, H, W), in the frame of the original one.

        Differentiable in the logits. ``theta`` None, drawn where no pixel moves, leaves them as they are.
        """
        return logits if theta is None else warp(logits, inverse(theta))


def warp(images: Tensor, theta: Tensor) -> Tensor:
    """Images (B, C, H, W) read where ``theta`` (B, 2, 3) maps each pixel to; the border repeats.

    At least float32, also under autocast, whose half precision would misplace pixels.
    """
    dtype = torch.promote_types(images.dtype, torch.float32)
    with torch.autocast(images.device.type, enabled=False):
        grid = F.affine_grid(theta.to(dtype), list(images.shape), align_corners=False)
        return F.grid_sample(images.to(dtype), grid, padding_mode="border", align_corners=False)


def inverse(theta: Tensor) -> Tensor:
    """The inverse affine maps, (B, 2, 3).

    Example:
        >>> inverse(torch.tensor([[[2.0, 0.0, 1.0], [0.0, 4.0, 0.0]]]))
        tensor([[[ 0.5000,  0.0000, -0.5000],
                 [ 0.0000,  0.2500,  0.0000]]])
    """
    with torch.autocast(theta.device.type, enabled=False):
        linear = torch.linalg.inv_ex(theta[:, :, :2].float()).inverse
        return torch.cat([linear, -linear @ theta[:, :, 2:].float()], dim=2)


def gaussian_blur(images: Tensor, sigma: Tensor, *, radius: int) -> Tensor:
    """Each image (B, C, H, W) blurred by its own standard deviation (B,), in pixels; the border repeats.

    Args:
        images: The batch.
        sigma: Standard deviations; 0 leaves an image as it is.
        radius: Where the Gaussian is cut off, in pixels: 3 times the largest standard deviation, say.
    """
    batch, channels, height, width = images.shape
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0).to(images.dtype)
    padded = F.pad(images.reshape(1, batch * channels, height, width), (radius,) * 4, mode="replicate")
    with torch.autocast(images.device.type, enabled=False):
        rows = F.conv2d(padded, kernel[:, None, :, None], groups=batch * channels)
        blurred = F.conv2d(rows, kernel[:, None, None, :], groups=batch * channels)
    return blurred.reshape(images.shape)


def _uniform(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    device = "cpu" if generator is None else generator.device
    return 2 * torch.rand(shape, generator=generator, device=device) - 1
