"""How the barrier's t grows from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from shapewise.errors import ArgumentError

Schedule: TypeAlias = Callable[[int], float]
"""Epoch, counted from 0, to the value of t in it."""


@dataclass(frozen=True)
class Geometric:
    """t multiplied by a factor every epoch, up to a cap.

    The cap keeps the barrier's knee, 1/t², representable: without one, t = 1.1^200 puts the knee at 3e-17.

    Source: paper, section 2.3 ("a parameter t that is increased over time").

    Args:
        start: t in epoch 0; positive.
        factor: growth an epoch; at least 1.
        cap: the largest t; at least ``start``.

    Raises:
        ArgumentError: an argument is out of its range.

    >>> schedule = Geometric(start=5.0, factor=1.05, cap=30.0)
    >>> [round(schedule(epoch), 3) for epoch in (0, 1, 2, 100)]
    [5.0, 5.25, 5.513, 30.0]
    """

    start: float = 5.0
    factor: float = 1.05
    cap: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.start < math.inf:
            raise ArgumentError("start", expected="a positive finite number", found=self.start)
        if not 1 <= self.factor < math.inf:
            raise ArgumentError("factor", expected="a finite number of at least 1", found=self.factor)
        if not self.start <= self.cap < math.inf:
            expected = f"a finite number of at least {self.start}, the start"
            raise ArgumentError("cap", expected=expected, found=self.cap)

    def __call__(self, epoch: int) -> float:
        """Return t in ``epoch``."""
        _require_epoch(epoch)
        # In logarithms, as factor ** epoch overflows a float for late epochs.
        log_t = math.log(self.start) + epoch * math.log(self.factor)
        return self.cap if log_t >= math.log(self.cap) else self.start * self.factor**epoch


@dataclass(frozen=True)
class Constant:
    """The same t in every epoch.

    Raises:
        ArgumentError: ``t`` is not a positive finite number.

    >>> Constant(5.0)(7)
    5.0
    """

    t: float

    def __post_init__(self) -> None:
        if not 0 < self.t < math.inf:
            raise ArgumentError("t", expected="a positive finite number", found=self.t)

    def __call__(self, epoch: int) -> float:
        """Return t, whatever the epoch."""
        _require_epoch(epoch)
        return self.t


def _require_epoch(epoch: int) -> None:
    if epoch < 0:
        raise ArgumentError("epoch", expected="a non-negative integer", found=epoch)
