"""What values are allowed: an interval around a value, or constants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass

import torch
from torch import Tensor

from shapewise.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class Bounds:
    """An interval for every number: ``lower <= value <= upper``.

    An infinite or NaN side is inactive: it constrains nothing. A value that does not exist is NaN, and so are
    both of its sides.

    Source: paper, section 2.3, problem (1).

    Args:
        lower: the smallest allowed values, ``(B, K, C)``, ``(B, C)`` for a pair of classes, or anything that
            broadcasts to those.
        upper: the largest allowed values, broadcasting against ``lower``.
        reference: the values that the interval was put around, where there are any; broadcasting likewise.
        validate: look for ``lower > upper``; waits for an accelerator, so the loss leaves it out for
            intervals that it made itself. Always left out while ``torch.compile`` traces.

    Raises:
        ArgumentError: the shapes do not broadcast, or ``lower > upper`` somewhere.

    >>> bounds = Bounds(torch.tensor([90.0, -torch.inf]), torch.tensor([110.0, 5.0]))
    >>> bounds.active
    tensor([[ True,  True],
            [False,  True]])
    >>> Bounds(torch.tensor([3.0]), torch.tensor([2.0]))
    Traceback (most recent call last):
    shapewise.errors.ArgumentError: Expected argument `lower` to be at most `upper`, but got 3.0 > 2.0 at (0,)
    """

    lower: Tensor
    upper: Tensor
    reference: Tensor | None = None
    validate: InitVar[bool] = True

    def __post_init__(self, validate: bool) -> None:
        given = {"lower": self.lower, "upper": self.upper, "reference": self.reference}
        parts = {name: part for name, part in given.items() if part is not None}
        if any(part.shape != self.lower.shape for part in parts.values()):
            shape = _common_shape(parts)
            for name, part in parts.items():
                object.__setattr__(self, name, part.expand(shape))
        if validate and not torch.compiler.is_compiling():
            _require_ordered(self.lower, self.upper)

    @classmethod
    def around(
        cls, value: Tensor, *, relative: float | Tensor = 0.1, absolute: float | Tensor = 0.0
    ) -> Bounds:
        """Put an interval around known values: ``value ± (relative · |value| + absolute)``.

        Source: paper, section 2.3: ``0.9 τ <= f <= 1.1 τ``.

        Args:
            value: the known values, any shape; NaN where there is none, which leaves both sides inactive.
            relative: half-width as a share of ``|value|``; not negative.
            absolute: half-width in the value's own unit; not negative.

        Raises:
            ArgumentError: a margin is negative.

        >>> Bounds.around(torch.tensor([100.0, -20.0])).lower
        tensor([ 90., -22.])
        >>> Bounds.around(torch.tensor([100.0]), relative=0.0, absolute=3.0).upper
        tensor([103.])
        """
        _require_margin("relative", relative)
        _require_margin("absolute", absolute)
        half_width = relative * value.abs() + absolute
        return cls(value - half_width, value + half_width, value, validate=False)

    @classmethod
    def constant(cls, lower: float | None = None, upper: float | None = None) -> Bounds:
        """Make the same interval for every number; a side that is None is inactive.

        Raises:
            ArgumentError: ``lower > upper``, or a side is NaN.

        >>> Bounds.constant(upper=2.0).active
        tensor([[False,  True]])
        """
        for name, side in (("lower", lower), ("upper", upper)):
            if side is not None and math.isnan(side):
                raise ArgumentError(name, expected="a number or None", found=side)
        return cls(
            torch.tensor([-math.inf if lower is None else float(lower)]),
            torch.tensor([math.inf if upper is None else float(upper)]),
        )

    @classmethod
    def unknown(cls, reference: Tensor) -> Bounds:
        """Leave both sides to the margin around known values.

        >>> Bounds.unknown(torch.tensor([100.0])).filled(10.0).upper
        tensor([110.])
        """
        neither = torch.full_like(reference, math.nan)
        return cls(neither, neither, reference, validate=False)

    @property
    def active(self) -> Tensor:
        """Which sides constrain anything: bool, ``(lower, upper)`` as a new last axis."""
        return torch.stack((self.lower.isfinite(), self.upper.isfinite()), dim=-1)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Bounds:
        """Move to another device and, if given, another floating-point type."""
        if self.lower.device == torch.device(device) and dtype in (None, self.lower.dtype):
            return self
        reference = None if self.reference is None else self.reference.to(device, dtype)
        return Bounds(self.lower.to(device, dtype), self.upper.to(device, dtype), reference, validate=False)

    def expand(self, shape: Sequence[int]) -> Bounds:
        """Broadcast to a shape.

        Raises:
            ArgumentError: the bounds do not broadcast to it.

        >>> Bounds.constant(0.0, 1.0).expand((2, 3)).lower.shape
        torch.Size([2, 3])
        """
        if self.lower.shape == tuple(shape):
            return self
        try:
            reference = None if self.reference is None else self.reference.expand(*shape)
            return Bounds(self.lower.expand(*shape), self.upper.expand(*shape), reference, validate=False)
        except RuntimeError as error:
            expected = f"of a shape that broadcasts to {tuple(shape)}"
            raise ArgumentError("bounds", expected=expected, found=tuple(self.lower.shape)) from error

    def center(self) -> Tensor:
        """The reference; where that is unknown the middle of the interval, or its one finite side.

        >>> Bounds.constant(2.0, 3.0).center(), Bounds.constant(upper=3.0).center()
        (tensor([2.5000]), tensor([3.]))
        """
        low, high = self.lower.isfinite(), self.upper.isfinite()
        one_sided = torch.where(low, self.lower, torch.where(high, self.upper, math.nan))
        middle = torch.where(low & high, (self.lower + self.upper) / 2, one_sided)
        if self.reference is None:
            return middle
        return torch.where(self.reference.isnan(), middle, self.reference)

    def filled(self, half_width: Tensor | float) -> Bounds:
        """Give every side that is NaN, where the reference is known, ``reference ∓ half_width``.

        A filled side never passes the given one: the interval then shrinks to that side.

        >>> partly = Bounds(torch.tensor([95.0]), torch.tensor([torch.nan]), torch.tensor([100.0]))
        >>> partly.filled(10.0).upper
        tensor([110.])
        """
        if self.reference is None:
            return self
        known = ~self.reference.isnan()
        lower = torch.fmin(self.reference - half_width, self.upper)
        upper = torch.fmax(self.reference + half_width, self.lower)
        return Bounds(
            torch.where(self.lower.isnan() & known, lower, self.lower),
            torch.where(self.upper.isnan() & known, upper, self.upper),
            self.reference,
            validate=False,
        )


def _require_margin(name: str, margin: float | Tensor) -> None:
    # A tensor of margins is the caller's own arithmetic: looking into it would wait for the accelerator.
    if not isinstance(margin, Tensor) and not 0 <= margin < math.inf:
        raise ArgumentError(name, expected="a finite number of at least 0", found=margin)


def _common_shape(parts: Mapping[str, Tensor]) -> torch.Size:
    shape = parts["upper"].shape
    for name, part in parts.items():
        try:
            shape = torch.broadcast_shapes(part.shape, shape)
        except RuntimeError as error:
            expected = f"of a shape that broadcasts with {tuple(shape)}"
            raise ArgumentError(name, expected=expected, found=tuple(part.shape)) from error
    return shape


def _require_ordered(lower: Tensor, upper: Tensor) -> None:
    upside_down = lower > upper
    if bool(upside_down.any()):
        index = tuple(int(i) for i in upside_down.nonzero()[0])
        found = f"{lower[index].item()} > {upper[index].item()} at {index}"
        raise ArgumentError("lower", expected="at most `upper`", found=found)
