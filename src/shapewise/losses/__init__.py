"""The library's face to other training loops: a network's output and a few numbers in, one scalar out."""

from shapewise.constraints import LossReport, Relation
from shapewise.losses.edge_length import EdgeLengthLoss
from shapewise.losses.moment_projection import MomentProjectionLoss, ProjectionReport
from shapewise.losses.shape_constraint import ShapeConstraintLoss, Target

__all__ = [
    "EdgeLengthLoss",
    "LossReport",
    "MomentProjectionLoss",
    "ProjectionReport",
    "Relation",
    "ShapeConstraintLoss",
    "Target",
]
