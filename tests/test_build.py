"""What stands between an experiment's words and the objects that they mean."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from shapewise.build.cases import (
    build_preprocessing,
    build_split,
    build_study,
    build_table,
    table_descriptors,
)
from shapewise.build.fit import build_fit, choose_monitor
from shapewise.build.network import build_experiment_network
from shapewise.build.supervision import build_supervision
from shapewise.config import Experiment, load_experiment, parse_experiment
from shapewise.data.cases import Case, Study
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.table import write_table
from shapewise.errors import ConfigError, DataError, TableError
from shapewise.training import CombinedSupervision

ExperimentFile = Callable[..., Path]
CLASSES = ("RV", "Myo", "LV")
CONTACT = {"kind": "contact", "classes": ["RV", "LV"], "upper": 0}


def supervised(**supervision: object) -> Experiment:
    return parse_experiment({"supervision": {"kind": "barrier"} | supervision}, where="here")


@pytest.mark.parametrize(
    ("supervision", "message"),
    [
        ({"descriptors": ["volum"]}, r"supervision\.descriptors: expected .*'volume'.*found volum"),
        (
            {"kind": "pixels", "beside": {"descriptors": ["foo"]}},
            r"supervision\.beside\.descriptors: expected .*found foo",
        ),
        ({"descriptors": ["volume", "volume"]}, r"supervision\.descriptors: .*found volume, volume"),
        ({"absolute_margins": {"length": -2}}, r"supervision\.absolute_margins\['length'\]: .*found -2"),
        ({"absolute_margins": {"mass": 2}}, r"supervision\.absolute_margins: .*found 'mass'"),
        (
            {"kind": "projection", "descriptors": ["volume", "length"]},
            r"supervision\.descriptors: expected moments.*found length",
        ),
        (
            {"kind": "projection", "descriptors": ["volume", "volume"]},
            r"supervision\.descriptors: expected moments, each once.*found volume twice",
        ),
        (
            {"relations": [{"kind": "ratio", "classes": ["Myo", "LV"], "lower": 3, "upper": 2}]},
            r"supervision\.relations\.0\.lower \(ratio of the volume of Myo, LV\): .*3\.0 > 2\.0",
        ),
        (
            {"relations": [{"kind": "ratio", "classes": ["Myo", "LV"], "descriptor": "volum", "lower": 1}]},
            r"supervision\.relations\.0\.descriptor \(ratio of the volum of Myo, LV\): .*found volum",
        ),
        (
            {"relations": [{"kind": "ratio", "classes": ["Myo"], "lower": 1}]},
            r"supervision\.relations\.0\.classes \(.*of Myo\): expected two different classes .*found Myo$",
        ),
        (
            {"relations": [{"kind": "value", "classes": ["Myo", "LV"], "lower": 1}]},
            r"supervision\.relations\.0\.classes \(.*\): expected one class for .*found Myo, LV$",
        ),
        (
            {"relations": [CONTACT, {"kind": "ratio", "classes": ["Myo", "XX"], "lower": 1}]},
            r"relations\.1\.classes \(ratio of the volume of Myo, XX\): .*RV, Myo, LV, found XX",
        ),
        (
            {"relations": [{"kind": "contact", "classes": ["RV", "LV"]}]},
            r"relations\.0\.lower \(contact of RV, LV\): expected a number where `upper` is None",
        ),
        ({"t": {"start": 50}}, r"supervision\.t\.cap: expected .*50.*found 30"),
        (
            {"kind": "pixels", "beside": {"kind": "barrier", "t": {"start": 50}}},
            r"supervision\.beside\.t\.cap: ",
        ),
        (
            {"kind": "pixels", "beside": {"relations": [CONTACT, CONTACT | {"upper": 2}]}},
            r"beside\.relations\.1 \(contact of RV, LV\): expected another .*beside\.relations\.0, found",
        ),
    ],
)
def test_the_key_that_is_wrong_is_the_one_that_is_named(supervision: dict[str, object], message: str) -> None:
    settings = supervised(**supervision).supervision
    with pytest.raises(ConfigError, match=message):
        build_supervision(settings, CLASSES)


def test_what_pulls_beside_is_built_in_turn() -> None:
    prior = {"kind": "value", "classes": ["LV"], "descriptor": "convexity", "lower": 0.95}
    settings = supervised(
        beside={"descriptors": [], "relations": [prior], "weight": 0.2}, edge_length={"weight": 0.3}
    ).supervision
    edges = build_supervision(settings, CLASSES)
    assert isinstance(edges, CombinedSupervision)
    constraints = edges.main
    assert isinstance(constraints, CombinedSupervision)
    assert (edges.name, edges.weight) == ("train_edge_length", 0.3)
    assert (constraints.name, constraints.weight) == ("train_beside", 0.2)


def test_a_crop_larger_than_the_image() -> None:
    experiment = parse_experiment(
        {"data": {"preprocessing": {"size": [9, 9], "crop": [10, 9]}}}, where="here"
    )
    with pytest.raises(ConfigError, match=r"data\.preprocessing\.crop: .*found \(10, 9\)"):
        build_preprocessing(experiment)


def test_a_table_of_clicks_needs_what_is_constrained_and_what_scales_it() -> None:
    names = table_descriptors(supervised(descriptors=["length"]).supervision)
    assert names == ("volume", "spread", "length")


def test_the_split_of_a_file_is_taken(phantom: Path, tmp_path: Path, experiment_file: ExperimentFile) -> None:
    chosen = {"patient002": "train", "patient001": "validation", "patient006": "test"}
    path = tmp_path / "split.csv"
    path.write_text("patient,split\n" + "".join(f"{name},{split}\n" for name, split in chosen.items()))
    experiment = load_experiment(experiment_file(), [f"data.split.file={path}"])
    split = build_split(experiment, build_study(experiment, phantom))
    assert {case.patient: name for name, cases in split.items() for case in cases} == chosen
    assert [len(cases) for cases in split.values()] == [2, 2, 2]


@pytest.fixture
def half_annotated(phantom: Path, tmp_path: Path, experiment_file: ExperimentFile) -> tuple[Path, list[Case]]:
    """A phantom with one case of each split that learning sees left without a mask."""
    root = tmp_path / "half"
    shutil.copytree(phantom, root)
    experiment = load_experiment(experiment_file())
    split = build_split(experiment, build_study(experiment, root))
    bare = [split["train"][0], split["validation"][0]]
    for case in bare:
        assert case.mask is not None
        case.mask.unlink()
    return root, bare


@pytest.mark.parametrize("kind", ["pixels", "barrier"])
def test_cases_without_a_mask_are_left_out_and_named(
    kind: str,
    half_annotated: tuple[Path, list[Case]],
    tmp_path: Path,
    experiment_file: ExperimentFile,
    caplog: pytest.LogCaptureFixture,
) -> None:
    root, bare = half_annotated
    experiment = load_experiment(experiment_file(supervision=kind))
    study = build_study(experiment, root)
    split = build_split(experiment, study)
    table = build_table(experiment, study, split, tmp_path / "descriptors.csv")
    with caplog.at_level(logging.WARNING):
        fit = build_fit(experiment, study, split, table, tmp_path / "cache")
    assert [case.name in caplog.text for case in bare] == [True, True]
    assert fit.monitor == "val_dice"
    slices = {name: sum(case.read_image().image.shape[0] for case in cases) for name, cases in split.items()}
    assert 0 < len(fit.train.dataset) < slices["train"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("selection", "masks", "monitor"),
    [
        ("auto", True, ("val_dice", "max")),
        ("auto", False, ("val_satisfied", "max")),
        ("dice", True, ("val_dice", "max")),
        ("satisfied", True, ("val_satisfied", "max")),
        ("violation", True, ("val_violation", "min")),
    ],
)
def test_what_names_the_best_epoch(selection: str, masks: bool, monitor: tuple[str, str]) -> None:
    experiment = parse_experiment({"training": {"selection": selection}}, where="a test")
    assert choose_monitor(experiment, masks=masks, table=True) == monitor


def test_a_split_without_any_mask_or_table_is_refused(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    experiment = load_experiment(experiment_file())
    study = build_study(experiment, phantom)
    split = build_split(experiment, study)
    table = build_table(experiment, study, split, tmp_path / "descriptors.csv")
    bare = [
        Case(case.name, case.patient, case.frame, case.image, None, case.phase) for case in split["train"]
    ]
    with pytest.raises(DataError, match=r"the train split, or a table \(data\.table\), found neither"):
        build_fit(experiment, study, {**split, "train": bare}, table, tmp_path / "cache")


def own_table(
    phantom: Path,
    tmp_path: Path,
    experiment_file: ExperimentFile,
    change: Callable[[pd.DataFrame, str], None],
) -> tuple[Experiment, Study, dict[str, list[Case]], Path]:
    """An experiment with a table of its own, changed for the first training case."""
    plain = load_experiment(experiment_file())
    study = build_study(plain, phantom)
    split = build_split(plain, study)
    path = tmp_path / "mine.csv"
    build_table(plain, study, split, path)
    frame = pd.read_csv(path)
    change(frame, split["train"][0].name)
    frame.to_csv(path, index=False)
    return load_experiment(experiment_file(), [f"data.table={path}"]), study, split, path


def test_a_missing_row_is_missed_in_the_table_that_was_given(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    def remove(frame: pd.DataFrame, case: str) -> None:
        frame.drop(frame[(frame["case"] == case) & (frame["descriptor"] == "spread")].index, inplace=True)

    experiment, study, split, path = own_table(phantom, tmp_path, experiment_file, remove)
    table = build_table(experiment, study, split, tmp_path / "copy.csv")
    with pytest.raises(TableError, match=f"^{path}, case"):
        build_fit(experiment, study, split, table, tmp_path / "cache")


def test_a_table_without_a_number_about_training_cases_is_refused(
    phantom: Path, tmp_path: Path, experiment_file: ExperimentFile
) -> None:
    def empty(frame: pd.DataFrame, case: str) -> None:
        experiment = load_experiment(experiment_file())
        split = build_split(experiment, build_study(experiment, phantom))
        trained = frame["case"].isin([each.name for each in split["train"]])
        frame.loc[trained, "value"] = float("nan")

    experiment, study, split, path = own_table(phantom, tmp_path, experiment_file, empty)
    table = build_table(experiment, study, split, tmp_path / "copy.csv")
    with pytest.raises(TableError, match=f"^{path}: expected a number about a training case"):
        build_fit(experiment, study, split, table, tmp_path / "cache")


@pytest.mark.parametrize(
    ("kind", "extent", "about", "message"),
    [
        (
            "scribbles",
            "slice",
            "volumes",
            r"^data\.table: .*slices where supervision\.kind is scrib",
        ),
        (
            "regions",
            "slice",
            "volumes",
            r"^data\.table: .* whole volumes only in .*mine\.csv$",
        ),
        (
            "barrier",
            "slice",
            "volumes",
            r"^supervision\.extent: expected volume, as .*mine\.csv.* slice$",
        ),
        (
            "barrier",
            "volume",
            "slices",
            r"^supervision\.extent: expected slice, as .*mine\.csv.* volume$",
        ),
    ],
)
def test_a_table_of_another_extent_is_refused_before_an_image_is_opened(
    kind: str,
    extent: str,
    about: str,
    message: str,
    phantom: Path,
    tmp_path: Path,
    experiment_file: ExperimentFile,
) -> None:
    path = tmp_path / "mine.csv"
    study = find_cases(phantom)
    write_table(describe(study, descriptors=("volume",), whole=about == "volumes"), path)
    supervision = {"kind": kind, "extent": extent}
    experiment = load_experiment(experiment_file(supervision=supervision), [f"data.table={path}"])
    with pytest.raises(ConfigError, match=message):
        build_table(experiment, study, build_split(experiment, study), tmp_path / "descriptors.csv")
    assert not (tmp_path / "descriptors.csv").exists()


@pytest.mark.skipif(find_spec("einops") is not None, reason="what is missing is there")
def test_a_network_whose_package_is_missing_names_it() -> None:
    network = {"name": "monai:UNETR", "options": {"img_size": [32, 32]}}
    experiment = parse_experiment({"network": network}, where="here")
    expected = r"^network\.name: expected .*`pip install einops`\), found UNETR without einops$"
    with pytest.raises(ConfigError, match=expected):
        build_experiment_network(experiment, CLASSES)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"name": "enett"}, r"^network\.name: expected .*did you mean enet\?"),
        ({"options": {"droput": 0.1}}, r"^network\.options: .*did you mean dropout\?"),
        ({"name": "residual_unet", "options": {"levels": 0}}, r"^network\.options\.levels: .*at least 1"),
    ],
)
def test_a_network_that_cannot_be_built_names_its_key(network: dict[str, object], message: str) -> None:
    experiment = parse_experiment({"network": network}, where="here")
    with pytest.raises(ConfigError, match=message):
        build_experiment_network(experiment, CLASSES)
