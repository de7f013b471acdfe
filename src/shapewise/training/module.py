"""The Lightning module: augment, predict, bring the prediction back to its own frame, compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from shapewise.data.augmentation import Augmentation
from shapewise.errors import DivergedError
from shapewise.losses import ShapeConstraintLoss
from shapewise.training.clipping import clip_each_image
from shapewise.training.epoch_targets import EpochTargets
from shapewise.training.processes import share_buffers
from shapewise.training.sampling import stream_seed
from shapewise.training.supervision import Supervision, table_bounds
from shapewise.training.trainer import watched
from shapewise.training.validation import CaseDice, WeightedMean
from shapewise.training.volumes import as_volume
from shapewise.typing import Int, Tensor


@dataclass(frozen=True)
class Optimisation:
    """Adam's settings, how the learning rate falls, and how much one image may say (0: all it likes).

    `weight_average` is the decay, a step, of the moving average of the weights; 0 for none.
    """

    learning_rate: float
    betas: tuple[float, float]
    cosine_epochs: int | None = None
    image_clip: float = 0.0
    weight_average: float = 0.0


class SegmentationModule(pl.LightningModule):
    """Trains `network` by `supervision`.

    The augmented image goes through the network, its logits are warped back, and every loss is taken in
    the frame of the annotation: numbers stay exact under augmentation, and no mask is needed to recompute
    them (DESIGN 4).

    Args:
        network: logits (B, K, H, W) from images (B, 1, H, W).
        supervision: what the network learns from.
        augmentation: random changes of a batch.
        optimisation: Adam's settings.
        classes: names of the foreground classes.
        yardstick: the constraints in a form that every supervision is measured by on the validation
            slices: hinge penalties, whatever the training used.
        validation_case: the number of the case that each validation slice belongs to, (N,).
        seed: decides augmentation and dropout, epoch by epoch.
        whole_volumes: a batch is the slices of one case, and the numbers are about its volume.
        epoch_targets: makes the targets once an epoch, from the network that is kept; a batch is then one of
            slices, whatever the numbers are about.
        teacher: the supervision is told what the average of the weights, or without one the network itself,
            says of the unchanged images.
    """

    def __init__(
        self,
        network: nn.Module,
        supervision: Supervision,
        augmentation: Augmentation,
        optimisation: Optimisation,
        *,
        classes: tuple[str, ...],
        yardstick: ShapeConstraintLoss | None,
        validation_case: Int[Tensor, " slices"],
        seed: int,
        whole_volumes: bool = False,
        teacher: bool = False,
        epoch_targets: EpochTargets | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.supervision = supervision
        self.augmentation = augmentation
        self.optimisation = optimisation
        self.classes = classes
        self.yardstick = yardstick
        self.validation_case = validation_case
        self.seed = seed
        self.whole_volumes = whole_volumes
        self.teacher = teacher
        self.epoch_targets = epoch_targets
        decay = optimisation.weight_average
        self.average: AveragedModel | None = None
        if decay:
            follow = get_ema_multi_avg_fn(decay)
            self.average = AveragedModel(network, multi_avg_fn=follow, use_buffers=True).requires_grad_(False)
        self.case_dice: CaseDice | None = None
        self.held: dict[str, WeightedMean] = {}

    def configure_optimizers(self) -> Any:
        """Adam, with a cosine decay if asked for."""
        settings = self.optimisation
        adam = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate, betas=settings.betas)
        if settings.cosine_epochs is None:
            return adam
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, settings.cosine_epochs)
        return {"optimizer": adam, "lr_scheduler": cosine}

    def on_train_epoch_start(self) -> None:
        """Tell the supervision which epoch begins, and make its targets if they are to last for it."""
        self.supervision.start_epoch(self.current_epoch)
        if self.epoch_targets is not None:
            batches = watched(self.epoch_targets.share(), self.trainer)
            with self.trainer.precision_plugin.forward_context():
                self.converged = self.epoch_targets.renew(self.kept, batches)

    def on_train_epoch_end(self) -> None:
        """Let the supervision bring together what its processes found, before a checkpoint is written."""
        self.supervision.end_epoch()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let a run go on that was written before the supervision had anything to keep."""
        for key, own in self.state_dict().items():
            if key.endswith("_extra_state"):
                checkpoint["state_dict"].setdefault(key, own)

    def training_step(self, batch: Mapping[str, Any], batch_index: int) -> Tensor:
        """One batch: the loss in the annotation's frame."""
        generator = self.seed_batch(batch_index)
        theta = self.augmentation.sample(batch["image"], generator)
        images = self.augmentation.apply(batch["image"], theta, generator)
        logits = self.augmentation.unwarp(self.network(images), theta)
        if self.optimisation.image_clip:
            clip_each_image(logits, self.optimisation.image_clip)
        if self.teacher:
            batch = {**batch, "belief": self.taught(batch["image"])}
        if self.epoch_targets is not None:
            batch = {**batch, "dense": self.epoch_targets.of(batch["index"])}
        elif self.whole_volumes:
            logits, batch = as_volume(logits, batch)
        loss: Tensor = self.supervision(logits, batch)
        if not loss.isfinite():
            where = f"epoch {self.current_epoch + 1}, batch {batch_index + 1}"
            raise DivergedError(
                where, expected="a finite loss", found=f"{loss.item()}; lower the learning rate"
            )
        measures: dict[str, Tensor | float] = {"train_loss": loss, **self.supervision.measures}
        if self.epoch_targets is not None:
            measures["train_converged"] = self.converged
        for name, value in measures.items():
            self.log(
                name,
                value,
                on_step=False,
                on_epoch=True,
                prog_bar=name == "train_loss",
                batch_size=len(images),
                sync_dist=True,
            )
        return loss

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.network if self.average is None else self.average

    @torch.no_grad()
    def taught(self, images: Tensor) -> Tensor:
        """What the network that is kept says of images as they are, in evaluation mode."""
        logits: Tensor = self.kept.eval()(images)
        self.kept.train()
        return logits

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        """Move the average of the weights on."""
        if self.average is not None:
            self.average.update_parameters(self.network)

    def seed_batch(self, batch_index: int) -> torch.Generator:
        """Seed dropout, and return the source of augmentation.

        Each batch has streams of its own: whatever else draws random numbers in between, a resumed run draws
        what an uninterrupted one would have drawn.
        """
        dropout, augmentation = (
            stream_seed(self.seed, self.current_epoch, batch_index, self.global_rank, purpose)
            for purpose in (0, 1)
        )
        torch.manual_seed(dropout)
        return torch.Generator(device=self.device).manual_seed(augmentation)

    def on_validation_epoch_start(self) -> None:
        """Start counting afresh; what is validated is what the first process keeps, in every one."""
        for network in (self.network, self.average):
            if network is not None:
                share_buffers(network)
        self.case_dice = None
        self.held = {}

    def validation_step(self, batch: Mapping[str, Any], batch_index: int) -> None:
        """Measure a batch against whatever is there: masks, a table, or both."""
        logits = self.kept(batch["image"]).float()
        if "mask" in batch:
            if self.case_dice is None:
                cases = int(self.validation_case.max()) + 1
                self.case_dice = CaseDice(cases=cases, classes=len(self.classes) + 1)
            case = self.validation_case[batch["index"].cpu()]
            self.case_dice.add(logits.argmax(1), batch["mask"], case)
        if self.yardstick is not None and "targets" in batch:
            if self.whole_volumes:
                logits, batch = as_volume(logits, batch)
            report = self.yardstick.report(logits, table_bounds(batch["targets"]))
            self.log("val_violation", report.total, batch_size=len(logits), sync_dist=True)
            for name, share in report.satisfied.items():
                # Weighed by its active bounds: a batch of empty slices says nothing about the centroid.
                self.held.setdefault(name, WeightedMean()).add(share, report.active[name])

    def on_validation_epoch_end(self) -> None:
        """Log what the epoch came to: the constraints that hold, and the 3-D Dice."""
        shares = {name: mean.over_processes(self.device) for name, mean in self.held.items()}
        self.log_dict({f"val_satisfied_{name}": share for name, share in shares.items()})
        if shares:
            # A constraint that bounds nothing there says nothing.
            self.log("val_satisfied", torch.stack(list(shares.values())).nanmean())
        if self.case_dice is None:
            return
        self.case_dice.sum_over_processes(self.device)
        dice = self.case_dice.mean()
        named = {f"val_dice_{name}": value for name, value in zip(self.classes, dice, strict=True)}
        self.log_dict(named)
        self.log("val_dice", dice.mean(), prog_bar=True)
