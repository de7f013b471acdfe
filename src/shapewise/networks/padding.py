"""Makes any image size fit a network that halves its input several times."""

from __future__ import annotations

import torch.nn.functional as F

from shapewise.typing import Tensor


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sizes are multiples of `multiple`.

    The edge is repeated rather than filled with zeros, so that no artificial contour appears at the border.

    Args:
        images: `(B, C, H, W)`.
        multiple: what the sizes must divide by.

    Returns:
        `(B, C, H', W')`, the input itself in the top-left corner; crop with `[..., :H, :W]`.

    >>> import torch
    >>> tuple(pad_to_multiple(torch.zeros(1, 1, 9, 16), 8).shape)
    (1, 1, 16, 16)
    """
    height, width = images.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images
