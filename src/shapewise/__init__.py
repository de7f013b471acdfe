"""Train segmentation networks from a few numbers per object instead of a mask for every pixel."""

from shapewise.constraints import Bounds, log_barrier
from shapewise.losses import Relation, ShapeConstraintLoss

__version__ = "0.1.0"

__all__ = ["Bounds", "Relation", "ShapeConstraintLoss", "__version__", "log_barrier"]
