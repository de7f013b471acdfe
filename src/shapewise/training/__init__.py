"""The loop: what a network learns from, how an epoch is drawn, validated, logged and resumed."""

from shapewise.training.log import EpochLog
from shapewise.training.module import Optimisation, SegmentationModule
from shapewise.training.sampling import CaseBatches, EpochShuffle
from shapewise.training.supervision import (
    PixelSupervision,
    ProjectionSupervision,
    ShapeSupervision,
    Supervision,
)

__all__ = [
    "CaseBatches",
    "EpochLog",
    "EpochShuffle",
    "Optimisation",
    "PixelSupervision",
    "ProjectionSupervision",
    "SegmentationModule",
    "ShapeSupervision",
    "Supervision",
]
