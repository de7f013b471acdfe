"""The table: means over seeds, fractions of the plan's first arm, and what is missing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from shapewise.config import load_experiment

FOLDER = Path(__file__).parents[2] / "campaigns"


def rows(text: str) -> dict[str, dict[str, str]]:
    """The cells of all Markdown tables, by arm and column."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    header, *cells = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    return {line[0]: dict(zip(header, line, strict=True)) for line in cells if line[0] not in ("arm", "---")}


def test_arms_with_fewer_seeds_than_planned_stand_apart(script, plan, finish, tmp_path: Path) -> None:
    for name in ("pixels_s0", "pixels_s1", "half_s0", "third_s0", "third_s1"):
        finish(name, 0.8, 1.0)
    command = ["run", plan, "--out", tmp_path / "runs", "--table", "--markdown"]
    whole, trials = script(*command)[1].split("\n\nWith fewer than 2 seeds:\n\n")
    assert (list(rows(whole)), list(rows(trials))) == (["`pixels`", "`third`"], ["`half`"])
    assert "With" not in script(*command, "--arms", "pixels,third")[1]
    assert script(*command, "--arms", "half")[1] == f"With fewer than 2 seeds:\n\n{trials}"


def test_a_row_has_the_mean_and_deviation_over_seeds(script, plan, finish, tmp_path: Path) -> None:
    finish("pixels_s0", 0.7, 0.9, commits=["aaaa111"], validation=(0.5, 0.8, 0.7))
    finish("pixels_s1", 0.8, 1.0, commits=["aaaa111", "bbbb222-dirty"], hd95=6.0, validation=(0.9,))
    finish("half_s0", 0.4, 0.45, hd95=None)
    status, out, error = script("run", plan, "--out", tmp_path / "runs", "--table", "--markdown")
    assert status == 0
    assert error == "not finished: half (seed 1), third (seed 0, 1)\n"
    assert rows(out) == {
        "`pixels`": {
            "arm": "`pixels`",
            "values a patient": "masks",
            "seeds": "2",
            "RV": "0.750",
            "LV": "0.950",
            "mean ± sd": "0.850 ± 0.071",
            "HD95, mm": "5.0",
            "of pixels": "1.000",
            "validation": "0.850",
            "commit": "`aaaa111`, `bbbb222-dirty`",
        },
        "`half`": {
            "arm": "`half`",
            "values a patient": "masks",
            "seeds": "1",
            "RV": "0.400",
            "LV": "0.450",
            "mean ± sd": "0.425",
            "HD95, mm": "-",
            "of pixels": "0.500",
            "validation": "-",
            "commit": "-",
        },
    }
    plain = script("run", plan, "--out", tmp_path / "runs", "--table")[1]
    assert "|" not in plain
    assert "0.850 ± 0.071" in plain


def test_an_evaluation_without_masks_is_no_seed(script, plan, finish, tmp_path: Path) -> None:
    finish("pixels_s0", 0.7, 0.9)
    for name in ("pixels_s1", "half_s0"):
        (finish(name, 0.8, 1.0) / "metrics.csv").write_text("class,dice,hd95_mm\n")
    out = rows(script("run", plan, "--out", tmp_path / "runs", "--table", "--markdown")[1])
    assert (out["`pixels`"]["seeds"], out["`pixels`"]["mean ± sd"]) == ("1", "0.800")
    assert (out["`half`"]["seeds"], out["`half`"]["mean ± sd"]) == ("0", "-")


def test_a_run_that_was_evaluated_on_other_images_is_not_finished(
    script, plan, finish, tmp_path: Path
) -> None:
    finish("half_s0", 0.4, 0.45)
    folder = finish("pixels_s0", 0.7, 0.9)
    (folder / "cases.csv").write_text("case,frame,bytes,split\na,1,10,train\nNA,1,20,test\n")
    (folder / "scans.csv").write_text("case,frame,bytes\nNA,1,20\n")
    command = ["run", plan, "--out", tmp_path / "runs", "--table", "--markdown"]
    assert set(rows(script(*command)[1])) == {"`pixels`", "`half`"}
    for others in ("c,1,30", "a,1,10", "NA,1,21", "NA,2,20"):  # new, of another split, or a namesake
        (folder / "scans.csv").write_text(f"case,frame,bytes\n{others}\n")
        status, out, error = script(*command)
        assert (status, set(rows(out))) == (0, {"`half`"})
        assert error.startswith("not finished: pixels (seed 0, 1), half (seed 1)")
    (folder / "scans.csv").write_text("case\nNA\n")
    status, _, error = script(*command)
    assert status == 2
    assert "pixels_s0: expected tables of its cases, found" in error


TOLD = """
case,frame,slice,class,descriptor,component,value,lower,upper,unit,source
a,0,0,LV,volume,0,12,,,px,mask
a,0,0,LV,centroid,0,3,2,4,px,click
a,0,1,LV,volume,0,0,,,px,mask
a,0,1,LV,centroid,0,,,,px,mask
a,0,2,LV,volume,0,,1,,px,report
a,0,2,LV,centroid,0,,-inf,inf,px,report
a,0,2,LV,centroid,1,,,9,px,report
a,0,3,LV,volume,0,,5,50,px,prior
a,0,3,LV,centroid,0,7,,,px,prior
a,0,0,LV,length,0,20,,,px,mask
b,0,0,LV,volume,0,12,,,px,mask
c,0,0,LV,volume,0,12,,,px,mask
""".lstrip()


@pytest.mark.parametrize(("told", "values"), [(TOLD, "3"), (TOLD.replace(",mask", ",prior"), "2")])
def test_values_are_what_somebody_says_of_a_training_patient(
    script, plan, finish, tmp_path: Path, told: str, values: str
) -> None:
    """Each row once, be it a value or bounds; ranges that all patients share are nothing said of one."""
    (tmp_path / "half.yaml").write_text("supervision: {kind: projection, descriptors: [volume, centroid]}")
    folder = finish("half_s0", 0.8, 0.8)
    (folder / "descriptors.csv").write_text(told)
    (folder / "cases.csv").write_text("case,split\na,train\nb,test\nc,train\n")
    (folder / "split.csv").write_text("patient,split\np1,train\np2,test\np3,train\n")
    found = rows(script("run", plan, "--out", tmp_path / "runs", "--table", "--markdown")[1])
    assert found["`half`"]["values a patient"] == values


def test_a_table_that_only_priors_fill_is_no_mask(script, plan, finish, tmp_path: Path) -> None:
    (tmp_path / "half.yaml").write_text("supervision: {kind: projection, descriptors: [volume]}")
    folder = finish("half_s0", 0.8, 0.8)
    header, *_ = TOLD.splitlines()
    (folder / "descriptors.csv").write_text(f"{header}\na,0,3,LV,volume,0,,5,50,px,prior\n")
    (folder / "cases.csv").write_text("case,split\na,train\n")
    (folder / "split.csv").write_text("patient,split\np1,train\n")
    found = rows(script("run", plan, "--out", tmp_path / "runs", "--table", "--markdown")[1])
    assert found["`half`"]["values a patient"] == "0"


@pytest.mark.parametrize("commits", [None, [1], "abc1234"])
def test_commits_that_are_no_list_of_names_are_one_line(
    script, plan, finish, tmp_path: Path, commits: object
) -> None:
    folder = finish("half_s0", 0.8, 0.8, commits=commits)
    status, out, error = script("run", plan, "--out", tmp_path / "runs", "--table")
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"error: {folder / 'run.json'}: expected a list of names as `commits`, found ")
    (folder / "metrics.csv").unlink()
    error = script("run", plan, "--out", tmp_path / "runs", "--data", tmp_path)[2]
    assert "expected a list of names as `commits`" in error  # before the first run


def test_numbers_without_their_table_are_a_broken_run(script, plan, finish, tmp_path: Path) -> None:
    (tmp_path / "half.yaml").write_text("supervision: projection")
    folder = finish("half_s0", 0.8, 0.8)
    status, out, error = script("run", plan, "--out", tmp_path / "runs", "--table")
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"error: {folder}: expected")


def test_fractions_are_of_the_plans_first_arm(script, plan, finish, tmp_path: Path) -> None:
    finish("half_s0", 0.4, 0.4)

    def fraction(*arguments: object) -> str:
        command = (plan, "--out", tmp_path / "runs", "--table", "--markdown", *arguments)
        return rows(script("run", *command)[1])["`half`"]["of pixels"]

    assert fraction() == "-"  # pixels has not run yet, and nothing takes its place
    finish("pixels_s0", 0.8, 0.8)
    assert fraction() == fraction("--arms", "half") == "0.500"


def test_nothing_finished_is_said_and_names_the_arms(script, plan, finish, tmp_path: Path) -> None:
    finish("pixels_s0", 0.8, 0.8)
    for arms in ("half,third", "third"):
        status, out, error = script("run", plan, "--out", tmp_path / "runs", "--table", "--arms", arms)
        assert (status, out, error.count("\n")) == (2, "", 1)
        assert "expected a finished run, found none of" in error
        assert all(f"{arm} (seed 0, 1)" in error for arm in arms.split(","))
    status, out, error = script("figures", plan, "--out", tmp_path / "none", "--figures", tmp_path / "p")
    assert (status, out, error.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metrics.csv", ""),
        ("metrics.csv", "class\nRV\n"),
        ("metrics.csv", "class,dice,hd95_mm\nRV,good,1\n"),
        ("run.json", "{"),
        ("experiment.yaml", "["),
        ("experiment.yaml", "- pixels"),
    ],
)
def test_a_broken_run_is_named(script, plan, finish, tmp_path: Path, name: str, text: str) -> None:
    folder = finish("half_s1", 0.8, 0.8)
    (folder / name).write_text(text)
    status, out, error = script("run", plan, "--out", tmp_path / "runs", "--table")
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"error: {folder}")
    assert ": expected" in error


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("figures")
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize(
    ("first", "label", "height"),
    [("pixels", "every pixel", 0.9), ("half", "half", 0.4), ("third", None, None)],
)
def test_the_dashed_line_is_the_first_arm_and_named_so(figures, first, label, height) -> None:
    found = pd.DataFrame({"dice": [0.4, 0.9]}, index=["half", "pixels"])
    axes = Figure().subplots()
    figures.beside(axes, found, first)
    assert [text.get_text() for text in axes.texts] == ([label] if label else [])
    assert [line.get_ydata()[0] for line in axes.lines] == ([height] if height else [])


def test_the_figure_of_economy_shows_exact_numbers_alone(figures) -> None:
    path = FOLDER / "acdc.yaml"
    content = yaml.safe_load(path.read_text())
    exact = {arm for arm, _ in figures.LINES.values()}
    for arm in {*figures.ECONOMY, *exact}:
        chosen = content["arms"][arm]
        experiment = load_experiment(path.parent / chosen["experiment"], chosen.get("overrides", []))
        assert experiment.data.annotation.error == 0, arm
        assert experiment.supervision.error == 0, arm
        assert experiment.supervision.kind == "projection", arm
    erring = {pattern.format(error) for _, pattern in figures.LINES.values() for error in figures.ERRORS}
    assert erring <= content["arms"].keys()


def test_figures_of_a_single_finished_arm_are_drawn(script, plan, finish, tmp_path: Path) -> None:
    finish("pixels_s0", 0.8, 0.8)
    status, out, error = script("figures", plan, "--out", tmp_path / "runs", "--figures", tmp_path / "p")
    assert (status, out, error) == (0, "", "")
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["plan_error.png", "plan_values.png"]
