"""What a run refuses, and when: before it trains."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from shapewise.build.cases import build_split, build_study, build_table
from shapewise.config import load_experiment
from shapewise.data.layouts import find_cases
from shapewise.data.table import read_table, write_table
from shapewise.errors import ConfigError, DataError, RunError, TableError
from shapewise.run_folder import RunFolder
from shapewise.run_training import start
from shapewise.runs import evaluate, train
from shapewise.training.log import read_log

ExperimentFile = Callable[..., Path]


def test_a_table_that_was_changed_does_not_resume_a_run(
    phantom: Path, table: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    """The run went on with its copy of the numbers, and the changes had no effect."""
    settings = [f"data.table={table}", "data.annotation.error=0.1"]
    experiment = load_experiment(experiment_file(), settings)
    study = build_study(experiment, phantom)

    def numbers() -> pd.DataFrame | None:
        return build_table(experiment, study, build_split(experiment, study), tmp_path / "descriptors.csv")

    copied, written = numbers(), read_table(table)
    write_table(written[::-1], table)  # the same numbers
    numbers()
    write_table(written.assign(value=written["value"] * 1.5), table)
    expected = r"table\.csv: expected the numbers that the run began with, found others \(choose another"
    with pytest.raises(RunError, match=expected):
        numbers()
    table.unlink()  # the copy is enough
    assert copied is not None
    assert copied.equals(numbers())


def test_a_split_that_was_changed_does_not_resume_a_run_and_one_that_is_gone_does(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    path, run = tmp_path / "split.csv", RunFolder(tmp_path / "run")
    whole = "patient,split\npatient001,train\npatient002,validation\npatient003,test\n"
    path.write_text(whole)
    experiment = load_experiment(experiment_file(), [f"data.split.file={path}"])
    begin = partial(start, run, experiment, find_cases(phantom), phantom, tmp_path)
    begin()
    path.write_text(whole.replace("3", "4"))
    with pytest.raises(RunError, match="patient003 in test, found patient003 in no split"):
        begin()
    path.unlink()
    begin()


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "epoch\nfirst\n"])
def test_a_broken_log_is_named_before_training(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(RunError, match=r"log\.csv"):
        read_log(tmp_path / "log.csv")


@pytest.mark.parametrize(
    "network",
    [
        {"name": "monai:DenseNet121"},
        {"name": "monai:UNet", "options": {"channels": [4, 8, 16], "strides": [2, 2]}},
    ],
)
def test_a_network_that_does_not_fit_is_found_before_training(
    network: dict[str, object], phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    path = experiment_file(network=network)
    experiment = load_experiment(path, ["data.preprocessing.size=[41, 41]"])
    with pytest.raises(ConfigError, match="network: expected a network from slices"):
        train(experiment, phantom, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["residual_unet", "monai:BasicUNet"])
def test_a_network_that_cannot_train_on_the_smallest_batch_is_found_before_training(
    name: str, phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    """Normalising needs more than the one pixel that its deepest level has of a slice."""
    options = {"levels": 4} if name == "residual_unet" else {"norm": "batch"}
    size = 8 if name == "residual_unet" else 16
    settings = [f"data.preprocessing.size=[{size}, {size}]", "training.batch_size=1"]
    experiment = load_experiment(experiment_file(network={"name": name, "options": options}), settings)
    with pytest.raises(
        ConfigError, match=r"^network: expected one that trains on a batch of 1, found .*channel"
    ):
        train(experiment, phantom, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_number_of_epochs_is_another_cosine(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    decay = "training.learning_rate_decay=cosine"
    path = experiment_file()
    train(load_experiment(path, [decay, "training.epochs=1"]), phantom, tmp_path / "run")
    with pytest.raises(RunError, match=r"training\.epochs"):
        train(load_experiment(path, [decay, "training.epochs=2"]), phantom, tmp_path / "run")


def test_fewer_epochs_than_a_run_has_are_refused_and_not_written_down(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    path, run = experiment_file(), RunFolder(tmp_path / "run")

    def begin(epochs: int) -> None:
        experiment = load_experiment(path, [f"training.epochs={epochs}"])
        start(run, experiment, build_study(experiment, phantom), phantom, tmp_path)

    begin(5)
    run.log_file.write_text("epoch,seconds\n0,1\n1,1\n2,1\n")  # and then it was killed
    with pytest.raises(RunError, match=r"at least the 3 epochs .* found training\.epochs=2"):
        begin(2)
    assert run.read_experiment().training.epochs == 5
    begin(3)


def test_data_whose_labels_have_changed_places_are_not_measured(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    run = RunFolder(tmp_path / "run")
    classes = ("LV", "Myo", "RV")
    run.start(load_experiment(experiment_file()), data_root=phantom, classes=classes)
    with pytest.raises(RunError, match="began with, LV, Myo, RV, found RV, Myo, LV"):
        evaluate(run.path)


def test_a_table_with_a_missing_row_stops_before_training(
    phantom: Path, table: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    frame = pd.read_csv(table)
    split = build_split(load_experiment(experiment_file()), find_cases(phantom))
    case = split["train"][0]
    gone = (frame["case"] == case.name) & (frame["descriptor"] == "spread") & (frame["component"] == 1)
    frame[~gone].to_csv(table, index=False)
    experiment = load_experiment(experiment_file(), [f"data.table={table}"])
    with pytest.raises(TableError, match=f"case {case.name}.*spread component 1"):
        train(experiment, phantom, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_measures_the_validation_split_is_built_before_slices_are_prepared(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    wrong = {"kind": "projection", "absolute_margins": {"length": 3}}
    with pytest.raises(ConfigError, match=r"supervision\.absolute_margins"):
        train(load_experiment(experiment_file(supervision=wrong)), phantom, tmp_path / "run")
    assert not list((tmp_path / ".shapewise-cache").glob("*"))


def test_shape_supervision_with_neither_table_nor_masks_is_refused(
    maskless: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    with pytest.raises(DataError, match="a descriptor table, or masks"):
        train(load_experiment(experiment_file()), maskless, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pixel_supervision_without_masks_is_refused(
    maskless: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    with pytest.raises(DataError, match="mask"):
        train(load_experiment(experiment_file(supervision="pixels")), maskless, tmp_path / "run")


def test_a_projection_takes_moments_only(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    supervision = {"kind": "projection", "descriptors": ["volume", "length"]}
    experiment = load_experiment(experiment_file(supervision=supervision))
    with pytest.raises(ConfigError, match="length"):
        train(experiment, phantom, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_selection_by_dice_needs_masks(
    maskless: Path, table: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    experiment = load_experiment(experiment_file(), [f"data.table={table}", "training.selection=dice"])
    with pytest.raises(ConfigError, match=r"training\.selection"):
        train(experiment, maskless, tmp_path / "run")
