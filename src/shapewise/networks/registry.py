"""Networks by name: ours, and any of MONAI's."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, TypeGuard

from torch import nn

from shapewise.errors import ArgumentError
from shapewise.networks.enet import ENet
from shapewise.networks.residual_unet import ResidualUNet

_OURS: dict[str, type[nn.Module]] = {"enet": ENet, "residual_unet": ResidualUNet}
_MONAI = "monai:"
_OUTPUTS = ("out_channels", "num_classes", "n_classes")  # what MONAI's classes call the number of classes
_DIMENSIONS = ("spatial_dims", "dimensions")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def names() -> tuple[str, ...]:
    """List the networks of this package, in alphabetical order.

    >>> names()
    ('enet', 'residual_unet')
    """
    return tuple(sorted(_OURS))


def build_network(
    name: str,
    in_channels: int,
    classes: int,
    spatial_dims: int = 2,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build a network from its name; its initial weights depend on torch's seed and on nothing else.

    Args:
        name: "enet", "residual_unet", or "monai:" and the name of a class in `monai.networks.nets`.
        in_channels: channels of the image.
        classes: classes including the background.
        spatial_dims: 2 or 3; the networks of this package are 2-D, many of MONAI's are both.
        options: further keyword arguments of the network's class.

    Returns:
        A module from `(B, in_channels, *S)` images to `(B, classes, *S)` logits, in training mode.

    Raises:
        ArgumentError: an unknown name or option (with the nearest valid one), a missing option, a value that
            the network refuses, a 3-D network where there is none, or MONAI, or a package that a network of
            its needs, is not installed.

    >>> network = build_network("residual_unet", in_channels=1, classes=2, options={"levels": 3})
    >>> sum(parameter.numel() for parameter in network.parameters()) > 10_000
    True
    """
    options = dict(options or {})
    if name.startswith(_MONAI):
        return _build_monai(name, in_channels, classes, spatial_dims, options)
    if name not in _OURS:
        raise ArgumentError("name", expected=_one_of((*names(), "monai:UNet"), name), found=repr(name))
    if spatial_dims != 2:
        raise ArgumentError(
            "spatial_dims", expected=f"2 for {name} (monai:UNet is 3-D too)", found=spatial_dims
        )
    return _construct(_OURS[name], {"in_channels": in_channels, "classes": classes}, options)


def _build_monai(
    name: str, in_channels: int, classes: int, spatial_dims: int, options: dict[str, Any]
) -> nn.Module:
    network = _monai_class(name)
    accepted = inspect.signature(network).parameters
    outputs = next((key for key in _OUTPUTS if key in accepted), None)
    if outputs is None or "in_channels" not in accepted:
        raise ArgumentError(
            "name", expected="a MONAI network with in_channels and out_channels", found=repr(name)
        )
    fixed = {"in_channels": in_channels, outputs: classes}
    fixed |= {key: spatial_dims for key in _DIMENSIONS if key in accepted}
    return _construct(network, fixed, options)


def _monai_class(name: str) -> type[nn.Module]:
    networks = _monai_networks(name)
    wanted = name.removeprefix(_MONAI)
    found = getattr(networks, wanted, None)
    if not _is_network(found):
        valid = (f"{_MONAI}{key}" for key, value in vars(networks).items() if _is_network(value))
        raise ArgumentError("name", expected=_nearest(valid, name), found=repr(name))
    return found


def _monai_networks(name: str) -> ModuleType:
    try:
        return importlib.import_module("monai.networks.nets")
    except ModuleNotFoundError as error:
        expected = "one that is installed; MONAI comes with `pip install shapewise[app]`"
        raise ArgumentError("name", expected=expected, found=repr(name)) from error


def _is_network(value: object) -> TypeGuard[type[nn.Module]]:
    return isinstance(value, type) and issubclass(value, nn.Module)


def _construct(network: type[nn.Module], fixed: dict[str, Any], options: dict[str, Any]) -> nn.Module:
    """Call the class with what is fixed and what is chosen, having checked the names of both."""
    _check_options(network, fixed, options)
    try:
        return network(**fixed, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(
            "options", expected=f"accepted by {network.__name__} ({error})", found=options
        ) from error
    except ImportError as error:  # MONAI asks for its optional packages when they are needed
        missing = re.search(r"No module named '(\w+)", str(error))
        package = missing[1] if missing else str(error).partition("\n")[0]
        expected = f"a network whose packages are installed (`pip install {package}`)"
        raise ArgumentError(
            "name", expected=expected, found=f"{network.__name__} without {package}"
        ) from error


def _check_options(network: type[nn.Module], fixed: dict[str, Any], options: dict[str, Any]) -> None:
    parameters = inspect.signature(network).parameters
    named = {
        key: value for key, value in parameters.items() if value.kind not in _VARIADIC and key not in fixed
    }
    takes_any = any(value.kind is inspect.Parameter.VAR_KEYWORD for value in parameters.values())
    for option in options:
        if option not in named and (option in fixed or not takes_any):
            raise ArgumentError("options", expected=_one_of(named, option), found=repr(option))
    for key, value in named.items():
        if key not in options and value.default is inspect.Parameter.empty:
            raise ArgumentError(
                "options", expected=f"given with `{key}` for {network.__name__}", found=options
            )


def _one_of(valid: Iterable[str], found: str) -> str:
    valid = list(valid)
    return f"one of {', '.join(valid)}{_hint(valid, found)}"


def _nearest(valid: Iterable[str], found: str) -> str:
    return f"a class in monai.networks.nets{_hint(list(valid), found)}"


def _hint(valid: list[str], found: str) -> str:
    """Name the nearest valid choice, whatever its case."""
    lowered = {choice.lower(): choice for choice in reversed(valid)}
    close = difflib.get_close_matches(found.lower(), lowered, n=1)
    return f" (did you mean {lowered[close[0]]}?)" if close else ""
