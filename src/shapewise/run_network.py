"""The network of a run's best epoch."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from shapewise.build.network import build_experiment_network
from shapewise.config import Experiment
from shapewise.errors import RunError
from shapewise.run_folder import RunFolder

REMEDIES = {
    "last.ckpt": "copy best.ckpt over it to go on from the best epoch, or remove it to begin again",
    "best.ckpt": "copy last.ckpt over it to use the last epoch",
}


def best_device() -> torch.device:
    """Choose the accelerator where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_network(run: RunFolder, experiment: Experiment, classes: Sequence[str]) -> nn.Module:
    """Load the network of a run's best epoch.

    Raises:
        RunError: the run has no whole checkpoint yet, or another network wrote it.
    """
    network = build_experiment_network(experiment, classes)
    path = run.checkpoints / "best.ckpt"
    state = read_checkpoint(path)
    prefix = "average.module." if experiment.training.weight_average else "network."
    weights = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        found = f"another's ({reason}); put back the experiment.yaml that it was trained with, or train again"
        raise RunError(path, expected="weights of the experiment's network", found=found) from None
    return network.eval()


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Read a checkpoint's weights, tensors only; raises `RunError` if there is none or it is broken."""
    expected = "a whole checkpoint"
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        found = "no checkpoint; train the run first"
        raise RunError(path, expected="a finished epoch", found=found) from None
    except OSError as error:
        raise RunError(path, expected=expected, found=error.strerror or error) from None
    except (RuntimeError, EOFError, pickle.UnpicklingError):  # in words that help nobody
        found = f"a damaged file of {path.stat().st_size} bytes; {REMEDIES[path.name]}"
        raise RunError(path, expected=expected, found=found) from None
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise RunError(path, expected=expected, found=f"no weights in it; {REMEDIES[path.name]}")
    return state
