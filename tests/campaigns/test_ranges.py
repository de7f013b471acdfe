"""Tables that say of every object only what all hearts have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from campaigns.conftest import Script
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.phantom import make_phantom
from shapewise.data.splits import split_patients
from shapewise.data.table import read_table

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "acdc.yaml"
KEYS = ["case", "frame", "slice", "class", "descriptor", "component"]
DESCRIPTORS = ("volume", "centroid", "spread", "covariance")


def beside_masks(data: Path, out: Path, *, whole: bool) -> pd.DataFrame:
    study = find_cases(data)
    exact = describe(study, descriptors=DESCRIPTORS, whole=whole)
    return read_table(out, study.classes).merge(exact, on=KEYS, suffixes=("", "_mask"), validate="1:1")


def test_presence_alone_tells_no_number_of_what_is_there(
    script: Script, phantom: Path, tmp_path: Path
) -> None:
    status, said, _ = script("ranges", EXPERIMENT, "--data", phantom, "--out", tmp_path / "presence.csv")
    assert status == 0
    assert "0 numbers" in said
    both = beside_masks(phantom, tmp_path / "presence.csv", whole=False)
    assert set(both["value"].dropna()) == {0.0}
    gone = both["value"] == 0
    assert (both.loc[gone, "value_mask"] == 0).all()
    there = both["value_mask"].notna() & ~gone
    assert (both.loc[there, "lower"] <= both.loc[there, "upper"]).all()


def test_a_report_keeps_its_volumes(script: Script, phantom: Path, tmp_path: Path) -> None:
    script(
        "ranges",
        EXPERIMENT,
        "--data",
        phantom,
        "--out",
        tmp_path / "report.csv",
        "--keep",
        "volume",
        "--whole-volume",
    )
    both = beside_masks(phantom, tmp_path / "report.csv", whole=True)
    volumes = both["descriptor"] == "volume"
    np.testing.assert_allclose(both.loc[volumes, "value"], both.loc[volumes, "value_mask"])
    assert set(both.loc[volumes, "source"]) == {"report"}
    rest = both[~volumes]
    assert rest["value"].isna().all()
    assert set(rest["source"]) == {"prior"}


def test_ranges_are_those_of_the_training_patients_alone(script: Script, tmp_path: Path) -> None:
    """In planes of one size the percentiles of positions are those of relative positions."""
    phantom, out = tmp_path / "phantom", tmp_path / "table.csv"
    make_phantom(phantom, patients=6, size=(128, 128))
    script("ranges", EXPERIMENT, "--data", phantom, "--out", out, "--whole-volume")
    both = beside_masks(phantom, out, whole=True)
    patients = {case.name: case.patient for case in find_cases(phantom).cases}
    train = split_patients(patients.values(), seed=0)["train"]
    both = both[(both["descriptor"] == "centroid") & (both["component"] > 0)]
    known = both[both["case"].map(patients).isin(train)]
    for key, rows in known.groupby(["class", "descriptor", "component"]):
        lower, upper = rows["value_mask"].quantile([0.05, 0.95])
        every = both[(both[["class", "descriptor", "component"]] == list(key)).all(axis=1)]
        np.testing.assert_allclose(every["lower"], lower, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(every["upper"], upper, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "hint"),
    [(["--keep", "length"], "--keep"), (["--out", "x.txt"], ".csv or .parquet")],
)
def test_wrong_arguments_are_one_line(script: Script, tmp_path: Path, options: list[str], hint: str) -> None:
    status, _, complaint = script(
        "ranges", EXPERIMENT, "--data", tmp_path, "--out", tmp_path / "x.csv", *options
    )
    assert status == 2
    assert hint in complaint
    assert complaint.count("\n") == 1
