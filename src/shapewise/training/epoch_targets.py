"""Dense targets of all training slices, made once an epoch from what the network says then."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from shapewise.data.slices import Slices
from shapewise.training.supervision import ProjectionSupervision
from shapewise.training.volumes import as_volume
from shapewise.typing import Probs


class EpochTargets:
    """What every training slice is to look like until the next epoch.

    The targets lie in a file, ``(N, K, h, w)`` in half precision, that is gone when the process ends: memory
    does not grow with the data.

    Args:
        slices: the training slices.
        batches: which of them are projected at a time: the slices of a case where numbers are about volumes.
        projection: what makes targets of logits.
        folder: where the file lies.
        whole_volumes: a batch is one volume.
    """

    def __init__(
        self,
        slices: Slices,
        batches: Sequence[list[int]],
        projection: ProjectionSupervision,
        folder: Path,
        *,
        whole_volumes: bool,
    ) -> None:
        self.slices, self.batches, self.projection = slices, batches, projection
        self.folder, self.whole_volumes = folder, whole_volumes
        self.targets: np.memmap[tuple[int, ...], np.dtype[np.float16]] | None = None

    @torch.no_grad()
    def renew(self, network: nn.Module, batches: Iterable[list[int]]) -> float:
        """Project what the network says of the slices as they are; returns the share that converged."""
        training, device = network.training, next(network.parameters()).device
        network.eval()
        converged = []
        for numbers in batches:
            batch = self.slices[numbers]
            index, logits = batch["index"], network(batch["image"].to(device))
            if self.whole_volumes:
                logits, batch = as_volume(logits, batch)
            batch["targets"] = {name: each.to(device) for name, each in batch["targets"].items()}
            report = self.projection.project(logits, batch)
            target = report.target[0].movedim(1, 0) if self.whole_volumes else report.target
            self._file(target)[index.numpy()] = target.half().cpu().numpy()
            converged.append(report.projection.converged)
        network.train(training)
        return torch.cat(converged).float().mean().item()

    def of(self, index: Tensor) -> Probs:
        """The targets ``(B, K, h, w)`` of some images, on the device that their numbers are on."""
        if self.targets is None:
            raise RuntimeError("no targets before the first `renew`")
        return torch.from_numpy(self.targets[index.cpu().numpy()]).to(index.device).float()

    def _file(self, like: Tensor) -> np.memmap[tuple[int, ...], np.dtype[np.float16]]:
        if self.targets is None:
            shape = (len(self.slices.images), *like.shape[1:])
            with tempfile.TemporaryFile(dir=self.folder) as file:  # mapped, it outlives its handle
                empty = bytes(2 * like[0].numel())
                for _ in range(shape[0]):  # a disk that is full says so now: a mapped page could not
                    file.write(empty)
                self.targets = np.memmap(file, np.float16, "w+", shape=shape)
        return self.targets
