"""Every key that an experiment may hold, with its type, its default and its limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

Seed = Field(0, ge=0, lt=2**32)
Beta = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A part of an experiment: immutable, and closed to keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_yes_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("neither true nor false")
        return value


class PreprocessingConfig(Section):
    """How a slice becomes the network's input."""

    size: tuple[int, int] = Field((256, 256), description="rows and columns after resizing or resampling")
    spacing: float | None = Field(
        None, gt=0, description="in-plane spacing in mm to resample to; null resizes whole slices"
    )
    crop: tuple[int, int] | None = Field(None, description="centre crop taken afterwards")


class SplitConfig(Section):
    """Patients in each split; in proportion where there are fewer than the sum."""

    file: str | None = Field(None, description="who is in which split; null shares out the patients")
    train: int = Field(70, ge=1)
    validation: int = Field(10, ge=1)
    test: int = Field(20, ge=1)
    seed: int = Seed


class AnnotationConfig(Section):
    """What a poorer annotator would have written of the training cases; by default nothing is changed."""

    error: float = Field(0.0, ge=0, lt=1, description="relative error of every number, drawn once")
    every: int = Field(1, ge=1, description="only each so-manieth slice is described")
    presence_only: bool = Field(False, description="only which classes are there, and no number")
    seed: int = Seed


class DataConfig(Section):
    """Where the cases are and how they are read."""

    root: str | None = Field(None, description="data folder; `--data` wins over it")
    layout: Literal["auto", "acdc", "promise12", "nnunet"] = "auto"
    table: str | None = Field(None, description="descriptor table; null describes the data folder's masks")
    annotation: AnnotationConfig = AnnotationConfig()
    preprocessing: PreprocessingConfig = PreprocessingConfig()
    split: SplitConfig = SplitConfig()


class AugmentationConfig(Section):
    """Random changes of a batch, each drawn anew for every image."""

    blur: float = Field(0.0, ge=0, description="largest sigma of a Gaussian blur, pixels")
    shift: float = Field(0.0, ge=0, lt=1, description="largest shift, fraction of the image")
    scale: float = Field(0.0, ge=0, lt=1, description="largest relative change of size")
    rotation: float = Field(0.0, ge=0, le=180, description="largest rotation, degrees")
    flip: bool = Field(False, description="mirror each axis half of the time")


class NetworkConfig(Section):
    """`enet`, `residual_unet`, or `monai:NAME`, with the options of its constructor."""

    name: str = "enet"
    options: dict[str, Any] = {}

    @field_validator("options")
    @classmethod
    def _refuse_infinite(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, each in value.items():
            if any(isinstance(x, float) and not math.isfinite(x) for x in _flat(each)):
                raise misfit(f"network.options.{name}", "without infinite numbers and NaN", each)
        return value

    output_bias: Literal["random", "volumes"] = Field(
        "random", description="what it says of a class before it has seen an image"
    )


class ScheduleConfig(Section):
    """The barrier's t: start * factor ** epoch, at most cap."""

    start: float = Field(5.0, gt=0)
    factor: float = Field(1.05, ge=1)
    cap: float = Field(30.0, gt=0)


class RelationConfig(Section):
    """Bounds on a class, or on how two relate, that are known in advance."""

    kind: Literal["ratio", "difference", "contact", "value"]
    classes: tuple[str, ...] = Field(description="two; one for the kind value")
    descriptor: str = "volume"
    lower: float | None = None
    upper: float | None = None
    scale: float = Field(1.0, gt=0, description="what a residual of this relation is divided by")


class ConstraintsConfig(Section):
    """Bounds around annotated values and between classes, and how they pull."""

    descriptors: tuple[str, ...] = ("volume", "centroid", "spread", "length")
    margin: float = Field(0.1, ge=0, description="relative half-width of the bounds")
    absolute_margins: dict[str, float] = Field({}, description="half-widths in raw units, by descriptor")
    residuals: Literal["relative", "logarithmic", "raw"] = "relative"
    t: ScheduleConfig = ScheduleConfig()
    rho: float = Field(1.0, gt=0, description="the augmented Lagrangian's quadratic weight")
    relations: tuple[RelationConfig, ...] = ()


class BesideConfig(ConstraintsConfig):
    """Constraints beside another supervision."""

    kind: Literal["barrier", "quadratic", "hinge", "augmented_lagrangian"] = "quadratic"
    descriptors: tuple[str, ...] = ("length",)
    weight: float = Field(0.01, gt=0, description="what their loss is multiplied by")
    start_epoch: int = Field(0, ge=0, description="the epoch, counted from 0, from which they pull")


class EdgeLengthConfig(Section):
    """Boundaries drawn to the edges of the image, whatever the kind."""

    weight: float = Field(0.01, gt=0, description="what their length in sides of the image is multiplied by")
    sigma: float = Field(0.2, gt=0, description="the difference of intensities that makes an edge")


class SupervisionConfig(ConstraintsConfig):
    """What the network learns from."""

    kind: Literal[
        "pixels",
        "barrier",
        "quadratic",
        "hinge",
        "augmented_lagrangian",
        "projection",
        "scribbles",
        "regions",
    ] = "projection"
    descriptors: tuple[str, ...] = ("volume", "centroid", "covariance")
    extent: Literal["slice", "volume"] = Field("slice", description="what the numbers are about")
    sharpening: float = Field(
        1.2, gt=0, description="what a projection's log-probabilities are multiplied by"
    )
    iterations: int = Field(6, ge=1, le=1000, description="rounds of a projection's solver, at most")
    error: float = Field(0.0, ge=0, description="relative error of the numbers that a projection allows for")
    tolerance: float = Field(0.0, ge=0, description="how far a projection leaves a number alone, relative")
    teacher: bool = Field(
        False, description="project what the network that is kept says of the unchanged image"
    )
    renew: Literal["auto", "step", "epoch"] = Field(
        "auto", description="how often a projection's targets are made; auto: each epoch for volumes"
    )
    beside: BesideConfig | None = Field(None, description="constraints that pull as well")
    edge_length: EdgeLengthConfig | None = Field(None, description="a price on boundaries off the edges")

    @property
    def needs_numbers(self) -> bool:
        """Whether there is no learning without a descriptor table."""
        return self.kind not in ("pixels", "scribbles") or self.beside is not None

    @property
    def renewed_each_epoch(self) -> bool:
        """Whether targets last for an epoch: if asked for, or for volumes if nothing stands against it."""
        if self.renew != "auto":
            return self.renew == "epoch"
        alone = self.beside is None and self.edge_length is None and not self.teacher
        return self.kind == "projection" and self.extent == "volume" and alone


class TrainingConfig(Section):
    """The loop."""

    epochs: int = Field(200, ge=1, le=1_000_000)
    batch_size: int = Field(8, ge=1, le=65_536)
    learning_rate: float = Field(5e-4, gt=0)
    betas: tuple[Beta, Beta] = (0.9, 0.99)
    learning_rate_decay: Literal["none", "cosine"] = "none"
    weight_average: float = Field(
        0.0, ge=0, lt=1, description="decay, a step, of a moving average of the weights; 0 for none"
    )
    gradient_clip: float = Field(1.0, ge=0, description="largest norm of the gradient; 0 leaves it alone")
    image_clip: float = Field(
        0.0, ge=0, description="largest norm of one image's gradient at its logits; 0 leaves it alone"
    )
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    devices: int = Field(1, ge=1, le=1024)
    workers: int = Field(0, ge=0, le=256, description="processes that read slices")
    seed: int = Seed
    selection: Literal["auto", "dice", "satisfied", "violation"] = Field(
        "auto",
        description="what names the best epoch; auto: Dice where validation masks exist, else satisfied",
    )


class Experiment(Section):
    """One run, whole."""

    name: str = "experiment"
    description: str = ""
    plugins: tuple[str, ...] = Field((), description="Python files that register more descriptors")
    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    network: NetworkConfig = NetworkConfig()
    supervision: SupervisionConfig = SupervisionConfig()
    training: TrainingConfig = TrainingConfig()

    @field_validator("supervision", mode="before")
    @classmethod
    def _choose_descriptors(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("kind", "projection") in ("projection", "regions"):
            return value
        own, beside = ConstraintsConfig().descriptors, value.get("beside")
        if value["kind"] in ("pixels", "scribbles") and isinstance(beside, dict):
            own = beside.get("descriptors") or BesideConfig().descriptors
        return {"descriptors": own} | value

    @model_validator(mode="after")
    def _check_sections_fit(self) -> Experiment:
        supervision, training = self.supervision, self.training
        kind = f"where supervision.kind is {supervision.kind}"
        if supervision.kind not in ("pixels", "scribbles") and not supervision.descriptors:
            raise misfit("supervision.descriptors", "at least one descriptor", [], "supervision.kind")
        if supervision.extent == "volume" and supervision.kind in ("pixels", "scribbles", "regions"):
            raise misfit("supervision.extent", f"slice {kind}", "volume", "supervision.kind")
        if supervision.renewed_each_epoch:
            check_renewal(supervision)
        if supervision.teacher and supervision.kind != "projection":
            raise misfit("supervision.teacher", f"false {kind}", True, "supervision.kind")
        if training.image_clip and training.precision == "16-mixed":
            expected = "0 where training.precision is 16-mixed, whose gradients are scaled"
            raise misfit("training.image_clip", expected, training.image_clip, "training.precision")
        return self


def check_renewal(supervision: SupervisionConfig) -> None:
    """Refuse what cannot go with targets that last for an epoch."""
    if supervision.kind != "projection":
        expected = f"step or auto where supervision.kind is {supervision.kind}"
        raise misfit("supervision.renew", expected, supervision.renew, "supervision.kind")
    if supervision.teacher:
        expected = "false where supervision.renew is epoch"
        raise misfit("supervision.teacher", expected, True, "supervision.renew")
    if supervision.extent == "volume" and supervision.beside:
        expected = "null where supervision.extent is volume and supervision.renew is epoch"
        found = f"the kind {supervision.beside.kind}"
        raise misfit("supervision.beside", expected, found, "supervision.extent", "supervision.renew")


def misfit(key: str, expected: str, found: object, *others: str) -> PydanticCustomError:
    """A key whose value does not fit: what it should be, what it is, and which other keys say so."""
    context = {"key": key, "expected": expected, "found": found, "others": others}
    return PydanticCustomError("misfit", "{key} to be {expected}", context)


def _flat(value: Any) -> Iterator[Any]:
    """Every value within lists and mappings."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _flat(each)
    else:
        yield value


def valid_keys(section: type[Section] = Experiment, prefix: str = "") -> list[str]:
    """List every dotted key that an experiment file may hold."""
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Section) and kind is not RelationConfig:
                keys += valid_keys(kind, f"{prefix}{name}.")
    return keys
