from __future__ import annotations

import base64
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from shapewise.errors import ArgumentError, DataError, RunError
from shapewise.plots import compare
from shapewise.plots.html import VOID

FIGURES = {
    "figure2.png",
    "figure3.png",
    "figure4_curves.png",
    "figure4_boxes.png",
    "bland_altman.png",
    "constraints.png",
}
TABLES = {"table1.csv", "table1.md", "table1.tex"}


class Nesting(HTMLParser):
    """Follows the tags of a page and gathers its text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data + "\n"


def read(page: Path) -> Nesting:
    nesting = Nesting()
    nesting.feed(page.read_text(encoding="utf-8"))
    assert nesting.open == []
    return nesting


@pytest.fixture(scope="module")
def page(finished_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compare(finished_runs, tmp_path_factory.mktemp("out") / "new" / "report")


def test_writes_every_file_and_nothing_else(page: Path) -> None:
    assert {path.name for path in page.parent.iterdir()} == FIGURES | TABLES | {"report.html"}
    assert [path.name for path in page.parent.parent.iterdir()] == ["report"]


def test_report_needs_nothing_beside_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)
    images = re.findall(r'src="([^"]*)"', text)
    assert len(images) == len(FIGURES)
    for image in images:
        kind, _, encoded = image.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(encoded, validate=True).startswith(b"\x89PNG")


def test_report_is_well_formed_and_tells_the_story(page: Path, finished_runs: list[Path]) -> None:
    report = read(page)
    assert report.seen.count("h1") == 1
    assert report.seen.count("figcaption") == len(FIGURES)
    for expected in (
        "acdc pixels against acdc barrier",
        "of the mean Dice of acdc pixels",
        "cross-entropy on pixels",
        "LV ejection fraction (%)",
        "limits of agreement",
        f"shapewise compare {finished_runs[0]} {finished_runs[1]} --out {page.parent}",
        "versions.torch",
        "\nRV, Myo, LV\n",
    ):
        assert expected in report.text
    assert "Left out" not in report.text


def test_table_in_the_report_is_the_table_in_the_files(page: Path) -> None:
    text = read(page).text
    for row in (page.parent / "table1.md").read_text().splitlines():
        for cell in row.strip("|").split("|")[1:]:
            assert cell.strip().strip("-") in text


def lose_images(run: Path) -> None:
    path = run / "scans.csv"
    path.write_text(path.read_text().replace("/study/", "/elsewhere/"))


def test_names_from_files_cannot_become_markup(two_runs: list[Path], tmp_path: Path) -> None:
    file = two_runs[1] / "experiment.yaml"
    file.write_text(file.read_text().replace("acdc barrier", "'<img src=x onerror=alert(1)> & $co_{2$'"))
    for name in ("values", "biomarkers", "log"):
        (two_runs[1] / f"{name}.csv").unlink()
    lose_images(two_runs[1])
    page = compare(two_runs[1:], tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; $co_{2$" in text
    left_out = read(page).text
    for reason in ("no log.csv", "no values.csv", "no biomarkers.csv", "is not where scans.csv says"):
        assert reason in left_out
    assert {path.name for path in page.parent.glob("*.png")} == {"figure3.png", "figure4_boxes.png"}


def test_an_earlier_comparison_is_replaced_and_other_files_stay(page: Path, two_runs: list[Path]) -> None:
    out = two_runs[0].parent / "out"
    shutil.copytree(page.parent, out)
    (out / "notes.txt").write_text("mine")
    before = (out / "report.html").read_bytes()
    for name in ("values", "biomarkers", "log"):
        (two_runs[0] / f"{name}.csv").unlink()
    lose_images(two_runs[0])
    compare(two_runs[:1], out)
    assert (out / "report.html").read_bytes() != before
    assert {path.name for path in out.glob("*.png")} == {"figure3.png", "figure4_boxes.png"}
    assert (out / "notes.txt").read_text() == "mine"


def test_a_broken_image_leaves_the_earlier_comparison_alone(two_runs: list[Path], tmp_path: Path) -> None:
    for path in (two_runs[0] / "predictions").iterdir():
        path.write_bytes(path.read_bytes()[:200])
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("earlier")
    with pytest.raises(DataError, match="expected a complete gzip file"):
        compare(two_runs, out)
    assert [path.name for path in out.iterdir()] == ["report.html"]
    assert (out / "report.html").read_text() == "earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"out", "pixels", "barrier"}


def test_nothing_is_written_for_runs_that_cannot_be_compared(two_runs: list[Path], tmp_path: Path) -> None:
    (two_runs[0] / "metrics.csv").unlink()
    with pytest.raises(RunError, match="shapewise evaluate"):
        compare(two_runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder_to_write_into(finished_runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ArgumentError, match="`out` to be a folder to write into"):
        compare(finished_runs, tmp_path / "out")
    with pytest.raises(DataError, match="expected a folder that can be written"):
        compare(finished_runs, tmp_path / "out" / "below")


def test_without_masks_the_report_shows_predictions_and_what_they_measure(
    bare_runs: list[Path], tmp_path: Path
) -> None:
    page = compare(bare_runs, tmp_path / "report")
    pictures = {"predictions.png", "satisfied_curves.png", "constraints.png", "figure3.png"}
    assert {path.name for path in page.parent.iterdir()} == pictures | {"report.html"}
    report = read(page)
    for expected in (
        "None of 4 test cases has a mask, so no Dice can be told. ",
        "numbers that are known of them",
        "As predicted",
        "LV EF (%)",
        "patient003, ED",
        "Predictions",
        "acdc barrier has no biomarker with a reference",
    ):
        assert expected in report.text, expected
    assert "Results" not in report.text


def test_without_masks_numbers_or_volumes_there_are_pictures_still(
    bare_runs: list[Path], tmp_path: Path
) -> None:
    """What a table without the test cases leaves, and somebody who tidied up."""
    values = bare_runs[0] / "values.csv"
    values.write_text(values.read_text().splitlines()[0] + "\n")
    (bare_runs[0] / "volumes.csv").unlink()
    (bare_runs[0] / "biomarkers.csv").unlink()
    report = read(compare(bare_runs[:1], tmp_path / "report"))
    for expected in (
        "nor is any of their numbers known",
        "No volumes: there is no volumes.csv",
        "Predictions",
    ):
        assert expected in report.text, expected


def test_cases_without_masks_are_shown_beside_those_that_were_measured(
    two_runs: list[Path], tmp_path: Path
) -> None:
    for run in two_runs:
        scans, metrics = (pd.read_csv(run / f"{name}.csv") for name in ("scans", "metrics"))
        bare = scans["case"] == "patient003"
        scans.assign(mask=scans["mask"].mask(bare)).to_csv(run / "scans.csv", index=False)
        metrics[metrics["case"] != "patient003"].to_csv(run / "metrics.csv", index=False)
    page = compare(two_runs, tmp_path / "report")
    text = read(page).text
    for expected in (
        "On 3 test cases, ",
        "4 test cases, 8 scans (2 without a mask)",
        "As predicted, where there is no mask",
        "patient003, ES",
    ):
        assert expected in text, expected
    assert "patient002, ES" not in text
    assert {"figure2.png", "predictions.png"} <= {path.name for path in page.parent.iterdir()}
