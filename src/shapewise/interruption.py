"""Signals that end a command: an exception, which takes away what is unfinished on its way out."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""What we hear, and who hears it in a process that nobody has told otherwise."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: everything is left as after Ctrl-C."""


def listen() -> None:
    """Hear the signals, but for those that somebody asked to ignore."""
    for number, default in SIGNALS.items():
        if signal.getsignal(number) is default:
            signal.signal(number, interrupt)


def status_of(interruption: KeyboardInterrupt) -> int:
    """The exit status that shells give a command which a signal has ended.

    >>> status_of(KeyboardInterrupt()), status_of(Terminated())
    (130, 143)
    """
    return 128 + (signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Leave by an exception, which takes away what is unfinished; a second signal must not stop that."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    stop(number, frame)


def stop(number: int, frame: FrameType | None) -> None:
    """Leave by an exception, as often as asked to."""
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def loading() -> Iterator[None]:
    """Load modules. The import system may lose an exception meanwhile: the next signal has to count too."""
    ours = [number for number in SIGNALS if signal.getsignal(number) is interrupt]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    except OSError as error:  # of a library that is broken, not of a file that the user named
        raise ImportError(str(error)) from error
    finally:
        for number in ours:
            signal.signal(number, interrupt)
