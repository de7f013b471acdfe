"""Command lines whose complaints are one line each."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from shapewise.errors import ShapewiseError


class Parser(argparse.ArgumentParser):
    """Takes a script's documentation as its help; whatever is wrong is one line and exit status 2."""

    def __init__(self, documentation: str | None) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(description=documentation, formatter_class=formatter)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, without the usage."""
        self.exit(2, f"error: {' '.join(message.split())}\n")

    @contextmanager
    def errors_in_a_line(self) -> Iterator[None]:
        """Turn errors of the package and of the file system into such a line."""
        try:
            yield
        except ShapewiseError as error:
            self.error(str(error))
        except OSError as error:
            self.error(f"{error.filename}: expected to be read or written, found {error.strerror or error}")
        except KeyboardInterrupt:
            self.exit(130, "interrupted\n")


def whole_number(least: int) -> Callable[[str], int]:
    """Read a whole number of at least so much."""

    def read(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < least:
            expected = f"a whole number of at least {least}"
            raise argparse.ArgumentTypeError(f"expected {expected}, found {text}")
        return int(text)

    return read


def seeds(text: str) -> list[int]:
    """Read whole numbers separated by commas."""
    return [whole_number(0)(each) for each in text.split(",")]


def pixels(text: str) -> float:
    """Read a distance; farther than 100 pixels off is no annotator's error."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 100, found {text}")
    return number
