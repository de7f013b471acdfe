"""Runs as a whole: what they read, what they repeat, and what they refuse."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from shapewise.build import build_fit, build_split, build_study, build_table
from shapewise.config import load_experiment
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.table import read_table, write_table
from shapewise.errors import ConfigError, DataError, DivergedError, RunError, TableError
from shapewise.run_folder import RunFolder
from shapewise.runs import evaluate, start, train
from shapewise.training.log import read_log

ExperimentFile = Callable[..., Path]
SameWeights = Callable[[Path, Path], None]


@pytest.fixture
def table(phantom: Path, tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    write_table(describe(find_cases(phantom)), path)
    return path


@pytest.fixture
def maskless(phantom: Path, tmp_path: Path) -> Path:
    """The phantom with every mask deleted."""
    copy = tmp_path / "maskless"
    shutil.copytree(phantom, copy)
    for mask in copy.rglob("*_gt.nii.gz"):
        mask.unlink()
    return copy


def test_training_from_a_table_never_needs_a_mask(
    phantom: Path,
    maskless: Path,
    table: Path,
    tmp_path: Path,
    experiment_file: ExperimentFile,
    same_weights: SameWeights,
) -> None:
    experiment = load_experiment(
        experiment_file(), [f"data.table={table}", "training.selection=violation", "training.epochs=1"]
    )
    train(experiment, phantom, tmp_path / "with")
    train(experiment, maskless, tmp_path / "without")
    same_weights(tmp_path / "with", tmp_path / "without")
    losses = [pd.read_csv(tmp_path / run / "log.csv")["train_loss"] for run in ("with", "without")]
    assert losses[0].equals(losses[1])
    # Nothing to measure against, but everything is predicted.
    assert evaluate(tmp_path / "without").empty
    assert len(list((tmp_path / "without" / "predictions").iterdir())) == 4


def test_training_opens_no_training_mask(
    phantom: Path, table: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(phantom, broken)
    experiment = load_experiment(experiment_file(), [f"data.table={table}", "training.epochs=1"])
    split = build_split(experiment, build_study(experiment, broken))
    for case in split["train"]:
        assert case.mask is not None
        case.mask.write_bytes(b"no mask at all")
    train(experiment, broken, tmp_path / "run")
    assert "val_dice" in pd.read_csv(tmp_path / "run" / "log.csv")


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


def test_the_same_seed_gives_the_same_initial_weights_whatever_the_supervision(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    states = []
    for kind in ("pixels", "barrier", "quadratic", "augmented_lagrangian", "projection"):
        supervision = {"kind": kind, "descriptors": ["volume", "centroid", "spread"]}
        experiment = load_experiment(experiment_file(supervision=supervision))
        study = build_study(experiment, phantom)
        split = build_split(experiment, study)
        table = build_table(experiment, study, split, tmp_path / "descriptors.csv")
        states.append(
            build_fit(experiment, study, split, table, tmp_path / "cache").module.network.state_dict()
        )
    for state in states[1:]:
        assert all(torch.equal(state[key], states[0][key]) for key in states[0])


MOMENTS = {"descriptors": ["volume", "centroid", "spread"]}
PRIORS = [
    {"kind": "value", "classes": ["LV"], "descriptor": "convexity", "lower": 0.95, "scale": 0.1},
    {"kind": "contact", "classes": ["LV", "RV"], "upper": 0, "scale": 10},
]
SUPERVISIONS: dict[str, dict[str, object]] = {
    "pixels": {"kind": "pixels"},
    "quadratic": {"kind": "quadratic", **MOMENTS},
    "augmented Lagrangian": {"kind": "augmented_lagrangian", **MOMENTS},
    "projection": {"kind": "projection", **MOMENTS},
    "projection of volumes": {"kind": "projection", "extent": "volume"},
    "projection renewed each epoch": {"kind": "projection", "renew": "epoch", "beside": {"start_epoch": 1}},
    "volumes renewed each step": {"kind": "projection", "extent": "volume", "renew": "step"},
    "barrier on volumes, with edges": {"kind": "barrier", "extent": "volume", "edge_length": {}},
    "projection, length beside": {"kind": "projection", "beside": {"kind": "barrier", "start_epoch": 1}},
    "projection, priors beside": {
        "kind": "projection",
        "teacher": True,
        "beside": {"descriptors": [], "relations": PRIORS, "start_epoch": 1},
        "edge_length": {},
    },
    "scribbles": {"kind": "scribbles"},
    "regions": {"kind": "regions"},
}


@pytest.mark.parametrize("supervision", SUPERVISIONS.values(), ids=SUPERVISIONS)
def test_every_supervision_trains(
    supervision: dict[str, object], phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    experiment = load_experiment(experiment_file(supervision=supervision))
    train(experiment, phantom, tmp_path / "run")
    log = pd.read_csv(tmp_path / "run" / "log.csv")
    assert log["train_loss"].notna().all()
    assert log["val_violation"].notna().all()
    assert list(log["epoch"]) == [0, 1]
    assert ("train_converged" in log) == (supervision["kind"] == "projection")
    if "beside" in supervision:
        assert list(log["train_beside"].notna()) == [False, True]
    assert ("train_edge_length" in log) == ("edge_length" in supervision)


def test_labels_drawn_from_numbers_need_no_mask(
    phantom: Path,
    maskless: Path,
    table: Path,
    tmp_path: Path,
    experiment_file: ExperimentFile,
    same_weights: SameWeights,
) -> None:
    experiment = load_experiment(
        experiment_file(supervision={"kind": "regions"}),
        [f"data.table={table}", "training.selection=satisfied", "training.epochs=1"],
    )
    train(experiment, phantom, tmp_path / "with")
    train(experiment, maskless, tmp_path / "without")
    same_weights(tmp_path / "with", tmp_path / "without")


def test_a_poorer_annotation_is_what_the_run_is_told(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    annotation = ["data.annotation.error=0.1", "data.annotation.every=2"]
    experiment = load_experiment(experiment_file(supervision={"kind": "projection"}), annotation)
    train(experiment, phantom, tmp_path / "run")
    exact = build_study(experiment, phantom)
    split = build_split(experiment, exact)
    told = read_table(tmp_path / "run" / "descriptors.csv", exact.classes)
    whole = build_table(
        load_experiment(experiment_file(supervision={"kind": "projection"})), exact, split, tmp_path / "t.csv"
    )
    assert whole is not None
    both = told.merge(
        whole, on=["case", "frame", "slice", "class", "descriptor", "component"], suffixes=("", "_exact")
    )
    assert len(both) == len(told)
    held_out = both["case"].isin([case.name for case in split["validation"]])
    assert both.loc[held_out, "value"].equals(both.loc[held_out, "value_exact"])
    objects = both[~held_out & (both["value_exact"] > 0)]
    assert (objects["value"] != objects["value_exact"]).all()
    described = [len(set(zip(t["case"], t["frame"], t["slice"], strict=True))) for t in (told, whole)]
    assert described[0] < described[1]


def test_a_diverged_training_stops(phantom: Path, tmp_path: Path, experiment_file: ExperimentFile) -> None:
    experiment = load_experiment(
        experiment_file(), ["training.learning_rate=1e30", "training.gradient_clip=0"]
    )
    with pytest.raises(DivergedError, match="lower the learning rate"):
        train(experiment, phantom, tmp_path / "run")


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "epoch\nfirst\n"])
def test_a_broken_log_is_named_before_training(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(RunError, match=r"log\.csv"):
        read_log(tmp_path / "log.csv")


@pytest.mark.parametrize("code", ["def broken(:", "raise KeyError('mine')"])
def test_a_plugin_that_fails_is_named(
    code: str, phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises(ConfigError, match=r"bad\.py: expected a Python file that runs"):
        train(
            load_experiment(experiment_file(plugins=["bad.py"])), phantom, tmp_path / "run", folder=tmp_path
        )


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


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_training_further_removes_the_results_of_fewer_epochs(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    path, run = experiment_file(), tmp_path / "run"
    train(load_experiment(path, ["training.epochs=1"]), phantom, run)
    results = [
        "metrics.csv",
        "values.csv",
        "volumes.csv",
        "biomarkers.csv",
        "predictions",
        "metrics_validation.csv",
    ]
    for split in ("test", "validation"):
        evaluate(run, split=split)
    train(load_experiment(path, ["training.epochs=1"]), phantom, run)  # there is nothing left to train
    assert all((run / name).exists() for name in results)
    train(load_experiment(path, ["training.epochs=2"]), phantom, run)
    assert not any((run / name).exists() for name in results)


def test_patients_that_the_split_leaves_out_are_counted(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile, caplog: pytest.LogCaptureFixture
) -> None:
    said = [f"data.split={{train: 2, validation: 1, test: {test}}}" for test in (3, 2)]
    for overrides in said:
        experiment = load_experiment(experiment_file(), [overrides])
        study = find_cases(phantom)
        with caplog.at_level(logging.WARNING, "shapewise"):
            start(RunFolder(tmp_path / overrides[-2]), experiment, study, phantom, tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        "data.split leaves 1 of 6 patients in no split"
    ]


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


def test_without_masks_the_epoch_is_kept_in_which_most_numbers_hold(
    maskless: Path, table: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    experiment = load_experiment(experiment_file(), [f"data.table={table}", "training.epochs=6"])
    train(experiment, maskless, tmp_path / "run")
    log = pd.read_csv(tmp_path / "run" / "log.csv")
    shares = log.filter(like="val_satisfied_")
    assert list(shares) == [f"val_satisfied_{name}" for name in experiment.supervision.descriptors]
    np.testing.assert_allclose(log["val_satisfied"], shares.mean(axis=1), atol=1e-6)
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == log["val_satisfied"].idxmax()


def test_selection_by_dice_needs_masks(
    maskless: Path, table: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    experiment = load_experiment(experiment_file(), [f"data.table={table}", "training.selection=dice"])
    with pytest.raises(ConfigError, match=r"training\.selection"):
        train(experiment, maskless, tmp_path / "run")


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
