"""What is kept of runs says what the runs said, and outlives them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from campaigns.conftest import FOLDER, Finish, Script

ROOT = FOLDER.parent


def test_the_table_of_what_is_kept_is_that_of_the_runs(
    script: Script, plan: Path, finish: Finish, tmp_path: Path
) -> None:
    finish("pixels_s0", 0.7, 0.9, commits=["aaaa111"], validation=(0.5, 0.8))
    finish("half_s0", 0.4, 0.45, hd95=None, commits=["bbbb222"])
    kept = script("run", plan, "--out", tmp_path / "runs", "--keep")
    assert kept == (0, "kept: pixels seed 0, half seed 0\n", "")
    finish("pixels_s1", 0.8, 1.0, commits=["aaaa111", "cccc333"], hd95=6.0, validation=(0.81,))
    assert script("run", plan, "--out", tmp_path / "runs", "--keep")[1] == "kept: pixels seed 1\n"
    assert script("run", plan, "--out", tmp_path / "runs", "--keep")[1] == "kept: nothing new\n"
    for arms in ([], ["--arms", "half"]):
        _, of_runs, _ = script("run", plan, "--out", tmp_path / "runs", "--table", "--markdown", *arms)
        assert script("run", plan, "--table", "--markdown", *arms) == (0, of_runs, "")
    shutil.rmtree(tmp_path / "runs")
    drawn = script("figures", plan, "--figures", tmp_path / "p")
    assert drawn == (0, "", "")
    assert (tmp_path / "p" / "plan_values.png").exists()


def test_several_seeds_in_one_row_count_like_their_own_rows(script: Script, plan: Path) -> None:
    dice = np.array([0.81, 0.84, 0.90, 0.82])
    rows = pd.DataFrame(
        {
            "arm": ["pixels", "pixels"],
            "seeds": ["0 1 2", "3"],
            "values": None,
            "Dice RV": [dice[:3].mean(), dice[3]],
            "mean": [dice[:3].mean(), dice[3]],
            "sd": [dice[:3].std(ddof=1), None],
            "hd95": [4.0, 8.0],
            "validation": [0.7, None],
            "commits": ["aaaa111", None],
        }
    )
    rows.to_csv(plan.with_suffix(".csv"), index=False)
    *_, row = script("run", plan, "--table", "--markdown")[1].splitlines()
    both = f"{dice.mean():.3f} ± {dice.std(ddof=1):.3f}"
    assert row == f"| `pixels` | masks | 4 | {dice.mean():.3f} | {both} | 5.0 | 1.000 | - | `aaaa111` |"


def test_what_a_plan_says_of_its_arms_stands_in_the_table(
    script: Script, plan: Path, finish: Finish, tmp_path: Path
) -> None:
    arm = "half: {experiment: half.yaml"
    plan.write_text(plan.read_text().replace(arm, f"{arm}, learns_from: every second pixel"))
    finish("half_s0", 0.4, 0.4)
    finish("half_s1", 0.4, 0.4)
    out = script("run", plan, "--out", tmp_path / "runs", "--table", "--markdown")[1]
    assert out.startswith("| arm | learns from | values a patient |")
    assert "| `half` | every second pixel | masks |" in out


HEADER = "arm,seeds,values,Dice RV,mean,sd,hd95,validation,commits\n"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (None, "results that `--keep` has written, found no file"),
        ("", "a table of results"),
        ("arm,seeds\npixels,0\n", "a table of results"),
        (HEADER + "pixels,0,,good,0.5,,1,\n", "a table of results"),
        (HEADER + "pixels,,,0.5,0.5,,1,\n", "the seeds of every row, found none for pixels"),
        (HEADER + "pixels,0 1,,0.5,0.5,,1,\npixels,1,,0.5,0.5,,1,\n", "pixels with seed 1 twice"),
        (HEADER + "pixel,0,,0.5,0.5,,1,\n", "arms among pixels, half, third, found pixel"),
    ],
)
def test_a_bad_file_is_one_line(script: Script, plan: Path, text: str | None, hint: str) -> None:
    if text is not None:
        plan.with_suffix(".csv").write_text(text)
    for command in (["run", plan, "--table"], ["figures", plan, "--figures", plan.parent / "p"]):
        status, out, error = script(*command)
        assert (status, out, error.count("\n")) == (2, "", 1)
        assert hint in error


@pytest.mark.parametrize("arguments", [["--keep"], ["--table", "--seeds", "1"], []])
def test_what_needs_runs_says_so(script: Script, plan: Path, arguments: list[str]) -> None:
    status, out, error = script("run", plan, *arguments)
    assert (status, out) == (2, "")
    assert error == "error: --out: expected the folder of the run folders, found none\n"


@pytest.mark.parametrize("name", ["acdc", "acdc_long", "promise12"])
def test_the_documentation_shows_what_is_kept(script: Script, name: str) -> None:
    status, table, _ = script("run", FOLDER / f"{name}.yaml", "--table", "--markdown")
    assert status == 0
    assert table in (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
