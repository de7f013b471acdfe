"""What people hand to a loss, made into what it computes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from shapewise.constraints import SIZES, Bounds, require_possible
from shapewise.descriptors import get
from shapewise.descriptors.least import least_values
from shapewise.errors import ArgumentError
from shapewise.typing import Probs, Values

Target: TypeAlias = Tensor | Mapping[str, Tensor | Bounds]
"""A label mask, a one-hot mask, or values or bounds for every descriptor."""


def probabilities(input: Tensor, *, softmax: bool, sigmoid: bool) -> Probs:
    """Make probabilities of at least float32; MONAI's tensor subclass becomes a plain tensor."""
    if input.ndim not in (4, 5) or not input.is_floating_point() or 0 in input.shape:
        found = f"{tuple(input.shape)} of {input.dtype}"
        expected = "a floating tensor (B, K, H, W) or (B, K, D, H, W), not empty"
        raise ArgumentError("input", expected=expected, found=found)
    plain = input if type(input) is Tensor else input.as_subclass(Tensor)
    plain = plain.to(torch.promote_types(plain.dtype, torch.float32))
    if softmax:
        return plain.softmax(1)
    return plain.sigmoid() if sigmoid else plain


def look_up(
    names: Sequence[str], target: Mapping[str, Tensor | Bounds], objects: Tensor
) -> dict[str, Values | Bounds]:
    """Look up descriptors in a mapping, and what else of `SIZES` there is, as `annotation` does."""
    known = dict.fromkeys((*names, *(name for name in SIZES if name in target)))
    return {name: annotation(name, target, objects) for name in known}


def look_up_possible(
    names: Sequence[str], target: Mapping[str, Tensor | Bounds], objects: Tensor, *, first: int
) -> dict[str, Values | Bounds]:
    """Look up descriptors as `look_up` does, and refuse numbers that no object has."""
    given = look_up(names, target, objects)
    least = {name: least_values(name, objects.ndim - 2) for name in given}
    require_possible(given, least, argument="target", first=first)
    return given


def annotation(name: str, target: Mapping[str, Tensor | Bounds], objects: Tensor) -> Values | Bounds:
    """Look up one descriptor in a mapping, on the prediction's device, broadcast to ``(B, K', C)``."""
    if name not in target:
        found = f"only {', '.join(target) or 'nothing'}"
        raise ArgumentError("target", expected=f"a mapping with {name!r} in it", found=found)
    given = target[name]
    shape = (*objects.shape[:2], get(name).components(objects.ndim - 2))
    found_shape = tuple((given.lower if isinstance(given, Bounds) else given).shape)
    if found_shape not in (shape, (1, *shape[1:]), (1,)):
        raise ArgumentError(f"target[{name!r}]", expected=f"of shape {shape}", found=found_shape)
    given = given.to(objects.device, objects.dtype)
    return given if found_shape == shape else given.expand(shape)
