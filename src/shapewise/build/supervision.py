"""What the network learns from."""

from __future__ import annotations

from collections.abc import Sequence

from shapewise.build.blaming import blaming
from shapewise.config import ConstraintsConfig, RelationConfig, SupervisionConfig
from shapewise.constraints import AugmentedLagrangian, Geometric, Hinge, LogBarrier, Penalty, Quadratic
from shapewise.descriptors import get
from shapewise.errors import ArgumentError, ConfigError
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
        penalty = build_penalty(supervision.kind, supervision, section="supervision")
        main = ShapeSupervision(build_loss(supervision, classes, penalty))
    if beside := supervision.beside:
        penalty = build_penalty(beside.kind, beside, section="supervision.beside")
        constraints = ShapeSupervision(build_loss(beside, classes, penalty, section="supervision.beside"))
        main = CombinedSupervision(main, constraints, weight=beside.weight, start=beside.start_epoch)
    if edges := supervision.edge_length:
        along = EdgeLengthSupervision(EdgeLengthLoss(edges.sigma, softmax=True))
        main = CombinedSupervision(main, along, weight=edges.weight, name="train_edge_length")
    return main


def build_penalty(kind: str, settings: ConstraintsConfig, *, section: str) -> Penalty:
    """Build the penalty of a name; raises `ConfigError`, naming the section, for a t that cannot be."""
    t = settings.t
    match kind:
        case "quadratic":
            return Quadratic()
        case "hinge":
            return Hinge()
        case "augmented_lagrangian":
            return AugmentedLagrangian(rho=settings.rho)
        case _:
            with blaming(f"{section}.t"):
                return LogBarrier(Geometric(start=t.start, factor=t.factor, cap=t.cap))


def build_loss(
    settings: ConstraintsConfig, classes: Sequence[str], penalty: Penalty, *, section: str = "supervision"
) -> ShapeConstraintLoss:
    """Build the shape constraint loss; raises `ConfigError`, naming the section, for what cannot be."""
    relations = build_relations(settings.relations, classes, f"{section}.relations")
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


def build_relations(
    settings: Sequence[RelationConfig], classes: Sequence[str], section: str
) -> list[Relation]:
    """Build relations; raises `ConfigError`, naming its number and classes, for one that cannot be."""
    built: dict[str, tuple[str, Relation]] = {}
    for number, each in enumerate(settings):
        where = f"{section}.{number}"
        relation = build_relation(each, classes, where)
        if relation.key in built:
            first, _ = built[relation.key]
            expected = f"another kind, descriptor or classes than {first}"
            raise ConfigError(f"{where} ({described(each)})", expected=expected, found="the same")
        built[relation.key] = where, relation
    return [relation for _, relation in built.values()]


def build_relation(settings: RelationConfig, classes: Sequence[str], where: str) -> Relation:
    """Replace class names by indices; background is 0."""
    names = ("background", *classes)
    if unknown := [name for name in settings.classes if name not in names]:
        expected = f"classes among {', '.join(names)}"
        raise ConfigError(f"{where}.classes ({described(settings)})", expected=expected, found=unknown[0])
    try:
        get(settings.descriptor)
        pair = tuple(map(names.index, settings.classes))
        return Relation(pair=pair, **settings.model_dump(exclude={"classes"}))
    except ArgumentError as error:
        about_classes = error.argument == "pair"
        key = "classes" if about_classes else error.argument
        found = ", ".join(settings.classes) or "none" if about_classes else error.found
        expected = error.expected.replace("class index", "class").replace("class indices", "classes")
        raise ConfigError(f"{where}.{key} ({described(settings)})", expected=expected, found=found) from None


def described(relation: RelationConfig) -> str:
    """How errors call a relation: `contact of RV, LV`."""
    what = relation.kind if relation.kind == "contact" else f"{relation.kind} of the {relation.descriptor}"
    return f"{what} of {', '.join(relation.classes) or 'no class'}"


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
