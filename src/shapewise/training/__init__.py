"""The loop: what a network learns from, how an epoch is drawn, validated, logged and resumed."""

from shapewise.training.combined import CombinedSupervision, Supervision
from shapewise.training.log import EpochLog
from shapewise.training.module import Optimisation, SegmentationModule
from shapewise.training.sampling import CaseBatches, EpochShuffle
from shapewise.training.supervision import (
    PixelSupervision,
    ProjectionSupervision,
    ShapeSupervision,
    table_bounds,
)
from shapewise.training.volume_projection import VolumeProjectionSupervision

__all__ = [
    "CaseBatches",
    "CombinedSupervision",
    "EpochLog",
    "EpochShuffle",
    "Optimisation",
    "PixelSupervision",
    "ProjectionSupervision",
    "SegmentationModule",
    "ShapeSupervision",
    "Supervision",
    "VolumeProjectionSupervision",
    "table_bounds",
]
