"""What torch.compile takes as it is and does not trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def constant(function: Function) -> Function:
    """Mark a function whose results a compiled graph keeps as constants.

    `torch.compiler.assume_constant_result` sets the same mark, but loads the whole compiler to do so, which
    takes as long as PyTorch itself.

    >>> @constant
    ... def three() -> int:
    ...     return 3
    >>> three()
    3
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function
