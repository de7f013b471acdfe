from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shapewise.plots.bland_altman import draw_bland_altman
from shapewise.plots.runs import load_runs


def panel(figure: Figure | None, title: str, run: int) -> Axes:
    assert figure is not None
    return [axes for axes in figure.axes if axes.get_title(loc="left") == title][run]


def write(run: Path, quantity: str, predicted: list[float], reference: list[float]) -> None:
    patients = [f"patient{i:03d}" for i in range(1, len(predicted) + 1)]
    frame = pd.DataFrame({"patient": patients, "quantity": quantity})
    frame.assign(predicted=predicted, reference=reference).to_csv(run / "biomarkers.csv", index=False)


def heights(axes: Axes) -> list[float]:
    return sorted(float(np.asarray(line.get_ydata())[0]) for line in axes.lines)


def test_bias_and_limits_by_hand(two_runs: list[Path]) -> None:
    write(two_runs[0], "lv_edv_ml", [101.0, 98.0, 104.0], [100.0, 100.0, 100.0])
    axes = panel(draw_bland_altman(load_runs(two_runs[:1])).figure, "LV end-diastolic volume (mL)", 0)
    # differences 1, -2 and 4: mean 1, standard deviation 3
    assert heights(axes) == pytest.approx([1 - 1.96 * 3, 0, 1, 1 + 1.96 * 3])
    np.testing.assert_allclose(axes.collections[-1].get_offsets(), [[100.5, 1], [99, -2], [102, 4]])


def test_ejection_fractions_are_shown_in_percent(two_runs: list[Path]) -> None:
    write(two_runs[0], "lv_ef", [0.55, 0.65], [0.5, 0.6])
    axes = panel(draw_bland_altman(load_runs(two_runs[:1])).figure, "LV ejection fraction (%)", 0)
    assert heights(axes)[1:] == pytest.approx([5.0, 5.0, 5.0])


def test_one_patient_has_a_bias_and_no_limits(two_runs: list[Path]) -> None:
    write(two_runs[0], "myo_mass_g", [120.0], [100.0])
    axes = panel(draw_bland_altman(load_runs(two_runs[:1])).figure, "Myocardial mass (g)", 0)
    assert heights(axes) == pytest.approx([0.0, 20.0])


def test_all_seven_quantities_in_each_run(finished_runs: list[Path]) -> None:
    figure = draw_bland_altman(load_runs(finished_runs)).figure
    assert figure is not None
    assert len({axes.get_title(loc="left") for axes in figure.axes} - {""}) == 7
    assert len([axes for axes in figure.axes if axes.collections]) == 14


def test_like_runs_share_their_scale(two_runs: list[Path]) -> None:
    write(two_runs[0], "lv_edv_ml", [101.0, 98.0], [100.0, 100.0])
    write(two_runs[1], "lv_edv_ml", [102.0, 97.0], [100.0, 100.0])
    figure = draw_bland_altman(load_runs(two_runs)).figure
    title = "LV end-diastolic volume (mL)"
    assert panel(figure, title, 0).get_ylim() == panel(figure, title, 1).get_ylim()


def test_a_failed_run_does_not_flatten_the_others(two_runs: list[Path]) -> None:
    write(two_runs[0], "lv_edv_ml", [101.0, 98.0], [100.0, 100.0])
    write(two_runs[1], "lv_edv_ml", [0.0, 0.0], [100.0, 100.0])
    figure = draw_bland_altman(load_runs(two_runs)).figure
    title = "LV end-diastolic volume (mL)"
    assert panel(figure, title, 0).get_ylim()[1] < 10
    assert panel(figure, title, 1).get_ylim()[0] < -100


def test_quantities_that_the_layout_does_not_know_come_last(two_runs: list[Path]) -> None:
    write(two_runs[0], "prostate_ml", [30.0, 40.0], [32.0, 38.0])
    figure = draw_bland_altman(load_runs(two_runs[:1])).figure
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["prostate ml"]


def test_missing_references_leave_the_run_out(two_runs: list[Path]) -> None:
    write(two_runs[0], "lv_edv_ml", [100.0], [float("nan")])
    (two_runs[1] / "biomarkers.csv").unlink()
    drawing = draw_bland_altman(load_runs(two_runs))
    assert drawing.figure is None
    assert drawing.left_out == (
        "acdc barrier has no biomarkers.csv",
        "acdc pixels has no biomarker with a reference",
    )
