"""Descriptors of a user's own, in runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from shapewise.config import load_experiment
from shapewise.errors import ConfigError
from shapewise.runs import train

ExperimentFile = Callable[..., Path]


@pytest.mark.parametrize("code", ["def broken(:", "raise KeyError('mine')"])
def test_a_plugin_that_fails_is_named(
    code: str, phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises(ConfigError, match=r"bad\.py: expected a Python file that runs"):
        train(
            load_experiment(experiment_file(plugins=["bad.py"])), phantom, tmp_path / "run", folder=tmp_path
        )


def test_a_plugin_adds_a_descriptor_by_name(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    (tmp_path / "mine.py").write_text(
        "from shapewise.descriptors import register, volume\n"
        "@register('twice_the_volume', unit_power=lambda ndim: ndim)\n"
        "def twice_the_volume(probs, *, spacing=None):\n"
        "    return 2 * volume(probs, spacing=spacing)\n"
    )
    supervision = {"kind": "barrier", "descriptors": ["volume", "twice_the_volume"]}
    experiment = load_experiment(experiment_file(plugins=["mine.py"], supervision=supervision))
    train(experiment, phantom, tmp_path / "run", folder=tmp_path)
    assert "twice_the_volume" in set(pd.read_csv(tmp_path / "run" / "descriptors.csv")["descriptor"])


def test_two_plugins_of_one_name_are_refused(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    """The run folder has room for one: it evaluated with the second alone."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text("")
    experiment = load_experiment(experiment_file(plugins=["a/mine.py", "b/mine.py"]))
    with pytest.raises(ConfigError, match=r"^plugins: .* of different names, found two mine\.py$"):
        train(experiment, phantom, tmp_path / "run", folder=tmp_path)
    assert not (tmp_path / "run").exists()


def test_a_missing_plugin_is_named(phantom: Path, tmp_path: Path, experiment_file: ExperimentFile) -> None:
    experiment = load_experiment(experiment_file(plugins=["nowhere.py"]))
    with pytest.raises(ConfigError, match=r"nowhere\.py"):
        train(experiment, phantom, tmp_path / "run", folder=tmp_path)
