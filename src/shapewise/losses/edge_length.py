"""Boundaries that follow the image: what needs the image alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from shapewise.descriptors import edge_length
from shapewise.errors import ArgumentError
from shapewise.losses.inputs import probabilities
from shapewise.typing import Image, Logits, Probs


class EdgeLengthLoss(nn.Module):
    """The boundary of all objects where the image has no edge, in sides of the image.

    The sum of `shapewise.descriptors.edge_length` over the classes but the background, divided by the square
    root of the number of pixels (in 3-D by its power 2/3), mean over the images. It knows of no annotation:
    alone it is least where nothing is predicted.

    Args:
        sigma: the difference of intensities from which on there is an edge.
        softmax: the input is logits; apply a softmax over the classes.

    >>> logits = torch.zeros(1, 2, 8, 8, requires_grad=True)
    >>> EdgeLengthLoss(0.5, softmax=True)(logits, torch.rand(1, 1, 8, 8)).item()
    0.0
    """

    def __init__(self, sigma: float, *, softmax: bool = False) -> None:
        super().__init__()
        self.sigma, self.softmax = sigma, softmax

    def forward(self, input: Logits | Probs, images: Image) -> Tensor:
        """Return the loss, a scalar of at least float32.

        Args:
            input: ``(B, K, *S)``, background first.
            images: ``(B, C, *S)``, in the frame of the input.

        Raises:
            ArgumentError: a shape does not fit, there is no class but the background, or sigma is not
                positive.
        """
        with torch.autocast(input.device.type, enabled=False):
            probs = probabilities(input, softmax=self.softmax, sigmoid=False)
            if probs.shape[1] < 2:
                raise ArgumentError("input", expected="of two classes or more", found=tuple(input.shape))
            lengths = edge_length(probs[:, 1:], images, sigma=self.sigma)
        space = probs.shape[2:]
        total: Tensor = lengths.sum(1).mean() / math.prod(space) ** (1 - 1 / len(space))
        return total
