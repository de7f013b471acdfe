"""Typed configuration: one file an experiment, unknown keys refused with the nearest valid one."""

from shapewise.config.reading import dump_experiment, load_experiment, parse_experiment
from shapewise.config.sections import (
    AnnotationConfig,
    AugmentationConfig,
    BesideConfig,
    ConstraintsConfig,
    EdgeLengthConfig,
    Experiment,
    RelationConfig,
    Section,
    SupervisionConfig,
    valid_keys,
)

__all__ = [
    "AnnotationConfig",
    "AugmentationConfig",
    "BesideConfig",
    "ConstraintsConfig",
    "EdgeLengthConfig",
    "Experiment",
    "RelationConfig",
    "Section",
    "SupervisionConfig",
    "dump_experiment",
    "load_experiment",
    "parse_experiment",
    "valid_keys",
]
