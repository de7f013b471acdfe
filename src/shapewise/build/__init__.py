"""Configuration to objects: the only place where an experiment's words become cases, networks and losses."""

from shapewise.build.cases import (
    build_preprocessing,
    build_split,
    build_study,
    build_table,
    load_plugins,
    table_descriptors,
)
from shapewise.build.fit import Fit, build_experiment_network, build_fit
from shapewise.build.supervision import build_supervision

__all__ = [
    "Fit",
    "build_experiment_network",
    "build_fit",
    "build_preprocessing",
    "build_split",
    "build_study",
    "build_supervision",
    "build_table",
    "load_plugins",
    "table_descriptors",
]
