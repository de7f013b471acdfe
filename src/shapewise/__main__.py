"""The door to the commands, which says what to install where they cannot run."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Tireless(io.FileIO):
    """A stream that takes what nobody reads any more: `shapewise train ... | head -1` trains to its end."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or pretend to where the reader has gone."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def tireless(stream: TextIO) -> TextIO:
    """Make a stream outlive its reader; a terminal stays as it is."""
    if stream is None or stream.isatty():
        return stream
    raw = Tireless(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=True
    )


def main() -> None:
    """Run `shapewise`; without the packages of the extra `app`, say so in one line and exit with status 2."""
    sys.stdout, sys.stderr = tireless(sys.stdout), tireless(sys.stderr)
    try:
        from shapewise.cli import main as run

        run()
    except ModuleNotFoundError as error:
        remedy = "pip install '.[app]' in shapewise's folder"
        print(f"error: the commands need {error.name}: {remedy}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # while the packages were loaded
        print("interrupted; nothing was done", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
