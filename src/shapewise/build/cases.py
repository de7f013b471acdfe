"""Which cases there are, how they are split, and what a training is told of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from shapewise.build.blaming import blaming
from shapewise.config import AnnotationConfig, Experiment, SupervisionConfig
from shapewise.data.cases import Case, Study
from shapewise.data.degrade import perturb, presence_only, thin
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.plugins import load_plugin
from shapewise.data.prepare import Preprocessing
from shapewise.data.splits import read_chosen_split, split_patients
from shapewise.data.table import KEY, read_table, write_table
from shapewise.errors import ConfigError, DataError, RunError

Split = Mapping[str, list[Case]]
logger = logging.getLogger(__name__)


def load_plugins(experiment: Experiment, folder: Path) -> None:
    """Run the Python files that register an experiment's own descriptors.

    Raises:
        ConfigError: a file is missing, or fails.
    """
    for plugin in experiment.plugins:
        load_plugin(folder / plugin)


def build_study(experiment: Experiment, root: Path) -> Study:
    """Find the cases of the experiment's data folder."""
    return find_cases(root, experiment.data.layout)


def build_split(experiment: Experiment, study: Study, copy: Path | None = None) -> dict[str, list[Case]]:
    """Share out the patients, or read who is where; all frames of a patient stay together.

    Where the file that says so is gone, `copy`, which a run has made of it, is enough.
    """
    settings = experiment.data.split
    patients = sorted({case.patient for case in study.cases})
    if settings.file is not None:
        path = Path(settings.file)
        gone = copy is not None and copy.exists() and not path.exists()
        split = read_chosen_split(copy if copy and gone else path, patients)
    else:
        counts = (settings.train, settings.validation, settings.test)
        split = split_patients(patients, counts=counts, seed=settings.seed)
    return {name: [case for case in study.cases if case.patient in set(ids)] for name, ids in split.items()}


def build_preprocessing(experiment: Experiment) -> Preprocessing:
    """Say how slices become inputs."""
    settings = experiment.data.preprocessing
    with blaming("data.preprocessing"):
        return Preprocessing(size=settings.size, spacing=settings.spacing, crop=settings.crop)


def build_table(experiment: Experiment, study: Study, split: Split, out: Path) -> pd.DataFrame | None:
    """Copy the experiment's table to `out`; where it names none, describe the masks that training may see.

    A run learns from that copy, whoever made the numbers, and can be moved with it. What the experiment says
    about a poorer annotation is done to the copy's training cases. None if there is neither a table nor a
    mask. Errors about it name the table that it was copied from.

    Raises:
        RunError: there is a copy already, and the table has other numbers by now.
    """
    if out.exists():
        check_unchanged(experiment, study, split, out)
    else:
        table = find_table(experiment, study, split)
        if table is None:
            return None
        write_table(poorer(table, experiment.data.annotation, split), out)
    table = read_table(out, study.classes)
    if experiment.data.table is not None:
        table.attrs["path"] = experiment.data.table
    return table


def check_unchanged(experiment: Experiment, study: Study, split: Split, copy: Path) -> None:
    """Refuse a table that was edited since the run copied it; where it is gone, the copy is enough."""
    given = experiment.data.table
    if given is None or not Path(given).exists():
        return
    with TemporaryDirectory() as scratch:
        again = Path(scratch) / copy.name
        build_table(experiment, study, split, again)
        then, now = (read_table(path).sort_values(KEY, ignore_index=True) for path in (copy, again))
    if not now.equals(then):
        found = "others (choose another --out to learn from them)"
        raise RunError(given, expected="the numbers that the run began with", found=found)


def find_table(experiment: Experiment, study: Study, split: Split) -> pd.DataFrame | None:
    """Read the experiment's table, or describe the masks that training may see.

    Raises:
        ConfigError: the table is about slices, and the experiment about whole volumes, or the reverse.
    """
    if experiment.data.table is not None:
        table = read_table(Path(experiment.data.table), study.classes)
        check_extent(table, experiment.supervision)
        return table
    seen = [case for case in (*split["train"], *split["validation"]) if case.mask is not None]
    if not seen:
        return None
    names = table_descriptors(experiment.supervision)
    whole = experiment.supervision.extent == "volume"
    return describe(Study(seen, study.classes, study.layout), descriptors=names, whole=whole)


def check_extent(table: pd.DataFrame, supervision: SupervisionConfig) -> None:
    """Refuse a table without a row of the extent that the experiment is about; raises `ConfigError`."""
    path, whole = table.attrs["path"], table["slice"].isna()
    if (whole == (supervision.extent == "volume")).any():
        return
    if supervision.kind in ("pixels", "scribbles", "regions"):
        expected = f"rows about slices where supervision.kind is {supervision.kind}"
        raise ConfigError("data.table", expected=expected, found=f"rows about whole volumes only in {path}")
    there, about = ("volume", "whole volumes") if whole.all() else ("slice", "slices")
    expected = f"{there}, as the rows of {path} are about {about} only"
    raise ConfigError("supervision.extent", expected=expected, found=supervision.extent)


def poorer(table: pd.DataFrame, annotation: AnnotationConfig, split: Split) -> pd.DataFrame:
    """Make of the training cases' numbers what a less careful annotator would have written."""
    trained = table["case"].isin([case.name for case in split["train"]])
    rows = table[trained]
    if annotation.error:
        rows = perturb(rows, annotation.error, annotation.seed)
    if annotation.presence_only:
        rows = presence_only(rows)
    rows = thin(rows, annotation.every)
    return pd.concat([rows, table[~trained]], ignore_index=True)


def table_descriptors(supervision: SupervisionConfig) -> tuple[str, ...]:
    """List the descriptors that the table must hold: those of the constraints, and what scales them."""
    beside = supervision.beside.descriptors if supervision.beside else ()
    return tuple(dict.fromkeys(("volume", "spread", *supervision.descriptors, *beside)))


def annotated_cases(experiment: Experiment, split: Split, name: str) -> list[Case]:
    """Leave out, with a note, the cases of a split that nobody has described: no table, and no mask.

    Raises:
        DataError: none is left.
    """
    if experiment.data.table is not None:
        return split[name]
    found = [case for case in split[name] if case.mask is not None]
    if not found:
        expected = f"masks for the {name} split, or a table (data.table)"
        raise DataError(split[name][0].image, expected=expected, found="neither")
    if left := [case for case in split[name] if case.mask is None]:
        logger.warning("%s: left out, having no mask: %s", name, ", ".join(case.name for case in left))
    return found
