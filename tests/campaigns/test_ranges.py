"""Tables that say of every object only what all hearts have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from campaigns.conftest import Script
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.splits import split_patients
from shapewise.data.table import read_table

KEYS = ["case", "frame", "slice", "class", "descriptor", "component"]
DESCRIPTORS = ("volume", "centroid", "spread", "covariance")


def beside_masks(data: Path, out: Path, *, whole: bool) -> pd.DataFrame:
    study = find_cases(data)
    exact = describe(study, descriptors=DESCRIPTORS, whole=whole)
    return read_table(out, study.classes).merge(exact, on=KEYS, suffixes=("", "_mask"), validate="1:1")


def test_presence_alone_tells_no_number_of_what_is_there(
    script: Script, phantom: Path, tmp_path: Path
) -> None:
    status, said, _ = script("ranges", phantom, "--out", tmp_path / "presence.csv")
    assert status == 0
    assert "0 numbers" in said
    both = beside_masks(phantom, tmp_path / "presence.csv", whole=False)
    assert set(both["value"].dropna()) == {0.0}
    gone = both["value"] == 0
    assert (both.loc[gone, "value_mask"] == 0).all()
    there = both["value_mask"].notna() & ~gone
    assert (both.loc[there, "lower"] <= both.loc[there, "upper"]).all()


def test_a_report_keeps_its_volumes_and_ranges_hold_nine_tenths_of_the_training_patients(
    script: Script, phantom: Path, tmp_path: Path
) -> None:
    script("ranges", phantom, "--out", tmp_path / "report.csv", "--keep", "volume", "--whole-volume")
    both = beside_masks(phantom, tmp_path / "report.csv", whole=True)
    volumes = both["descriptor"] == "volume"
    np.testing.assert_allclose(both.loc[volumes, "value"], both.loc[volumes, "value_mask"])
    assert set(both.loc[volumes, "source"]) == {"report"}
    rest = both[~volumes]
    assert rest["value"].isna().all()
    assert set(rest["source"]) == {"prior"}
    patients = {case.name: case.patient for case in find_cases(phantom).cases}
    known = rest[rest["case"].map(patients).isin(split_patients(patients.values(), seed=0)["train"])]
    inside = (known["lower"] <= known["value_mask"] * (1 + 1e-6)) & (known["value_mask"] <= known["upper"])
    assert 0.6 < inside.mean() < 1


def test_images_of_one_size_have_one_range(script: Script, phantom: Path, tmp_path: Path) -> None:
    script("ranges", phantom, "--out", tmp_path / "report.csv", "--keep", "volume", "--whole-volume")
    table = read_table(tmp_path / "report.csv", find_cases(phantom).classes)
    shapes = {case.name: case.read_image().image.shape for case in find_cases(phantom).cases}
    in_plane = table[(table["descriptor"] == "centroid") & (table["component"] > 0)]
    sizes = in_plane["case"].map(lambda name: shapes[name][1:])
    for _, rows in in_plane.groupby([sizes, "class", "component"]):
        assert np.ptp(rows[["lower", "upper"]], axis=0).max() < 1e-5


@pytest.mark.parametrize(
    ("options", "hint"),
    [(["--keep", "length"], "--keep"), (["--seed", "-1"], "--seed: expected a whole number")],
)
def test_wrong_arguments_are_one_line(script: Script, tmp_path: Path, options: list[str], hint: str) -> None:
    status, _, complaint = script("ranges", tmp_path, "--out", tmp_path / "x.csv", *options)
    assert status == 2
    assert hint in complaint
    assert complaint.count("\n") == 1
