"""Dense targets of all training slices, made once an epoch from what the network says then."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from shapewise.data.slices import Slices
from shapewise.errors import DataError
from shapewise.training.processes import gathered, rank_and_count
from shapewise.training.supervision import ProjectionSupervision
from shapewise.training.volumes import as_volume
from shapewise.typing import Probs


class EpochTargets:
    """What every training slice is to look like until the next epoch.

    The targets lie in a file, ``(N, K, h, w)`` in half precision, that is gone when the process ends: memory
    does not grow with the data. The processes of a distributed run have one file, and make each its share.

    Args:
        slices: the training slices, with their numbers.
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

    def share(self) -> Sequence[list[int]]:
        """The batches that this process projects."""
        rank, count = rank_and_count()
        return self.batches[rank::count]

    @torch.no_grad()
    def renew(self, network: nn.Module, batches: Iterable[list[int]]) -> float:
        """Project what the network says of the slices as they are; returns the share that converged."""
        if self.targets is None:
            self.targets = self._open()
        training, device = network.training, next(network.parameters()).device
        network.eval()
        converged = torch.empty(0)
        for numbers in batches:
            batch = self.slices[numbers]
            index, logits = batch["index"], network(batch["image"].to(device))
            if self.whole_volumes:
                logits, batch = as_volume(logits, batch)
            batch["targets"] = {name: each.to(device) for name, each in batch["targets"].items()}
            report = self.projection.project(logits, batch)
            target = report.target[0].movedim(1, 0) if self.whole_volumes else report.target
            self.targets[index.numpy()] = target.half().cpu().numpy()
            converged = torch.cat([converged, report.projection.converged.float().cpu()])
        network.train(training)
        return torch.cat(gathered(converged)).mean().item()

    def of(self, index: Tensor) -> Probs:
        """The targets ``(B, K, h, w)`` of some images, on the device that their numbers are on."""
        if self.targets is None:
            raise RuntimeError("no targets before the first `renew`")
        return torch.from_numpy(self.targets[index.cpu().numpy()]).to(index.device).float()

    def _open(self) -> np.memmap[tuple[int, ...], np.dtype[np.float16]]:
        """Map a file that the first process makes, and that has no name any more once all have mapped it."""
        (images, *size), known = self.slices.images.shape, self.slices.targets or {}
        shape = (images, 1 + next(iter(known.values())).shape[1], *size)
        rank, processes = rank_and_count()
        if rank > 0:
            theirs = np.memmap(gathered("")[0], np.float16, "r+", shape=shape)
            gathered(None)
            return theirs
        make = tempfile.TemporaryFile if processes == 1 else tempfile.NamedTemporaryFile
        room = 2 * math.prod(shape)
        try:
            with make(dir=self.folder) as file:  # mapped, it outlives its handle
                for _ in range(images):  # a disk that is full says so now: a mapped page could not
                    file.write(bytes(room // images))
                file.flush()
                gathered(file.name)
                gathered(None)
                return np.memmap(file, np.float16, "r+", shape=shape)
        except OSError as error:
            expected = f"room for the targets of an epoch, {room} bytes"
            raise DataError(self.folder, expected=expected, found=error.strerror) from None
