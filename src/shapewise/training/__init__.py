"""The loop: what a network learns from, how an epoch is drawn, validated, logged and resumed."""

from shapewise.training.epoch_targets import EpochTargets
from shapewise.training.log import EpochLog
from shapewise.training.module import Optimisation, SegmentationModule
from shapewise.training.sampling import CaseBatches, EpochShuffle, LateLoader
from shapewise.training.supervision import (
    CombinedSupervision,
    EdgeLengthSupervision,
    PixelSupervision,
    ProjectionSupervision,
    ShapeSupervision,
    Supervision,
    table_bounds,
)

__all__ = [
    "CaseBatches",
    "CombinedSupervision",
    "EdgeLengthSupervision",
    "EpochLog",
    "EpochShuffle",
    "EpochTargets",
    "LateLoader",
    "Optimisation",
    "PixelSupervision",
    "ProjectionSupervision",
    "SegmentationModule",
    "ShapeSupervision",
    "Supervision",
    "table_bounds",
]
