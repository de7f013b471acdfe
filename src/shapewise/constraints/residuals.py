"""By how much a value breaks its bounds: one sign, positive means violated."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shapewise.constraints.bounds import Bounds


def residuals(values: Tensor, bounds: Bounds, scale: Tensor | None = None) -> Tensor:
    """Signed violation of both sides: ``(lower - value) / scale`` and ``(value - upper) / scale``.

    Source: the arguments of the paper's model (2), divided by a scale so that an area and a coordinate weigh
    alike.

    Args:
        values: descriptor values, ``(B, K, C)``, or ``(B, C)`` for a pair of classes.
        bounds: what is allowed; broadcasts against ``values``.
        scale: what a residual is divided by, positive, broadcasting against ``values``; None or NaN divides
            by 1.

    Returns:
        The shape of ``values`` with ``(lower, upper)`` as a new last axis; ``-inf``, with zero gradient, for
        a side that is inactive. At least float32.

    Raises:
        ArgumentError: ``bounds`` do not broadcast against ``values``.

    >>> values = torch.tensor([80.0, 105.0])
    >>> residuals(values, Bounds(torch.tensor(90.0), torch.tensor(torch.inf)), scale=torch.tensor(100.0))
    tensor([[ 0.1000,    -inf],
            [-0.1500,    -inf]])
    """
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    bounds = bounds.expand(values.shape)
    z = torch.stack((bounds.lower - values, values - bounds.upper), -1)
    if scale is not None:
        z = z / scale.nan_to_num(nan=1.0).unsqueeze(-1)
    active = torch.stack((bounds.lower, bounds.upper), -1).isfinite()
    return z.masked_fill(~active, -math.inf)
