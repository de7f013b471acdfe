"""Put ShapeConstraintLoss where MONAI's DiceLoss stood: the arguments have the same names.

    python examples/monai_loop.py

MONAI makes the images, the network and the metric. Here the target is a label mask, which the loss describes
by itself; a table's values would do, as examples/three_lines.py shows.
"""

from __future__ import annotations

import numpy as np
import torch
from monai.data import DataLoader, Dataset, create_test_image_2d
from monai.losses import DiceLoss
from monai.metrics import DiceMetric
from monai.networks.nets import UNet
from monai.networks.utils import one_hot
from monai.transforms import Compose, EnsureChannelFirstd, EnsureTyped
from monai.utils import set_determinism
from torch import nn

from shapewise.losses import ShapeConstraintLoss


def blobs(count: int, seed: int) -> Dataset:
    random = np.random.RandomState(seed)
    options = {"num_objs": 1, "rad_min": 6, "rad_max": 12, "noise_max": 0.4, "random_state": random}
    pairs = (create_test_image_2d(48, 48, num_seg_classes=1, **options) for _ in range(count))
    items = [{"image": image, "label": label} for image, label in pairs]
    keys = ["image", "label"]
    steps = [EnsureChannelFirstd(keys, channel_dim="no_channel"), EnsureTyped(keys, dtype=torch.float32)]
    return Dataset(items, Compose(steps))


def train(loss_function: nn.Module, epochs: int = 15) -> float:
    """Train a small U-Net and return its Dice on images that it has not seen."""
    set_determinism(0)
    network = UNet(2, in_channels=1, out_channels=2, channels=(8, 16, 32), strides=(2, 2), num_res_units=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    loader = DataLoader(blobs(128, seed=0), batch_size=8, shuffle=True)
    for epoch in range(epochs):
        if isinstance(loss_function, ShapeConstraintLoss):
            loss_function.start_epoch(epoch)
        for batch in loader:
            loss = loss_function(network(batch["image"]), batch["label"])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
    metric = DiceMetric(include_background=False)
    for batch in DataLoader(blobs(16, seed=1), batch_size=8):
        with torch.no_grad():
            predicted = network.eval()(batch["image"]).argmax(1, keepdim=True)
        metric(one_hot(predicted, 2), one_hot(batch["label"], 2))
    return float(metric.aggregate().item())


def main() -> None:
    pixels = DiceLoss(include_background=False, softmax=True, to_onehot_y=True)
    shapes = ShapeConstraintLoss(include_background=False, softmax=True)
    for loss_function in (pixels, shapes):
        print(f"{type(loss_function).__name__:20s} Dice {train(loss_function):.3f}")


if __name__ == "__main__":
    main()
