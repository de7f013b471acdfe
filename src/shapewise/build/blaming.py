"""Errors about an argument become errors about the key of the experiment that it came from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shapewise.errors import ArgumentError, ConfigError


@contextmanager
def blaming(section: str, **keys: str) -> Iterator[None]:
    """Say of a bad argument which key of the experiment it came from; `keys` are called otherwise there."""
    try:
        yield
    except ArgumentError as error:
        key = f"{section}.{keys.get(error.argument, error.argument)}"
        raise ConfigError(key, expected=error.expected, found=error.found) from None
