"""Every error that the package raises on purpose.

Each says in one line which argument or file is wrong, what was expected and what was found. The command line
turns any of them into that line on standard error and exit status 2.
"""

from __future__ import annotations

from pathlib import Path


class ShapewiseError(Exception):
    """The base of the package's own errors."""


class ArgumentError(ShapewiseError, ValueError):
    """An argument has a value that the function cannot work with.

    >>> str(ArgumentError("order", expected="a non-negative integer", found=-1))
    'Expected argument `order` to be a non-negative integer, but got -1'
    """

    def __init__(self, argument: str, *, expected: str, found: object) -> None:
        super().__init__(f"Expected argument `{argument}` to be {expected}, but got {found}")
        self.argument, self.expected, self.found = argument, expected, found


class DataError(ShapewiseError):
    """A file or folder does not hold what it should.

    >>> str(DataError("a.nii.gz", expected="a 3-D image", found="2 dimensions"))
    'a.nii.gz: expected a 3-D image, found 2 dimensions'
    """

    def __init__(self, where: str | Path, *, expected: str, found: object) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}")


class TableError(DataError):
    """A descriptor table breaks its contract; the message names the row."""


class ConfigError(DataError):
    """An experiment file or override has an unknown key or a bad value."""


class RunError(DataError):
    """A run folder is incomplete, or another version of the package wrote it."""


class DivergedError(DataError):
    """A training has run into NaN or infinity."""
