from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shapewise.plots.predictions import COLUMNS, MOST_SCANS, draw_predictions, spread_slices
from shapewise.plots.runs import load_runs


def test_a_row_a_scan_and_run(bare_runs: list[Path]) -> None:
    drawing = draw_predictions(load_runs(bare_runs))
    assert drawing.figure is not None
    assert drawing.left_out == ()
    axes = np.reshape(np.array(drawing.figure.axes, dtype=object), (-1, COLUMNS))
    assert len(axes) == 2 * 8
    assert axes[0, 0].get_ylabel() == "patient001\nED\nacdc pixels"
    assert axes[3, 0].get_ylabel() == "patient001\nES\nacdc barrier"
    numbers = [int(each.texts[0].get_text()) for each in axes[0] if each.texts]
    assert numbers == [1, 2, 3, 4, 5]  # the heart's five slices; the sixth picture stays empty
    assert all(len(each.collections) > 0 for each in axes[0, :5])


def test_of_many_scans_the_first_and_the_last_are_among_those_shown(bare_runs: list[Path]) -> None:
    run = bare_runs[0]
    cases = pd.read_csv(run / "cases.csv")
    more = pd.concat([cases.assign(case=cases["case"] + letter) for letter in ("a", "b")])
    more.to_csv(run / "cases.csv", index=False)
    for row in more.itertuples():
        file = f"{row.case}_frame{row.frame:02d}.nii.gz"
        shutil.copy(
            run / "predictions" / file.replace("a_", "_").replace("b_", "_"), run / "predictions" / file
        )
    figure = draw_predictions(load_runs([run])).figure
    assert figure is not None
    titles = [axes.get_ylabel() for axes in figure.axes[::COLUMNS]]
    assert len(titles) == MOST_SCANS
    assert (titles[0], titles[-1]) == ("patient001a\nED", "patient004b\nES")


def test_a_scan_that_is_not_there_is_left_out_by_its_name(bare_runs: list[Path]) -> None:
    (bare_runs[1] / "predictions" / "patient002_frame09.nii.gz").unlink()
    drawing = draw_predictions(load_runs(bare_runs))
    assert drawing.figure is not None
    assert len(drawing.figure.axes) == 2 * 7 * COLUMNS
    assert drawing.left_out == (
        "the image or a prediction of patient002 frame 9 is not where cases.csv says",
    )
    for run in bare_runs:
        shutil.rmtree(run / "predictions")
    assert draw_predictions(load_runs(bare_runs)).figure is None


def test_measured_runs_need_no_such_figure(finished_runs: list[Path]) -> None:
    assert draw_predictions(load_runs(finished_runs)).figure is None


@pytest.mark.parametrize(
    ("filled", "expected"), [([], [0, 3, 5, 8]), ([4], [4]), ([3, 4], [3, 4]), (range(9), [0, 3, 5, 8])]
)
def test_slices_are_spread_over_what_is_predicted(filled: list[int], expected: list[int]) -> None:
    labels = np.zeros((9, 3, 3), np.uint8)
    labels[list(filled)] = 1
    assert spread_slices(labels, 4) == expected
