"""Numbers in, penalty out: bounds on descriptor values and what it costs to break them.

The way through the room: :class:`Bounds` say what is allowed, :func:`residuals` say by how much a value
breaks them (positive means violated), a penalty turns that into a loss. Nothing here knows what a descriptor
is.
"""

from shapewise.constraints.annotated import (
    Constraint,
    Rule,
    constrain,
    constrain_together,
    only_absent,
    present_classes,
    relate,
)
from shapewise.constraints.bounds import Bounds
from shapewise.constraints.penalties import (
    PENALTIES,
    AugmentedLagrangian,
    Hinge,
    LogBarrier,
    Penalty,
    Quadratic,
    augmented_lagrangian,
    hinge,
    log_barrier,
    quadratic,
)
from shapewise.constraints.possible import require_possible
from shapewise.constraints.relation import Relation
from shapewise.constraints.report import LossReport, Reduction, active, contributions, reduce, satisfied
from shapewise.constraints.residuals import residuals
from shapewise.constraints.scales import SIZES, ScaleKind, object_spread, own_size, smallest_size
from shapewise.constraints.schedules import Constant, Geometric, Schedule

__all__ = [
    "PENALTIES",
    "SIZES",
    "AugmentedLagrangian",
    "Bounds",
    "Constant",
    "Constraint",
    "Geometric",
    "Hinge",
    "LogBarrier",
    "LossReport",
    "Penalty",
    "Quadratic",
    "Reduction",
    "Relation",
    "Rule",
    "ScaleKind",
    "Schedule",
    "active",
    "augmented_lagrangian",
    "constrain",
    "constrain_together",
    "contributions",
    "hinge",
    "log_barrier",
    "object_spread",
    "only_absent",
    "own_size",
    "present_classes",
    "quadratic",
    "reduce",
    "relate",
    "require_possible",
    "residuals",
    "satisfied",
    "smallest_size",
]
