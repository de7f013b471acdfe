"""What the network learns from."""

from __future__ import annotations

from collections.abc import Sequence

from shapewise.build.blaming import blaming
from shapewise.config import ConstraintsConfig, RelationConfig, SupervisionConfig
from shapewise.constraints import AugmentedLagrangian, Geometric, Hinge, LogBarrier, Penalty, Quadratic
from shapewise.descriptors import get
from shapewise.errors import ConfigError
from shapewise.losses import EdgeLengthLoss, MomentProjectionLoss, Relation, ShapeConstraintLoss
from shapewise.training import (
    CombinedSupervision,
    EdgeLengthSupervision,
    PixelSupervision,
    ProjectionSupervision,
    ShapeSupervision,
    Supervision,
)

LABELLED = ("pixels", "scribbles", "regions")
"""Kinds that end in cross-entropy with labels of pixels."""


def build_supervision(supervision: SupervisionConfig, classes: Sequence[str]) -> Supervision:
    """Build what the network learns from; raises `ConfigError` for what it cannot work with."""
    main: Supervision
    if supervision.kind in LABELLED:
        main = PixelSupervision()
    elif supervision.kind == "projection":
        main = ProjectionSupervision(build_projection(supervision))
    else:
        penalty = build_penalty(supervision.kind, supervision)
        main = ShapeSupervision(build_loss(supervision, classes, penalty))
    if beside := supervision.beside:
        penalty = build_penalty(beside.kind, beside)
        constraints = ShapeSupervision(build_loss(beside, classes, penalty, section="supervision.beside"))
        main = CombinedSupervision(main, constraints, weight=beside.weight, start=beside.start_epoch)
    if edges := supervision.edge_length:
        along = EdgeLengthSupervision(EdgeLengthLoss(edges.sigma, softmax=True))
        main = CombinedSupervision(main, along, weight=edges.weight, name="train_edge_length")
    return main


def build_penalty(kind: str, settings: ConstraintsConfig) -> Penalty:
    """Build the penalty of a name."""
    t = settings.t
    match kind:
        case "quadratic":
            return Quadratic()
        case "hinge":
            return Hinge()
        case "augmented_lagrangian":
            return AugmentedLagrangian(rho=settings.rho)
        case _:
            return LogBarrier(Geometric(start=t.start, factor=t.factor, cap=t.cap))


def build_loss(
    settings: ConstraintsConfig, classes: Sequence[str], penalty: Penalty, *, section: str = "supervision"
) -> ShapeConstraintLoss:
    """Build the shape constraint loss; raises `ConfigError`, naming the section, for what cannot be."""
    relations = [build_relation(relation, classes, f"{section}.relations") for relation in settings.relations]
    with blaming(section, descriptor="descriptors"):
        return ShapeConstraintLoss(
            settings.descriptors,
            penalty=penalty,
            margin=settings.margin,
            absolute_margins=settings.absolute_margins,
            relations=relations,
            softmax=True,
            residual_scale=settings.residuals,
        )


def build_relation(relation: RelationConfig, classes: Sequence[str], section: str) -> Relation:
    """Replace class names by indices; background is 0."""
    names = ("background", *classes)
    unknown = [name for name in relation.classes if name not in names]
    if unknown:
        raise ConfigError(section, expected=f"classes among {names}", found=unknown[0])
    options = relation.model_dump(exclude={"classes"})
    with blaming(section, pair="classes"):
        get(relation.descriptor)
        return Relation(pair=tuple(map(names.index, relation.classes)), **options)


def build_projection(supervision: SupervisionConfig) -> MomentProjectionLoss:
    """Build the moment projection loss; raises `ConfigError` for a descriptor that is no moment."""
    with blaming("supervision"):
        return MomentProjectionLoss(
            supervision.descriptors,
            sharpening=supervision.sharpening,
            error=supervision.error,
            tolerance=supervision.tolerance,
            iterations=supervision.iterations,
            softmax=True,
        )
