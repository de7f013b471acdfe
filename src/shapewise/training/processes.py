"""What the processes of a distributed run tell each other; one that is alone talks to itself."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn

Item = TypeVar("Item")


def rank_and_count() -> tuple[int, int]:
    """Say which process this is, and of how many.

    >>> rank_and_count()
    (0, 1)
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def gathered(mine: Item) -> list[Item]:
    """Collect what every process has, in the order of their ranks; no process goes on before all have come.

    >>> gathered("alone")
    ['alone']
    """
    _, count = rank_and_count()
    everybodys: list[Any] = [mine] * count
    if count > 1:
        torch.distributed.all_gather_object(everybodys, mine)
    return everybodys


def share_buffers(module: nn.Module) -> None:
    """Give every process the first one's buffers, such as a batch normalisation's running mean."""
    if rank_and_count()[1] > 1:
        for buffer in module.buffers():
            torch.distributed.broadcast(buffer, 0)
