"""Signals end a command once, and whenever they are sent."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest

from shapewise.interruption import interrupt, loading


def test_a_signal_that_is_lost_while_modules_load_is_not_the_last() -> None:
    def interrupted_twice() -> None:
        with loading():
            with suppress(KeyboardInterrupt):  # as in a callback of the import system
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted_twice()
        assert signal.getsignal(signal.SIGINT) is interrupt
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_library_that_cannot_be_loaded_is_no_file_of_the_users() -> None:
    with pytest.raises(ImportError, match=r"libcudart\.so"), loading():
        raise OSError("libcudart.so: cannot open shared object file")
