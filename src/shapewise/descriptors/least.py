"""What no object has less of."""

from __future__ import annotations

import math

from shapewise.descriptors.higher import exponents
from shapewise.descriptors.registry import get

AMOUNTS = ("volume", "spread", "length", "potts_length", "elongation", "convexity")
"""What is never negative."""

ROUNDING = 0.1
"""How far below 0 a flat object's variance may be by arithmetic alone: single precision, 500 pixels away."""


def least_values(name: str, ndim: int) -> tuple[float, ...]:
    """The smallest value that an object may have in each component of a descriptor, -inf where any will do.

    Raises:
        ArgumentError: the name is not registered.

    >>> least_values("volume", 2), least_values("covariance", 2)
    ((0.0,), (-0.1, -inf, -0.1))
    """
    if name == "covariance":
        return tuple(-ROUNDING if 2 in powers else -math.inf for powers in exponents(2, ndim))
    return (0.0 if name in AMOUNTS else -math.inf,) * get(name).components(ndim)
