"""Runs as a whole: what they read, and what they repeat."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from shapewise.build.cases import build_split, build_study, build_table
from shapewise.build.fit import build_fit
from shapewise.config import load_experiment
from shapewise.data.layouts import find_cases
from shapewise.data.table import read_table
from shapewise.errors import DivergedError
from shapewise.run_folder import RunFolder
from shapewise.run_training import start
from shapewise.runs import evaluate, read_annotations, train

ExperimentFile = Callable[..., Path]


SameWeights = Callable[[Path, Path], None]


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
    assert not evaluate(tmp_path / "without", phantom).empty
    record = RunFolder(tmp_path / "without").read_record()
    assert (record.data_root, record.evaluated_root) == (str(maskless), str(phantom))
    assert len(list((tmp_path / "without" / "predictions").iterdir())) == 4


def test_a_table_says_nothing_of_another_folders_namesakes(
    phantom: Path, table: Path, tmp_path: Path
) -> None:
    run, study = RunFolder(tmp_path), find_cases(phantom)
    run.split_file.write_text("patient,split\npatient001,train\npatient002,validation\npatient003,test\n")
    assert read_annotations(run, study, elsewhere=True) is None
    table.rename(run.table_file)
    for elsewhere, patients in ((False, "123456"), (True, "123")):
        said = read_annotations(run, study, elsewhere=elsewhere)
        assert said is not None
        assert set(said["case"]) == {f"patient00{number}" for number in patients}


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
        "metrics_new.csv",
    ]
    for split in ("test", "validation"):
        evaluate(run, split=split)
    (run / "metrics_new.csv").touch()
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
