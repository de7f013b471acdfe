"""Draw what a network says of one training slice in some epochs, and what moment projection makes of it.

    shapewise phantom PHANTOM --patients 16 --seed 0
    python docs/images/make_projection.py PHANTOM docs/images/projection.png

Trains experiments/demo_projection.yaml and looks at the network before its first step, after one epoch, after
five, and at the end. Nothing of the slice but its image and its numbers is known to the network.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from shapewise.build.cases import build_split, build_study, build_table
from shapewise.build.fit import build_fit
from shapewise.config import load_experiment
from shapewise.plots.pictures import key_to_classes
from shapewise.plots.style import INK, blank_figure, class_colour, save
from shapewise.training import table_bounds
from shapewise.training.trainer import fit

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "demo_projection.yaml"
ROWS = ("prediction $s$", "projection $q$")


class Watch(pl.Callback):
    """Keeps prediction and projection of one slice, after as many epochs as asked for."""

    def __init__(self, slice_: Mapping[str, Any], epochs: list[int]) -> None:
        self.slice = slice_
        self.epochs = epochs
        self.seen: dict[int, tuple[Tensor, Tensor]] = {}

    def look(self, module: pl.LightningModule, epoch: int) -> None:
        """Look at the network as it predicts, changing nothing of it."""
        if epoch not in self.epochs:
            return
        supervision = module.supervision
        targets = {name: each[None] for name, each in self.slice["targets"].items()}
        module.eval()
        with torch.no_grad():
            logits = module.network(self.slice["image"][None])
            near = supervision.multipliers.get(self.slice["index"])
            near = None if near is None else near[None]
            found = supervision.loss.report(logits, table_bounds(targets), near=near).projection.probs
        module.train()
        self.seen[epoch] = logits.softmax(1)[0], found[0]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Before the first step."""
        self.look(module, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """After each epoch."""
        self.look(module, trainer.current_epoch + 1)


def train_watched(root: Path) -> tuple[Watch, tuple[str, ...]]:
    """Train the experiment and watch the slice with the most heart of the first training case."""
    experiment = load_experiment(EXPERIMENT)
    with tempfile.TemporaryDirectory() as folder:
        study = build_study(experiment, root)
        split = build_split(experiment, study)
        table = build_table(experiment, study, split, Path(folder) / "descriptors.csv")
        parts = build_fit(experiment, study, split, table, Path(folder))
        slices = parts.train.dataset
        volumes = [slices[i]["targets"]["volume"][:, 0, 0].nan_to_num() for i in range(20)]
        whole = [int(volume.min() > 0) * float(volume.sum()) for volume in volumes]
        last = experiment.training.epochs
        watch = Watch(slices[int(np.argmax(whole))], [0, 1, 5, last])
        trainer = pl.Trainer(
            max_epochs=last,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            callbacks=[watch],
            enable_model_summary=False,
        )
        fit(trainer, parts.module, parts.train, parts.validation, None)
    return watch, study.classes


def tinted(image: np.ndarray, probs: Tensor) -> np.ndarray:
    """The image in grey, each class in its colour as strongly as it is believed in."""
    low, high = np.percentile(image, (1, 99))
    picture = np.repeat(((image - low) / (high - low)).clip(0, 1)[..., None], 3, axis=-1)
    for label, belief in enumerate(probs[1:].numpy(), start=1):
        strength = 0.75 * belief[..., None]
        picture = (1 - strength) * picture + strength * np.array(to_rgb(class_colour(label)))
    return picture


def draw(watch: Watch, classes: tuple[str, ...]) -> Figure:
    """A column an epoch, a row each for prediction and projection."""
    image = watch.slice["image"][0].numpy()
    figure = blank_figure(8, 4.3, gap=0.03)
    grid = figure.subplots(len(ROWS), len(watch.seen), squeeze=False)
    for column, (epoch, pictures) in enumerate(watch.seen.items()):
        for row, probs in enumerate(pictures):
            axes = grid[row, column]
            axes.imshow(tinted(image, probs), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            if row == 0:
                after = "before training" if epoch == 0 else f"after epoch {epoch}"
                axes.set_title(after, fontsize=11, color=INK)
            if column == 0:
                axes.set_ylabel(ROWS[row], fontsize=11, color=INK)
    key_to_classes(figure, classes)
    return figure


def main() -> None:
    """Train, watch and draw."""
    parser = argparse.ArgumentParser(description="Draw the projection of one slice over the epochs.")
    parser.add_argument("data", type=Path, help="a phantom study")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    watch, classes = train_watched(arguments.data)
    save(draw(watch, classes), arguments.out)


if __name__ == "__main__":
    main()
