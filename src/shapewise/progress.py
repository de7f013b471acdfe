"""The bar that a person sees while cases are worked through."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def watched(items: Sequence[Item], description: str) -> Iterator[Item]:
    """Go through items; where standard error is a terminal, with a bar that is gone afterwards.

    >>> list(watched([1, 2], "Counting"))
    [1, 2]
    """
    console = Console(stderr=True)
    yield from track(items, description, console=console, transient=True, disable=not console.is_terminal)


def is_first_process() -> bool:
    """Say whether this is the process that writes files; known before a trainer starts the others."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"
