"""From an image to hard labels on its own grid: prepared as for training, predicted, and mapped back."""

# SimpleITK carries no types.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK
import torch
from torch import nn

from shapewise.data.cases import read_image
from shapewise.data.frames import resample_image, to_native
from shapewise.data.prepare import Preprocessing, normalise
from shapewise.errors import ArgumentError
from shapewise.evaluation.files import mask_path, write_mask

Labels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


def predict_volume(
    network: nn.Module,
    image: npt.NDArray[np.floating],
    spacing: tuple[float, float, float] | None,
    preprocessing: Preprocessing,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
) -> Labels:
    """Segment a volume slice by slice, and answer on its native grid.

    The probabilities are interpolated back, not the labels, and the most probable class wins there; what the
    preprocessing cropped away is background. Only a batch of slices is in memory as probabilities.

    Args:
        network: Slices (B, 1, h, w) to logits (B, K, h, w). It comes back in the mode that it came in.
        image: Native intensities, (D, H, W).
        spacing: Distance between voxel centres in mm, (slice, row, column); None where unknown.
        preprocessing: What the network was trained with.
        device: Where the network is run; it is moved there.
        batch_size: Slices at once.

    Returns:
        Labels, (D, H, W): 0 is background.

    Raises:
        ArgumentError: The image is not 3-D, or its spacing is unknown and the preprocessing needs it.
    """
    labels = np.empty(np.shape(image), np.uint8)
    start = 0
    for probs in predict_probabilities(
        network, image, spacing, preprocessing, device=device, batch_size=batch_size
    ):
        labels[start : start + len(probs)] = probs.argmax(axis=1)
        start += len(probs)
    return labels


def predict_probabilities(
    network: nn.Module,
    image: npt.NDArray[np.floating],
    spacing: tuple[float, float, float] | None,
    preprocessing: Preprocessing,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
) -> Iterator[Probabilities]:
    """The class probabilities of a volume on its native grid, a batch of slices (B, K, H, W) at a time.

    Arguments and errors are those of `predict_volume`.
    """
    if np.ndim(image) != 3:
        raise ArgumentError("image", expected="a volume (D, H, W)", found=f"shape {np.shape(image)}")
    height, width = image.shape[1:]
    frame = preprocessing.frame((height, width), None if spacing is None else (spacing[1], spacing[2]))
    slices = resample_image(normalise(image.astype(np.float32, copy=False)), frame)
    network = network.to(device)
    with _evaluating(network):
        for start in range(0, len(slices), batch_size):
            batch = torch.from_numpy(np.ascontiguousarray(slices[start : start + batch_size, None]))
            yield to_native(_probabilities(network, batch.to(device)), frame, (height, width))


def predict_file(
    network: nn.Module,
    path: str | Path,
    preprocessing: Preprocessing,
    out: str | Path,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
) -> Path:
    """Segment an image file or the folder of a DICOM series, and write the mask in its geometry and format.

    Args:
        network: Slices (B, 1, h, w) to logits (B, K, h, w).
        path: The image.
        preprocessing: What the network was trained with.
        out: The mask's file, or the folder that it goes into under the image's name.
        device: Where the network is run.
        batch_size: Slices at once.

    Returns:
        The mask's file.

    Raises:
        DataError: The image cannot be read or the mask not written.
        ArgumentError: The mask would overwrite its own image.
    """
    image = read_image(path)
    target = mask_path(path, out)
    if target.resolve() == Path(path).resolve():
        raise ArgumentError("out", expected="another place than the image's own", found=target)
    column, row, depth = image.GetSpacing()
    voxels = SimpleITK.GetArrayFromImage(image)
    labels = predict_volume(
        network, voxels, (depth, row, column), preprocessing, device=device, batch_size=batch_size
    )
    return write_mask(labels, image, target)


def _probabilities(network: nn.Module, batch: torch.Tensor) -> Probabilities:
    # The mode covers one batch only: left on across a `yield`, it would reach into the caller.
    with torch.inference_mode():
        probs: Probabilities = network(batch).float().softmax(dim=1).cpu().numpy()
    return probs


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
