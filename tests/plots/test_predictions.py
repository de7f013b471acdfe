from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from shapewise.plots.predictions import COLUMNS, MOST_SCANS, choose_scans, draw_predictions, spread_slices
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
    for name in ("volumes", "scans"):
        cases = pd.read_csv(run / f"{name}.csv")
        more = pd.concat([cases.assign(case=cases["case"] + letter) for letter in ("a", "b")])
        more.to_csv(run / f"{name}.csv", index=False)
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


def test_rows_of_one_scan_show_the_same(bare_runs: list[Path]) -> None:
    """Also where a run predicts nothing."""
    file = bare_runs[1] / "predictions" / "patient001_frame01.nii.gz"
    image = SimpleITK.ReadImage(str(file))
    empty = SimpleITK.GetImageFromArray(0 * SimpleITK.GetArrayFromImage(image))
    empty.CopyInformation(image)
    SimpleITK.WriteImage(empty, str(file))
    figure = draw_predictions(load_runs(bare_runs)).figure
    assert figure is not None
    one, other = figure.axes[:COLUMNS], figure.axes[COLUMNS : 2 * COLUMNS]
    for above, below in zip(one, other, strict=True):
        assert above.get_xlim() == below.get_xlim()
        assert [text.get_text() for text in above.texts] == [text.get_text() for text in below.texts]
    assert not any(axes.collections for axes in other)


def test_of_many_runs_fewer_scans_are_shown(bare_runs: list[Path]) -> None:
    run, _ = load_runs(bare_runs)
    assert len(choose_scans([run])) == len(choose_scans([run] * 2)) == MOST_SCANS
    assert choose_scans([run] * 5) == [("patient001", 1), ("patient003", 1), ("patient004", 9)]
    assert choose_scans([run] * 40) == [("patient001", 1)]


def test_what_is_not_there_is_left_out_by_its_name(bare_runs: list[Path]) -> None:
    (bare_runs[1] / "predictions" / "patient002_frame09.nii.gz").unlink()
    drawing = draw_predictions(load_runs(bare_runs))
    assert drawing.figure is not None
    assert len(drawing.figure.axes) == 2 * 7 * COLUMNS
    (reason,) = drawing.left_out
    assert reason.startswith("the image of patient002 frame 9 is not where scans.csv says, or")
    shutil.rmtree(bare_runs[1] / "predictions")
    drawing = draw_predictions(load_runs(bare_runs))
    assert drawing.figure is not None
    assert len(drawing.figure.axes) == 8 * COLUMNS
    assert drawing.left_out == ("acdc barrier has no predictions",)
    shutil.rmtree(bare_runs[0] / "predictions")
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
