"""Name -> descriptor: the one list that losses, tables and experiments read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias, TypeVar

from torch import Tensor

from shapewise.descriptors.axes import pixel_size
from shapewise.descriptors.marginals import Marginals
from shapewise.errors import ArgumentError
from shapewise.typing import Spacing

Scale: TypeAlias = Literal["value", "spread", "spread_power", "one"]
PerAxis: TypeAlias = Literal["position", "extent", "product"]
Function = TypeVar("Function", bound=Callable[..., Tensor])


@dataclass(frozen=True)
class Descriptor:
    """What the rest of the package needs to know about a descriptor.

    Attributes:
        name: what tables and experiments call it.
        function: probabilities ``(B, K, *S)`` and ``spacing=`` in, values ``(B, K, C)`` out.
        components: the image's dimension in, C out.
        unit_power: the image's dimension in, the power of px or mm of a value out: 2 for an area.
        scale: what a residual is divided by. ``value``: the annotated value's magnitude; ``spread``: the
            annotated object's spread along the component's axis; ``spread_power``: the product of the
            spreads along the axes of the component's monomial; ``one``: nothing.
        from_marginals: the same values from the marginals alone, where those are enough, or None.
        per_axis: how components follow the image's axes, which says how they change where an image is
            resized. ``position``: a coordinate along each axis; ``extent``: a length along each;
            ``product``: a product of such lengths for each monomial of the degree that ``unit_power``
            says, in the order of `exponents`; None: a component is about the object as a whole.

    >>> get("centroid").components(3), get("volume").unit_power(2)
    (3, 2)
    """

    name: str
    function: Callable[..., Tensor]
    components: Callable[[int], int]
    unit_power: Callable[[int], int]
    scale: Scale
    from_marginals: Callable[[Marginals], Tensor] | None = None
    per_axis: PerAxis | None = None

    def unit(self, spacing: Spacing | None, ndim: int) -> float:
        """What one pixel is in this descriptor's unit: its side, area or volume, 1 without a unit.

        >>> get("volume").unit((2.0, 3.0), 2), get("elongation").unit((2.0, 3.0), 2)
        (6.0, 1.0)
        """
        return float(pixel_size(spacing, ndim) ** (self.unit_power(ndim) / ndim))

    def __reduce__(self) -> tuple[Callable[[str], Descriptor], tuple[str]]:
        """A descriptor is pickled, and copied, as its name."""
        return get, (self.name,)


_descriptors: dict[str, Descriptor] = {}


def register(
    name: str,
    *,
    components: int | Callable[[int], int] = 1,
    unit_power: int | Callable[[int], int] = 0,
    scale: Scale = "value",
    from_marginals: Callable[[Marginals], Tensor] | None = None,
    per_axis: PerAxis | None = None,
) -> Callable[[Function], Function]:
    """Make a function known by name; the decorated function itself does not change.

    Args:
        name: what tables and experiments call the descriptor.
        components: number of values a class, or a function of the image's dimension.
        unit_power: power of px or mm of a value, or a function of the image's dimension.
        scale: what a residual is divided by, see `Descriptor`.
        from_marginals: the same values from the marginals alone, which saves time in `describe_together`.
        per_axis: how components follow the image's axes, see `Descriptor`.

    Returns:
        A decorator for functions ``f(probs, *, spacing=None) -> values (B, K, C)``.

    Raises:
        ArgumentError: another function has that name, or the components are not those of ``per_axis``.

    >>> @register("mean_probability", scale="one")
    ... def mean_probability(probs, *, spacing=None):
    ...     return probs.flatten(2).mean(-1, keepdim=True)
    >>> get("mean_probability").function is mean_probability
    True
    """

    def decorate(function: Function) -> Function:
        _refuse_second(name, function)
        sizes = _callable(components), _callable(unit_power)
        _refuse_other_count(sizes[0](2), sizes[1](2), per_axis)
        _descriptors[name] = Descriptor(name, function, *sizes, scale, from_marginals, per_axis)
        return function

    return decorate


def get(name: str) -> Descriptor:
    """The descriptor of that name.

    Raises:
        ArgumentError: there is none; the message says which name comes nearest.

    >>> get("volum")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    shapewise.errors.ArgumentError: Expected ... a registered name (did you mean 'volume'?), but got volum
    """
    if name not in _descriptors:
        raise ArgumentError("descriptor", expected=f"a registered name ({_hint(name)})", found=name)
    return _descriptors[name]


def names() -> tuple[str, ...]:
    """Every registered name, in order of registration.

    >>> {"volume", "centroid", "spread", "length"} <= set(names())
    True
    """
    return tuple(_descriptors)


def _refuse_second(name: str, function: Callable[..., Tensor]) -> None:
    if name in _descriptors and _origin(_descriptors[name].function) != _origin(function):
        raise ArgumentError("name", expected="a name that no other descriptor has", found=name)


def _refuse_other_count(found: int, degree: int, per_axis: PerAxis | None) -> None:
    expected = {None: found, "position": 2, "extent": 2, "product": degree + 1}[per_axis]
    if found != expected:
        raise ArgumentError("components", expected=f"{expected} in 2-D, per axis {per_axis}", found=found)


def _origin(function: Any) -> tuple[str, str]:
    """Where a function was written: a notebook's cell may run twice, a name may not mean two things."""
    return function.__module__, function.__qualname__


def _hint(name: str) -> str:
    nearest = get_close_matches(name, _descriptors, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"one of {', '.join(_descriptors)}"


def _callable(value: int | Callable[[int], int]) -> Callable[[int], int]:
    return value if callable(value) else lambda ndim: value
