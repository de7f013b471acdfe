"""Refuses annotated numbers that no object has, before they are learned from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from shapewise.constraints.bounds import Bounds
from shapewise.errors import ArgumentError


class _Numbers(NamedTuple):
    """Some of what is given of a descriptor, ``(B, K, C)``: its values, or upper bounds."""

    name: str
    what: str
    values: Tensor


def require_possible(
    given: Mapping[str, Tensor | Bounds],
    least: Mapping[str, Sequence[float]],
    *,
    argument: str = "given",
    first: int = 1,
) -> None:
    """Refuse values that are infinite or too small, and upper bounds that are too small.

    NaN, which is unknown, passes, as do sides without a bound, which are infinite. All numbers together ask
    the device one question. Nothing is looked at while ``torch.compile`` traces or ``torch.vmap`` maps.

    Args:
        given: descriptor -> values ``(B, K, C)``, or bounds of that shape.
        least: descriptor -> the smallest value of each component, -inf where any will do.
        argument: what errors call ``given``.
        first: what errors call class 0.

    Raises:
        ArgumentError: there is such a number; its descriptor, class, image and component are named.

    >>> volumes = torch.tensor([[[9.0], [torch.nan]], [[0.0], [-4.0]]])
    >>> require_possible({"volume": volumes}, {"volume": (0.0,)})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    shapewise.errors.ArgumentError: ... at least 0 for class 2 of image 1, but got the value -4.0
    """
    if not given or torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return
    parts = [part for name, each in given.items() for part in _parts(name, each)]
    numbers = torch.cat([part.values for part in parts], -1)
    columns = tuple((low, part.what) for part in parts for low in least[part.name])
    low, high = _limits(columns, numbers.dtype, numbers.device)
    wrong = (numbers < low) | (numbers >= high)
    if bool(wrong.any()):
        image, label, column = (int(index) for index in wrong.nonzero()[0])
        part, component = [(part, c) for part in parts for c in range(part.values.shape[-1])][column]
        limits = ["finite"] * (part.what == "value") + ["at least 0"] * math.isfinite(columns[column][0])
        where = f" as component {component}" if part.values.shape[-1] > 1 else ""
        raise ArgumentError(
            f"{argument}[{part.name!r}]",
            expected=f"{' and '.join(limits)} for class {label + first} of image {image}",
            found=f"the {part.what} {numbers[image, label, column].item()}{where}",
        )


def _parts(name: str, given: Tensor | Bounds) -> Iterator[_Numbers]:
    if isinstance(given, Tensor):
        yield _Numbers(name, "value", given)
        return
    yield _Numbers(name, "upper bound", given.upper)
    if given.reference is not None:
        yield _Numbers(name, "value", given.reference)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _limits(
    columns: tuple[tuple[float, str], ...], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """What every column must not be below, and, where it must be finite, not reach."""
    dtype = torch.promote_types(dtype, torch.float32)
    largest = torch.finfo(dtype).max
    low = [max(least, -largest) if what == "value" else least for least, what in columns]
    high = [math.inf if what == "value" else math.nan for _, what in columns]
    return torch.tensor(low, dtype=dtype, device=device), torch.tensor(high, dtype=dtype, device=device)
