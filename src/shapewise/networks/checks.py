"""What every network refuses to be built with."""

from __future__ import annotations

from shapewise.errors import ArgumentError


def require_counts(**counts: int) -> None:
    """Raise `ArgumentError` for the first argument that is no whole number from 1 on.

    >>> require_counts(classes=4, levels=1)
    """
    for argument, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ArgumentError(argument, expected="a whole number, at least 1", found=repr(count))


def require_probabilities(**probabilities: float) -> None:
    """Raise `ArgumentError` for the first argument outside [0, 1).

    >>> require_probabilities(dropout=0.1)
    """
    for argument, probability in probabilities.items():
        if not 0 <= probability < 1:
            raise ArgumentError(argument, expected="a probability in [0, 1)", found=probability)
