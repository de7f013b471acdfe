"""Keeping one image from deciding a step."""

from __future__ import annotations

import torch

from shapewise.typing import Logits, Tensor


def clip_each_image(logits: Logits, limit: float) -> None:
    """Bound the norm of what each image sends back through its logits to `limit` over the batch size.

    A constraint that is violated by far, on one image of the batch, has a gradient hundreds of times that of
    the others. Clipping the whole gradient then keeps its length and loses everybody else's say in it.

    Args:
        logits: (B, K, H, W), of a loss that is a mean over the batch; a hook is left on it.
        limit: largest norm of the gradient of an image's own loss with respect to its logits.

    >>> logits = torch.zeros(2, 1, 1, 1, requires_grad=True)
    >>> clip_each_image(logits, limit=1.0)
    >>> (logits.flatten() * torch.tensor([100.0, 0.1])).sum().backward()
    >>> logits.grad.flatten()
    tensor([0.5000, 0.1000])
    """

    def scale_down(gradient: Logits) -> Logits:
        norms = torch.linalg.vector_norm(gradient.flatten(1), dim=1).clamp_min(1e-12)
        factors: Tensor = (limit / len(gradient) / norms).clamp(max=1)
        return gradient * factors.view(-1, *[1] * (gradient.ndim - 1))

    if logits.requires_grad:
        logits.register_hook(scale_down)
