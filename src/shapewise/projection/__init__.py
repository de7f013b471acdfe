"""KL projection of a prediction onto the distributions that have given moments (DESIGN 3)."""

from shapewise.projection.annotated import AnnotatedMoments, annotated_moments
from shapewise.projection.project import Projection, moment_projection, sharpen, sharpen_within
from shapewise.projection.regions import described_regions

__all__ = [
    "AnnotatedMoments",
    "Projection",
    "annotated_moments",
    "described_regions",
    "moment_projection",
    "sharpen",
    "sharpen_within",
]
