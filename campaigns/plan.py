"""What a campaign is to run: a plan's arms and seeds, and the run folder of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shapewise.config import Experiment, load_experiment
from shapewise.config.reading import UniqueKeys
from shapewise.errors import ConfigError, RunError
from shapewise.run_folder import RunFolder, flatten

Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]

TRAINS_NOTHING = ("name", "description", "data.root")
"""Keys that may have changed since a run was finished."""


@dataclass(frozen=True)
class Run:
    """One arm with one seed."""

    arm: str
    seed: int
    experiment: Path
    overrides: list[str]
    folder: Path

    @property
    def metrics(self) -> Path:
        """What its evaluation leaves, the last file of a run."""
        return self.folder / "metrics.csv"

    @property
    def files(self) -> RunFolder:
        """Its folder."""
        return RunFolder(self.folder)

    @cached_property
    def asked(self) -> Experiment:
        """The experiment, as `shapewise train` writes it into the folder."""
        asked = load_experiment(self.experiment, self.overrides)
        return asked.model_copy(update={"plugins": tuple(Path(each).name for each in asked.plugins)})

    @cached_property
    def ended(self) -> bool:
        """Whether what lies in its folder, of whichever experiment, has all its epochs and was measured."""
        return self.tested and self.files.read_record().epochs >= self.asked.training.epochs

    @property
    def tested(self) -> bool:
        """Whether it was measured, and on the images of its own test split, not on somebody else's.

        An evaluation of older code has no `scans.csv`, and could be of that split alone.
        """
        scans = self.folder / "scans.csv"
        if not (self.metrics.exists() and scans.exists()):
            return self.metrics.exists()
        keys = ["case", "frame", "bytes"]
        try:
            seen, cases = (
                pd.read_csv(path, dtype=str, keep_default_na=False) for path in (scans, self.files.cases_file)
            )
            of_test = cases.loc[cases["split"] == "test", keys]
            return len(seen[keys].merge(of_test)) == len(seen)
        except (OSError, ValueError, KeyError) as error:
            raise RunError(self.folder, expected="tables of its cases", found=error) from None

    @cached_property
    def another(self) -> str:
        """In what its folder holds another experiment; empty where it holds none, or this one.

        A key that the folder's file does not have, as it is older than the key, is as by default.
        """
        if not self.files.record_file.exists():
            return ""
        was, asked = (
            flatten(each.model_dump(mode="json")) for each in (self.files.read_experiment(), self.asked)
        )
        if self.asked.training.learning_rate_decay == "none":  # fewer epochs are the beginning of more
            was["training.epochs"] = max(self.files.read_record().epochs, asked["training.epochs"])
        left = TRAINS_NOTHING if self.ended else ()  # `train` would not resume it under another name
        for key in sorted((was.keys() | asked.keys()).difference(left)):
            if was.get(key) != asked.get(key):
                return " ".join(f"{key}={was.get(key)}, not {asked.get(key)}".split())
        return ""

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.ended and not self.another


class Arm(BaseModel):
    """An experiment file, relative to the plan, what is different in this arm, and words for the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: str
    overrides: list[str] = []
    learns_from: str = ""


class Plan(BaseModel):
    """Arms and seeds; what several arms share is written, with YAML's anchors, under `shared`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    overrides: list[str] = []
    seeds: list[Seed] = Field(min_length=1)
    arms: dict[Name, Arm] = Field(min_length=1)
    shared: dict[str, Any] = {}

    @property
    def first(self) -> str:
        """The arm that the others are compared with."""
        return next(iter(self.arms))

    def check(self, arms: Sequence[str]) -> None:
        """Raise `ConfigError` for an arm that the plan does not have."""
        for name in arms:
            if name not in self.arms:
                raise ConfigError(self.path, expected=f"arms among {', '.join(self.arms)}", found=name)

    def runs(self, out: Path, arms: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[Run]:
        """List the runs, seed by seed; of all arms and with the plan's seeds unless some are named.

        Raises:
            ConfigError: the plan has no such arm.
        """
        self.check(arms)
        return [
            Run(
                name,
                seed,
                self.path.parent / arm.experiment,
                [*self.overrides, *arm.overrides, f"training.seed={seed}"],
                out / f"{name}_s{seed}",
            )
            for seed in dict.fromkeys(seeds or self.seeds)
            for name, arm in self.arms.items()
            if not arms or name in arms
        ]


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ConfigError: the file is missing, no YAML, or no plan.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), UniqueKeys)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, expected="a plan", found=error) from None
    except (yaml.YAMLError, ValueError) as error:  # the latter for a day that no month has
        raise ConfigError(path, expected="valid YAML", found=error) from None
    if not isinstance(content, dict):
        raise ConfigError(path, expected="a mapping", found=type(content).__name__)
    try:
        return Plan.model_validate({**content, "path": path})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(path, expected=f"a valid `{key}`", found=first["msg"]) from None
