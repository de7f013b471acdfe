from __future__ import annotations

from pathlib import Path

import pytest

from shapewise.plots.results import summarise
from shapewise.plots.runs import load_runs
from shapewise.plots.wording import data_line, epochs, headline, learns_from, supervised_by, title


def overall(runs: list[Path]) -> dict[str, float]:
    dice = summarise(load_runs(runs))[0].summary
    return dice[dice["class"] == "Overall"].set_index("run")["mean"].to_dict()


def test_headline_says_how_much_of_the_reference_is_kept(finished_runs: list[Path]) -> None:
    runs = load_runs(finished_runs)
    means = overall(finished_runs)
    ratio = means["acdc barrier"] / means["acdc pixels"]
    assert headline(runs, summarise(runs)[0].summary) == (
        f"On 4 test patients, acdc barrier keeps <strong>{ratio:.3f}</strong> of the mean Dice of "
        f"acdc pixels ({means['acdc barrier']:.3f} against {means['acdc pixels']:.3f})."
    )


@pytest.mark.parametrize("chosen", [slice(0, 1), slice(1, 2)])
def test_headline_of_one_run(finished_runs: list[Path], chosen: slice) -> None:
    runs = load_runs(finished_runs[chosen])
    mean = overall(finished_runs[chosen])[runs[0].label]
    expected = f"On 4 test patients, {runs[0].label} reaches a mean Dice of <strong>{mean:.3f}</strong>."
    assert headline(runs, summarise(runs)[0].summary) == expected


def test_headline_without_a_reference_names_the_best(finished_runs: list[Path]) -> None:
    runs = load_runs([finished_runs[1]] * 2)
    text = headline(runs, summarise(runs)[0].summary)
    assert text.endswith("</strong>, the highest of 2 runs.")


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
    assert title([pixels, barrier]) == "acdc pixels against acdc barrier"
    assert data_line([pixels]) == "4 test patients, 8 scans, RV, Myo, LV"
