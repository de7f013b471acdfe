"""What is known in advance about how two classes relate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from shapewise.constraints.bounds import Bounds
from shapewise.errors import ArgumentError


@dataclass(frozen=True)
class Relation:
    """A bound on how two classes relate: anatomical knowledge that needs no annotation.

    Source: paper, sections 2.2 (ratio) and 3.1 (equal centroids); the contact is ours.

    Args:
        kind: ``ratio`` f(k) / f(l), ``difference`` f(k) - f(l), or ``contact``, the length of the boundary
            that the two classes share (Crofton weights, px without spacing).
        pair: class indices (k, l), the background being 0.
        descriptor: a registered name; ``contact`` does not use it.
        lower: smallest allowed value; None leaves that side open.
        upper: largest allowed value; None leaves that side open.
        scale: what the residual is divided by, in the value's unit: the size of a serious violation.

    Raises:
        ArgumentError: an unknown kind, twice the same class, no bound, or bounds upside down.

    >>> Relation("ratio", (2, 3), "length", lower=2.0, upper=3.0).key
    'ratio_length_2_3'
    """

    kind: Literal["ratio", "difference", "contact"]
    pair: tuple[int, int]
    descriptor: str = "volume"
    lower: float | None = None
    upper: float | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("ratio", "difference", "contact"):
            raise ArgumentError("kind", expected="'ratio', 'difference' or 'contact'", found=repr(self.kind))
        if len(self.pair) != 2 or self.pair[0] == self.pair[1] or min(self.pair) < 0:
            raise ArgumentError("pair", expected="two different class indices", found=self.pair)
        if self.lower is None and self.upper is None:
            raise ArgumentError("lower", expected="a number where `upper` is None", found=None)
        if not 0 < self.scale < math.inf:
            raise ArgumentError("scale", expected="a positive finite number", found=self.scale)
        Bounds.constant(self.lower, self.upper)

    @property
    def key(self) -> str:
        """What a report calls this relation."""
        first, second = self.pair
        what = self.kind if self.kind == "contact" else f"{self.kind}_{self.descriptor}"
        return f"{what}_{first}_{second}"

    @property
    def interval(self) -> tuple[float, float]:
        """The smallest and the largest allowed value, infinite where open."""
        return (
            -math.inf if self.lower is None else self.lower,
            math.inf if self.upper is None else self.upper,
        )
