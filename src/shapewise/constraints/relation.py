"""What is known in advance about a class, or about how two relate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from shapewise.constraints.bounds import Bounds
from shapewise.errors import ArgumentError

Kind = Literal["ratio", "difference", "contact", "value"]


@dataclass(frozen=True)
class Relation:
    """A bound on one class, or on how two relate: anatomical knowledge that needs no annotation.

    Source: paper, sections 2.2 (ratio) and 3.1 (equal centroids); the contact is ours.

    Args:
        kind: ``ratio`` f(k) / f(l), ``difference`` f(k) - f(l), ``contact``, the length of the boundary
            that the two classes share (Crofton weights, px without spacing), or ``value``, f(k) of one class.
        pair: class indices (k, l), the background being 0; (k,) for a ``value``.
        descriptor: a registered name; ``contact`` does not use it.
        lower: smallest allowed value; None leaves that side open.
        upper: largest allowed value; None leaves that side open.
        scale: what the residual is divided by, in the value's unit: the size of a serious violation.

    Raises:
        ArgumentError: an unknown kind, another number of classes or one twice, no bound, or bounds upside
            down.

    >>> Relation("ratio", (2, 3), "length", lower=2.0, upper=3.0).key
    'ratio_length_2_3'
    >>> Relation("value", (3,), "convexity", lower=0.95, scale=0.1).key
    'value_convexity_3'
    """

    kind: Kind
    pair: tuple[int, ...]
    descriptor: str = "volume"
    lower: float | None = None
    upper: float | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ArgumentError("kind", expected=f"one of {', '.join(get_args(Kind))}", found=repr(self.kind))
        count = 1 if self.kind == "value" else 2
        if not len(self.pair) == len(set(self.pair)) == count or min(self.pair) < 0:
            expected = "one class index" if count == 1 else "two different class indices"
            raise ArgumentError("pair", expected=f"{expected} for the kind {self.kind}", found=self.pair)
        if self.lower is None and self.upper is None:
            raise ArgumentError("lower", expected="a number where `upper` is None", found=None)
        if not 0 < self.scale < math.inf:
            raise ArgumentError("scale", expected="a positive finite number", found=self.scale)
        Bounds.constant(self.lower, self.upper)

    @property
    def key(self) -> str:
        """What a report calls this relation."""
        what = (self.kind,) if self.kind == "contact" else (self.kind, self.descriptor)
        return "_".join(map(str, (*what, *self.pair)))

    @property
    def interval(self) -> tuple[float, float]:
        """The smallest and the largest allowed value, infinite where open."""
        return (
            -math.inf if self.lower is None else self.lower,
            math.inf if self.upper is None else self.upper,
        )
