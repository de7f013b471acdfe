from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest

from shapewise.config import SupervisionConfig, parse_experiment
from shapewise.plots.results import summarise
from shapewise.plots.runs import load_runs
from shapewise.plots.wording import (
    data_line,
    epochs,
    headline,
    learns_from,
    remake,
    slices,
    supervised_by,
    title,
    unmeasured_headline,
)


def overall(runs: list[Path]) -> dict[str, float]:
    dice = summarise(load_runs(runs))[0].summary
    return dice[dice["class"] == "Overall"].set_index("run")["mean"].to_dict()


def test_headline_says_how_much_of_the_reference_is_kept(finished_runs: list[Path]) -> None:
    runs = load_runs(finished_runs)
    means = overall(finished_runs)
    ratio = means["acdc barrier"] / means["acdc pixels"]
    assert headline(runs, summarise(runs)[0].summary) == (
        f"On 4 test cases, acdc barrier keeps <strong>{ratio:.3f}</strong> of the mean Dice of "
        f"acdc pixels ({means['acdc barrier']:.3f} against {means['acdc pixels']:.3f})."
    )


@pytest.mark.parametrize("chosen", [slice(0, 1), slice(1, 2)])
def test_headline_of_one_run(finished_runs: list[Path], chosen: slice) -> None:
    runs = load_runs(finished_runs[chosen])
    mean = overall(finished_runs[chosen])[runs[0].label]
    expected = f"On 4 test cases, {runs[0].label} reaches a mean Dice of <strong>{mean:.3f}</strong>."
    assert headline(runs, summarise(runs)[0].summary) == expected


def test_headline_without_a_reference_names_the_best(finished_runs: list[Path]) -> None:
    runs = load_runs([finished_runs[1]] * 2)
    text = headline(runs, summarise(runs)[0].summary)
    assert text.endswith("</strong>, the highest of 2 runs.")


def test_headline_of_many_runs_names_the_best_and_the_worst(finished_runs: list[Path]) -> None:
    pixels, barrier = load_runs(finished_runs)
    dice = {"a": 0.6, "b": 0.8, "c": 0.4, "d": 0.5}
    others = [
        replace(barrier, label=name, metrics=barrier.metrics.assign(dice=d)) for name, d in dice.items()
    ]
    runs = [replace(pixels, metrics=pixels.metrics.assign(dice=0.8)), *others]
    assert headline(runs, summarise(runs)[0].summary) == (
        "On 4 test cases, b keeps <strong>1.000</strong> of the mean Dice of acdc pixels "
        "(0.800 against 0.800), the most of 4; c keeps <strong>0.500</strong> of it (0.400), the least."
    )


def test_a_reference_that_scored_nothing_is_no_divisor(two_runs: list[Path]) -> None:
    runs = load_runs(two_runs)
    runs[0].metrics["dice"] = 0.0
    text = headline(runs, summarise(runs)[0].summary)
    assert "acdc barrier reaches a mean Dice of" in text
    assert "inf" not in text
    assert "nan" not in text


def test_what_was_run_in_words(finished_runs: list[Path]) -> None:
    pixels, barrier = load_runs(finished_runs)
    assert (supervised_by(pixels), supervised_by(barrier)) == ("cross-entropy on pixels", "log-barrier")
    assert learns_from(pixels) == "every pixel's label"
    told = learns_from(barrier).replace("\N{NO-BREAK SPACE}", " ")
    assert told == "volume, centroid, spread, length (± 10%)"
    assert epochs(pixels) == "12"
    assert slices(pixels).replace("\N{NO-BREAK SPACE}", "") == "128\N{MULTIPLICATION SIGN}128"
    assert title([pixels, barrier]) == "acdc pixels against acdc barrier"
    assert data_line([pixels]) == "4 test cases, 8 scans, RV, Myo, LV"


def test_every_deviation_from_the_defaults_is_told(finished_runs: list[Path]) -> None:
    run = load_runs(finished_runs)[1]
    supervision = {
        "kind": "barrier",
        "residuals": "raw",
        "descriptors": ["volume", "centroid"],
        "absolute_margins": {"centroid": 20},
        "relations": [
            {"kind": "ratio", "classes": ["Myo", "LV"], "lower": 2, "upper": 3},
            {"kind": "value", "classes": ["LV"], "descriptor": "convexity", "lower": 0.95},
        ],
    }
    preprocessing = {"size": [160, 160], "spacing": 1.5, "crop": [128, 96]}
    content = {
        "supervision": supervision,
        "data": {"preprocessing": preprocessing},
        "training": {"epochs": 50},
    }
    other = replace(run, experiment=parse_experiment(content, where="a test"))
    space = "\N{NO-BREAK SPACE}"
    numbers = f"volume, centroid (±{space}10%, centroid ±{space}20)"
    assert learns_from(other) == f"{numbers}, ratio Myo/LV, convexity LV"
    assert supervised_by(other) == "log-barrier, raw residuals"
    assert slices(other) == f"128{space}\N{MULTIPLICATION SIGN}{space}96, 1.5 mm"
    assert epochs(other) == "12 of 50"


def test_a_projection_has_no_margins(finished_runs: list[Path]) -> None:
    run = load_runs(finished_runs)[1]
    supervision = {"kind": "projection", "descriptors": ["volume", "centroid"]}
    exact = replace(run, experiment=parse_experiment({"supervision": supervision}, where="a test"))
    assert learns_from(exact) == "volume, centroid"


@pytest.mark.parametrize("kind", get_args(SupervisionConfig.model_fields["kind"].annotation))
def test_every_supervision_has_words(kind: str, finished_runs: list[Path]) -> None:
    run = load_runs(finished_runs)[1]
    supervision = {"kind": kind, "residuals": "logarithmic"}
    words = supervised_by(replace(run, experiment=parse_experiment({"supervision": supervision}, where="")))
    assert words.replace("_", " ") == words
    labelled = kind in ("pixels", "scribbles", "regions", "projection")
    assert words.endswith(", logarithmic residuals") != labelled


def test_what_is_told_beside_and_of_a_poorer_annotation(finished_runs: list[Path]) -> None:
    run = load_runs(finished_runs)[1]
    content = {
        "data": {"annotation": {"every": 2, "error": 0.1}},
        "supervision": {"kind": "projection", "beside": {"kind": "barrier"}},
    }
    told = replace(run, experiment=parse_experiment(content, where=""))
    assert supervised_by(told) == "moment projection, log-barrier beside"
    words = learns_from(told).replace("\N{NO-BREAK SPACE}", " ")
    assert words == "volume, centroid, covariance; beside length (± 10%); one slice in 2; off by 10%"


def test_a_run_tells_how_to_make_it_again(finished_runs: list[Path]) -> None:
    run = load_runs(finished_runs)[0]
    study, folder = run.record["data_root"], finished_runs[0]
    expected = f"shapewise train {folder}/experiment.yaml --data {study} --out NEW && shapewise evaluate NEW"
    assert remake(run) == expected
    content = {"data": {"split": {"file": "mine.csv"}}}
    chosen = replace(run, experiment=parse_experiment(content, where=""))
    assert f"experiment.yaml data.split.file={folder}/split.csv --data" in remake(chosen)
    elsewhere = replace(run, record=run.record | {"evaluated_root": "/new data"})
    assert remake(elsewhere) == f"{expected} --data '/new data'"


def test_what_else_pulls_and_when_targets_are_made_is_said(finished_runs: list[Path]) -> None:
    run = load_runs(finished_runs)[1]

    def words(supervision: dict[str, object], **training: object) -> tuple[str, str]:
        settings = {"supervision": {"kind": "projection"} | supervision, "training": training}
        told = replace(run, experiment=parse_experiment(settings, where=""))
        return learns_from(told), supervised_by(told)

    numbers = "volume, centroid, covariance"
    assert words({}) == (numbers, "moment projection")
    assert words({"extent": "volume"}) == (f"{numbers} of whole volumes", "moment projection, once an epoch")
    assert words({"edge_length": {}}) == (
        f"{numbers}; the image's edges",
        "moment projection, a price on boundaries off the image's edges",
    )
    assert words({"teacher": True})[1] == "moment projection, of the answer to the unchanged image"
    averaged = words({"teacher": True}, weight_average=0.99)
    assert averaged[1] == "moment projection, of a mean teacher's answer"


def test_without_masks_the_headline_says_what_can_be_said(bare_runs: list[Path]) -> None:
    run, other = load_runs(bare_runs)
    rows = {"class": ["LV"] * 99 + ["RV"], "descriptor": "volume", "satisfied": ["True"] * 99 + ["False"]}
    values = pd.DataFrame(rows)
    told = unmeasured_headline([replace(run, values=values), replace(other, values=values.tail(2))])
    assert told == (
        "None of 4 test cases has a mask, so no Dice can be told. "
        "acdc pixels keeps <strong>99</strong> of 100; acdc barrier keeps <strong>1</strong> of 2 "
        "numbers that are known of them, within its own margins."
    )
    for nothing in (None, values.head(0)):
        assert unmeasured_headline([replace(run, values=nothing)]).endswith("look at the predictions.")
