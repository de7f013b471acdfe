"""Train segmentation networks from a few numbers per object instead of a mask for every pixel."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapewise.constraints import Bounds, log_barrier
    from shapewise.losses import MomentProjectionLoss, Relation, ShapeConstraintLoss

__version__ = "0.1.0"

__all__ = ["Bounds", "MomentProjectionLoss", "Relation", "ShapeConstraintLoss", "__version__", "log_barrier"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is asked for: a command can then be interrupted while torch loads."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = "constraints" if name in ("Bounds", "log_barrier") else "losses"
    return getattr(import_module(f"shapewise.{room}"), name)
