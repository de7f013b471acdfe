"""Runs as a whole: what they read, what they repeat, and what survives a kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from shapewise.build import build_fit, build_split, build_study, build_table
from shapewise.config import load_experiment
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.table import read_table, write_table
from shapewise.errors import ConfigError, DataError, DivergedError, RunError, TableError
from shapewise.run_folder import RunFolder, taken
from shapewise.runs import evaluate, train
from shapewise.training.log import read_log

ExperimentFile = Callable[..., Path]


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    state = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
    return {key: value for key, value in state.items() if key.startswith("network.")}


def assert_same_weights(first: Path, second: Path) -> None:
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key


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
    phantom: Path, maskless: Path, table: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    experiment = load_experiment(
        experiment_file(), [f"data.table={table}", "training.selection=violation", "training.epochs=1"]
    )
    train(experiment, phantom, tmp_path / "with")
    train(experiment, maskless, tmp_path / "without")
    assert_same_weights(tmp_path / "with", tmp_path / "without")
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
    phantom: Path, maskless: Path, table: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    experiment = load_experiment(
        experiment_file(supervision={"kind": "regions"}),
        [f"data.table={table}", "training.selection=violation", "training.epochs=1"],
    )
    train(experiment, phantom, tmp_path / "with")
    train(experiment, maskless, tmp_path / "without")
    assert_same_weights(tmp_path / "with", tmp_path / "without")


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


@pytest.mark.parametrize(
    ("supervision", "weight_average"),
    [
        ("augmented_lagrangian", 0.0),
        ({"kind": "projection", "teacher": True}, 0.9),
        ({"kind": "projection", "renew": "epoch", "extent": "volume"}, 0.0),
    ],
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    supervision: object,
    weight_average: float,
    phantom: Path,
    tmp_path: Path,
    experiment_file: ExperimentFile,
) -> None:
    path = experiment_file(supervision=supervision, network={"name": "enet"})
    shapewise = str(Path(sys.executable).with_name("shapewise"))

    def command(out: str, epochs: int) -> list[str]:
        run = str(tmp_path / out)
        return [
            shapewise,
            "train",
            str(path),
            f"training.epochs={epochs}",
            f"training.weight_average={weight_average}",
            "--data",
            str(phantom),
            "--out",
            run,
        ]

    log = tmp_path / "killed" / "log.csv"
    last = tmp_path / "killed" / "checkpoints" / "last.ckpt"
    process = subprocess.Popen(command("killed", 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (log.exists() and last.exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(pd.read_csv(log)) < 4, "killed too late to show anything"
    for out in ("killed", "whole"):
        subprocess.run(command(out, 4), check=True, capture_output=True, timeout=300)
    assert_same_weights(tmp_path / "killed", tmp_path / "whole")
    logs = [pd.read_csv(tmp_path / out / "log.csv").drop(columns="seconds") for out in ("killed", "whole")]
    pd.testing.assert_frame_equal(*logs)


@pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:.*does not have many workers")
def test_processes_that_read_slices_begin_where_a_resumed_run_is(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    """They read ahead: the first batches of a resumed run were those of its first epoch."""

    def some(run: str, epochs: int) -> None:
        settings = ["training.workers=1", f"training.epochs={epochs}", "training.batch_size=4"]
        train(load_experiment(experiment_file(), settings), phantom, tmp_path / run)

    some("resumed", 1)
    for run in ("resumed", "whole"):
        some(run, 2)
    assert_same_weights(tmp_path / "resumed", tmp_path / "whole")


@pytest.fixture
def start(phantom: Path, experiment_file: ExperimentFile) -> Callable[..., subprocess.Popen[str]]:
    """Starts a long `shapewise train` in the background."""

    def train_in_background(run: Path) -> subprocess.Popen[str]:
        command = [Path(sys.executable).with_name("shapewise"), "train", experiment_file()]
        return subprocess.Popen(
            [*command, "training.epochs=500", "--data", phantom, "--out", run],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            # A shell lets its background jobs ignore Ctrl-C, and their children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    return train_in_background


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on(
    number: int, status: int, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = tmp_path / "run"
    process = start(run)
    wait_for(run / "checkpoints" / "last.ckpt")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert errors == f"interrupted; the same command resumes {run}\n"
    assert RunFolder(run).read_record().train_seconds > 0


def test_a_run_folder_that_is_moved_ends_the_training_with_one_line(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = tmp_path / "run"
    process = start(run)
    wait_for(run / "checkpoints" / "last.ckpt")
    run.rename(tmp_path / "moved")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert len(errors.splitlines()) == 1
    assert errors.startswith(f"error: {run}: expected the run folder of this training, found none")
    assert not run.exists()


def test_a_run_interrupted_before_it_trains_leaves_nothing(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = tmp_path / "run"
    process = start(run)
    wait_for(run / "run.json")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert errors == f"interrupted; the same command starts {run}\n"
    assert not run.exists()
    assert not list((tmp_path / ".shapewise-cache").glob("*.part"))


def test_two_trainings_never_share_a_folder(
    tmp_path: Path, phantom: Path, shell: Callable[..., Any], start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = tmp_path / "run"
    first = start(run)
    wait_for(run / "run.json")
    second = shell("train", tmp_path / "tiny.yaml", "training.epochs=500", "--data", phantom, "--out", run)
    assert second.returncode == 2
    assert second.stderr.startswith(f"error: {run}: expected a run folder with no other training")
    assert len(second.stderr.splitlines()) == 1
    assert first.poll() is None, "the first one trains on"
    first.kill()
    first.communicate()
    with taken(run):
        assert (run / "run.json").exists()


def test_a_training_outlives_whoever_reads_its_screen(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    shapewise, run = Path(sys.executable).with_name("shapewise"), tmp_path / "run"
    script = f"'{shapewise}' train '{experiment_file()}' training.epochs=4 --data '{phantom}' --out '{run}'"
    command = ["bash", "-c", f"{script} | head -1; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("epoch 1/4")
    assert len(pd.read_csv(run / "log.csv")) == 4


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_broken_checkpoint_is_named_before_training(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    experiment = load_experiment(experiment_file(), ["training.epochs=1"])
    train(experiment, phantom, tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    for content in (last.read_bytes()[:1000], b"", b"not a checkpoint"):
        last.write_bytes(content)
        expected = (
            rf"last\.ckpt: expected a whole checkpoint, found a damaged file of {len(content)} bytes; copy"
        )
        with pytest.raises(RunError, match=expected):
            train(experiment, phantom, tmp_path / "run")
    # What the message says helps.
    shutil.copyfile(last.with_name("best.ckpt"), last)
    train(load_experiment(experiment_file(), ["training.epochs=2"]), phantom, tmp_path / "run")
    assert list(pd.read_csv(tmp_path / "run" / "log.csv")["epoch"]) == [0, 1]


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


def test_another_number_of_epochs_is_another_cosine(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    decay = "training.learning_rate_decay=cosine"
    path = experiment_file()
    train(load_experiment(path, [decay, "training.epochs=1"]), phantom, tmp_path / "run")
    with pytest.raises(RunError, match=r"training\.epochs"):
        train(load_experiment(path, [decay, "training.epochs=2"]), phantom, tmp_path / "run")


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


def test_a_missing_plugin_is_named(phantom: Path, tmp_path: Path, experiment_file: ExperimentFile) -> None:
    experiment = load_experiment(experiment_file(plugins=["nowhere.py"]))
    with pytest.raises(ConfigError, match=r"nowhere\.py"):
        train(experiment, phantom, tmp_path / "run", folder=tmp_path)
