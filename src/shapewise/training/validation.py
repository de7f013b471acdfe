"""The running Dice of an epoch: counted a case and a class, not a slice."""

from __future__ import annotations

import torch

from shapewise.training.processes import rank_and_count
from shapewise.typing import Int, Labels, Tensor


class CaseDice:
    """Adds up overlaps slice by slice and answers with the mean 3-D Dice of each class.

    A class that neither the prediction nor the mask has in a case scores 1.

    >>> dice = CaseDice(cases=1, classes=2)
    >>> labels = torch.tensor([[[0, 1], [1, 1]]])
    >>> dice.add(labels, labels, torch.tensor([0]))
    >>> dice.mean()
    tensor([1.])
    """

    def __init__(self, *, cases: int, classes: int) -> None:
        self.classes = classes
        self.overlap = torch.zeros(cases, classes - 1, dtype=torch.int64)
        self.size = torch.zeros(cases, classes - 1, dtype=torch.int64)

    def add(self, predicted: Labels, mask: Labels, case: Int[Tensor, " batch"]) -> None:
        """Count a batch of slices; `case` says which case each belongs to."""
        for label in range(1, self.classes):
            p, m = (predicted == label).flatten(1), (mask == label).flatten(1)
            self.overlap[:, label - 1].index_add_(0, case.cpu(), (p & m).sum(1).cpu())
            self.size[:, label - 1].index_add_(0, case.cpu(), (p.sum(1) + m.sum(1)).cpu())

    def sum_over_processes(self, device: torch.device) -> None:
        """Add up what the processes of a distributed run have counted, each on its share of the slices."""
        if rank_and_count()[1] > 1:
            counts = torch.stack([self.overlap, self.size]).to(device)
            torch.distributed.all_reduce(counts)
            self.overlap, self.size = counts.cpu()

    def mean(self) -> Tensor:
        """Mean over cases, one value a foreground class."""
        both_empty = self.size == 0
        dice = torch.where(both_empty, 1.0, 2 * self.overlap / self.size.clamp_min(1))
        return dice.mean(0)


class WeightedMean:
    """Adds up shares and their weights; the mean of nothing is NaN.

    >>> mean = WeightedMean()
    >>> mean.add(torch.tensor(0.5), torch.tensor(10.0))
    >>> mean.add(torch.tensor(1.0), torch.tensor(0.0))
    >>> mean.over_processes(torch.device("cpu"))
    tensor(0.5000)
    """

    def __init__(self) -> None:
        self.sums = torch.zeros(2)

    def add(self, share: Tensor, weight: Tensor) -> None:
        """Count a share with its weight."""
        self.sums += torch.stack([share * weight, weight]).detach().float().cpu()

    def over_processes(self, device: torch.device) -> Tensor:
        """Mean over all that the processes of a distributed run have counted."""
        sums = self.sums.to(device)
        if rank_and_count()[1] > 1:
            torch.distributed.all_reduce(sums)
        held, weight = sums.cpu()
        return held / weight if weight > 0 else torch.full((), torch.nan)
