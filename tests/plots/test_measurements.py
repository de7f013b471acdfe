from __future__ import annotations

from pathlib import Path

import pandas as pd

from shapewise.plots.measurements import predicted_biomarkers, predicted_volumes
from shapewise.plots.runs import load_runs


def test_biomarkers_are_a_row_a_patient(bare_runs: list[Path]) -> None:
    (run,) = load_runs(bare_runs[:1])
    table = predicted_biomarkers(run)
    assert table is not None
    assert run.biomarkers is not None
    plain = run.biomarkers.set_index(["patient", "quantity"])["predicted"]
    assert list(table.index) == [f"patient{number:03d}" for number in range(1, 5)]
    assert list(table)[:3] == ["LV EDV (mL)", "LV ESV (mL)", "LV EF (%)"]
    assert table.loc["patient002", "LV EF (%)"] == f"{100 * plain['patient002', 'lv_ef']:.1f}"
    assert list(table)[-1] == "Myo mass (g)"
    assert table.loc["patient003", "Myo mass (g)"] == f"{plain['patient003', 'myo_mass_g']:.1f}"


def test_volumes_are_a_row_a_scan(bare_runs: list[Path]) -> None:
    rows = pd.read_csv(bare_runs[0] / "volumes.csv")
    for path in (bare_runs[0] / "volumes.csv", bare_runs[0] / "scans.csv"):
        found = pd.read_csv(path)
        bare = found["case"].isin(["patient002", "patient003"])
        frame = found["frame"].where(found["case"] != "patient003", 9 - found["frame"])  # 8 and 0
        found.assign(phase=found["phase"].where(~bare), frame=frame).to_csv(path, index=False)
    table = predicted_volumes(load_runs(bare_runs[:1])[0])
    assert table is not None
    assert list(table) == ["RV (mL)", "Myo (mL)", "LV (mL)"]
    for case, name in (
        ("patient001", "patient001, ES"),
        ("patient002", "patient002, frame 9"),
        ("patient003", "patient003"),
    ):
        here = rows[(rows["case"] == case) & (rows["frame"] == 9) & (rows["class"] == "LV")]
        assert table.loc[name, "LV (mL)"] == f"{here['volume_ml'].item():.1f}"


def test_where_no_spacing_is_known_there_is_neither(bare_runs: list[Path]) -> None:
    for name, column in (("volumes", "volume_ml"), ("biomarkers", "predicted")):
        path = bare_runs[0] / f"{name}.csv"
        pd.read_csv(path).assign(**{column: None}).to_csv(path, index=False)
    (run,) = load_runs(bare_runs[:1])
    assert predicted_volumes(run) is None
    assert predicted_biomarkers(run) is None


def test_a_run_of_older_code_has_no_volumes(bare_runs: list[Path]) -> None:
    (bare_runs[0] / "volumes.csv").unlink()
    assert predicted_volumes(load_runs(bare_runs[:1])[0]) is None
