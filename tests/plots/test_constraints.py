from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shapewise.plots.constraints import draw_constraints, satisfied
from shapewise.plots.runs import load_runs


@pytest.mark.parametrize("yes_no", [(True, False), ("True", "False"), (1, 0), (1.0, 0.0)])
def test_fraction_of_known_rows(yes_no: tuple[object, object]) -> None:
    yes, no = yes_no
    rows = pd.DataFrame(
        {
            "class": ["LV"] * 5 + ["RV"],
            "descriptor": ["volume"] * 4 + ["length"] * 2,
            "satisfied": [yes, yes, yes, no, no, np.nan],
        }
    )
    table = satisfied(rows).set_index(["class", "descriptor"])["satisfied"].to_dict()
    assert table == {("LV", "volume"): 0.75, ("LV", "length"): 0.0}


def test_points_stand_at_the_fractions(finished_runs: list[Path]) -> None:
    drawing = draw_constraints(load_runs(finished_runs))
    assert drawing.figure is not None
    assert [axes.get_title(loc="left") for axes in drawing.figure.axes] == ["RV", "Myo", "LV"]
    values = pd.read_csv(finished_runs[1] / "values.csv")
    rows = values[(values["class"] == "Myo") & (values["descriptor"] == "spread")]["satisfied"].dropna()
    axes = drawing.figure.axes[1]
    labels = [label.get_text() for label in drawing.figure.axes[0].get_yticklabels()]
    points = [c for c in axes.collections if len(c.get_offsets()) == 4]
    height = labels.index("spread")
    assert np.asarray(points[1].get_offsets())[height, 0] == pytest.approx(rows.astype(str).eq("True").mean())


def test_a_run_without_values_is_left_out(two_runs: list[Path]) -> None:
    (two_runs[0] / "values.csv").unlink()
    drawing = draw_constraints(load_runs(two_runs))
    assert drawing.figure is not None
    assert drawing.left_out == ("acdc pixels has no values.csv",)


def test_no_constraint_no_figure(two_runs: list[Path]) -> None:
    for run in two_runs:
        pd.read_csv(run / "values.csv").assign(satisfied=None).to_csv(run / "values.csv", index=False)
    drawing = draw_constraints(load_runs(two_runs))
    assert drawing.figure is None
    assert drawing.left_out == ("no constraint was evaluated",)
