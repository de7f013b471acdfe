"""What a violation costs: pure functions of a residual, and modules with one interface around them.

A residual of ``-inf`` is an inactive constraint: value 0, gradient 0. Half-precision residuals are computed,
and returned, in float32.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from shapewise.constraints.schedules import Geometric, Schedule
from shapewise.errors import ArgumentError


def log_barrier(z: Tensor, t: float | Tensor) -> Tensor:
    """Extended log-barrier: the barrier ``-log(-z) / t`` up to ``z = -1/t²``, its tangent from there on.

    Both branches meet at ``-1/t²`` with value ``2 log(t) / t`` and slope ``t``, so that a violated constraint
    gets a gradient too. Satisfied constraints are pushed away from their bound, the less the larger t.

    Source: paper, appendix A.

    Args:
        z: residuals of any shape, positive where violated.
        t: positive; the slope for a violated constraint.

    Returns:
        The penalty of every residual, the shape of ``z``.

    Raises:
        ArgumentError: ``t``, given as a number, is not positive and finite.

    >>> log_barrier(torch.tensor([-0.5, -0.04, 0.0, 1.0]), t=5.0)
    tensor([0.1386, 0.6438, 0.8438, 5.8438])
    """
    if not isinstance(t, Tensor) and not 0 < t < math.inf:
        raise ArgumentError("t", expected="a positive finite number", found=t)
    z = _at_least_float32(z)
    t = torch.as_tensor(t, dtype=z.dtype, device=z.device)
    # The barrier up to where it ends, and the tangent's rise from there: both are finite, whatever t.
    limits = torch.finfo(z.dtype)
    end = -(t**-2).clamp(limits.tiny, limits.max)
    barrier = -torch.log(-z.clamp(max=end)) / t
    return torch.where(z == -math.inf, 0.0, barrier + t * torch.relu(z - end))


def quadratic(z: Tensor) -> Tensor:
    """Squared violation: ``max(z, 0)²``.

    Source: the fixed quadratic penalty that the paper's figure 3 compares with (Kervadec et al., 2019b).

    >>> quadratic(torch.tensor([-1.0, 0.0, 2.0, -torch.inf]))
    tensor([0., 0., 4., 0.])
    """
    return hinge(z).square()


def hinge(z: Tensor) -> Tensor:
    """Violation itself: ``max(z, 0)``.

    >>> hinge(torch.tensor([-1.0, 0.0, 2.0, -torch.inf]))
    tensor([0., 0., 2., 0.])
    """
    return torch.relu(_at_least_float32(z))


def augmented_lagrangian(z: Tensor, multiplier: Tensor, rho: float) -> Tensor:
    """Augmented Lagrangian of ``z <= 0``: ``(max(multiplier + rho z, 0)² - multiplier²) / (2 rho)``.

    Its slope is ``max(multiplier + rho z, 0)``: the right multiplier holds the constraint exactly, at a
    finite rho.

    Source: Rockafellar, The multiplier method of Hestenes and Powell applied to convex programming, 1973.

    Args:
        z: residuals of any shape, positive where violated.
        multiplier: not negative; broadcasts against ``z``.
        rho: positive; the weight of the quadratic part.

    >>> augmented_lagrangian(torch.tensor([1.0, -3.0, -torch.inf]), torch.tensor(2.0), rho=1.0)
    tensor([ 2.5000, -2.0000,  0.0000])
    """
    z = _at_least_float32(z)
    active = z != -math.inf
    force = torch.relu(multiplier + rho * torch.where(active, z, 0.0))
    return torch.where(active, (force.square() - multiplier.square()) / (2 * rho), 0.0)


class Penalty(nn.Module, ABC):
    """What the loss asks of a penalty: a cost for every residual, and to be told of every new epoch."""

    @abstractmethod
    def forward(self, z: Tensor, key: str) -> Tensor:
        """Return the cost of every residual.

        Args:
            z: residuals ``(B, ..., 2)``, positive where violated, ``-inf`` where inactive.
            key: which constraint this is, the same in every call: a penalty may remember things about it.
        """

    def start_epoch(self, epoch: int) -> None:
        """Prepare for an epoch, counted from 0; by default there is nothing to prepare."""
        if epoch < 0:
            raise ArgumentError("epoch", expected="a non-negative integer", found=epoch)


class LogBarrier(Penalty):
    """Extended log-barrier with a t that grows by a schedule; see :func:`log_barrier`.

    t is a buffer: it is saved with the model, and changing it recompiles nothing.

    >>> barrier = LogBarrier(Geometric(start=5.0, factor=2.0, cap=30.0))
    >>> barrier.start_epoch(1)
    >>> barrier.t
    tensor(10.)
    """

    t: Tensor

    def __init__(self, schedule: Schedule | None = None) -> None:
        super().__init__()
        self.schedule = Geometric() if schedule is None else schedule
        self.register_buffer("t", torch.tensor(float(self.schedule(0))))

    def forward(self, z: Tensor, key: str) -> Tensor:
        """Return the barrier of every residual."""
        return log_barrier(z, self.t)

    def start_epoch(self, epoch: int) -> None:
        """Set t for this epoch."""
        super().start_epoch(epoch)
        self.t.fill_(self.schedule(epoch))


class Quadratic(Penalty):
    """Squared violation; see :func:`quadratic`.

    >>> Quadratic()(torch.tensor([3.0]), "volume")
    tensor([9.])
    """

    def forward(self, z: Tensor, key: str) -> Tensor:
        """Return the square of every violation."""
        return quadratic(z)


class Hinge(Penalty):
    """Violation itself; see :func:`hinge`.

    >>> Hinge()(torch.tensor([3.0]), "volume")
    tensor([3.])
    """

    def forward(self, z: Tensor, key: str) -> Tensor:
        """Return every violation."""
        return hinge(z)


class AugmentedLagrangian(Penalty):
    """Augmented Lagrangian with one multiplier a class, descriptor component and side, shared by all images.

    At the start of an epoch every multiplier becomes the mean, over the images since the last one, of
    ``max(multiplier + rho z, 0)``: for a single image the classical update. Only calls in training mode with
    gradients on are gathered, so validation leaves no trace. Multipliers, and what has been gathered, are
    saved with the model. Processes that train together gather together: each must make as many such calls.

    Source: Rockafellar 1973, see :func:`augmented_lagrangian`; the mean over images is ours.

    Args:
        rho: weight of the quadratic part and step of the multipliers; positive.
        cap: the largest multiplier, for constraints that nothing can satisfy.

    Raises:
        ArgumentError: ``rho`` or ``cap`` is not positive.

    >>> penalty = AugmentedLagrangian(rho=2.0)
    >>> penalty(torch.tensor([[1.0], [2.0]], requires_grad=True), "volume").tolist()
    [[1.0], [4.0]]
    >>> penalty.start_epoch(1)
    >>> penalty.multiplier("volume")
    tensor([3.])
    """

    def __init__(self, rho: float = 1.0, cap: float = 100.0) -> None:
        super().__init__()
        for name, value in (("rho", rho), ("cap", cap)):
            if not 0 < value < math.inf:
                raise ArgumentError(name, expected="a positive finite number", found=value)
        self.rho, self.cap = rho, cap

    def forward(self, z: Tensor, key: str) -> Tensor:
        """Return the augmented Lagrangian of every residual and remember its slope."""
        z = _at_least_float32(z)
        self._prepare(key, z.shape[1:], z.device)
        if self.training and torch.is_grad_enabled():
            self._gather(z.detach(), key)
        return augmented_lagrangian(z, self.multiplier(key), self.rho)

    def start_epoch(self, epoch: int) -> None:
        """Update the multipliers from what has been gathered since the last update."""
        super().start_epoch(epoch)
        for name in sorted(name for name, _ in self.named_buffers() if name.startswith(_MULTIPLIER)):
            self._update(name.removeprefix(_MULTIPLIER))

    def multiplier(self, key: str) -> Tensor:
        """Return the multipliers of one constraint: a residual's shape without the images."""
        return self.get_buffer(_MULTIPLIER + _name(key))

    @torch.no_grad()
    def _update(self, key: str) -> None:
        force, count = self.get_buffer(_FORCE + key), self.get_buffer(_COUNT + key)
        multiplier = self.multiplier(key)
        updated = (force / count.clamp_min(1)).clamp_max(self.cap)
        multiplier.copy_(torch.where(count > 0, updated, multiplier))
        force.zero_()
        count.zero_()

    @torch.no_grad()
    def _gather(self, z: Tensor, key: str) -> None:
        active = z != -math.inf
        force = torch.where(active, torch.relu(self.multiplier(key) + self.rho * z), 0.0)
        gathered = torch.stack([force.sum(0), active.sum(0)])
        # With every batch: one process writes the checkpoint, and it must hold what all of them have seen.
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(gathered)
        self.get_buffer(_FORCE + _name(key)).add_(gathered[0])
        self.get_buffer(_COUNT + _name(key)).add_(gathered[1])

    @torch.inference_mode(False)  # a buffer made in inference mode could not be updated outside of it
    def _prepare(self, key: str, shape: torch.Size, device: torch.device) -> None:
        for name in (prefix + _name(key) for prefix in (_MULTIPLIER, _FORCE, _COUNT)):
            if not hasattr(self, name):
                self.register_buffer(name, torch.zeros(shape, device=device))
            # A state read on the CPU may fill a module that had no buffer to say where it lives.
            elif self.get_buffer(name).device != device:
                self.register_buffer(name, self.get_buffer(name).to(device))
        known = tuple(self.multiplier(key).shape)
        if known != tuple(shape):
            raise ArgumentError("z", expected=f"(B, *{known}) as before for {key!r}", found=tuple(shape))

    @torch.inference_mode(False)
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Make the buffers that a saved state holds: a fresh penalty has none before its first call."""
        for key, value in state_dict.items():
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and name.startswith((_MULTIPLIER, _FORCE, _COUNT)):
                self.register_buffer(name, torch.zeros_like(value))
        super()._load_from_state_dict(state_dict, prefix, *args)


PENALTIES: dict[str, type[Penalty]] = {
    "log_barrier": LogBarrier,
    "quadratic": Quadratic,
    "hinge": Hinge,
    "augmented_lagrangian": AugmentedLagrangian,
}
"""What experiments call the penalties."""

_MULTIPLIER, _FORCE, _COUNT = "multiplier_", "force_", "count_"


def _name(key: str) -> str:
    """PyTorch refuses a dot in a buffer's name."""
    return key.replace(".", "_")


def _at_least_float32(z: Tensor) -> Tensor:
    return z.to(torch.promote_types(z.dtype, torch.float32))
