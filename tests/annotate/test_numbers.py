"""What is drawn has the numbers of its mask, and bounds that hold what an unsure hand might have drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from shapewise.annotate.export import click_table
from shapewise.annotate.numbers import Grid, measure
from shapewise.annotate.shapes import regions
from shapewise.annotate.store import Place, State
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases

CLASSES = ("RV", "Myo", "LV")
GRID = Grid((128, 128), (1.5, 1.25))
POLYGON = {"shape": {"kind": "polygon", "points": [[20, 30], [25, 42], [60, 40], [40, 35], [50, 20]]}}


@pytest.mark.parametrize("unit", ["px", "mm"])
def test_a_click_and_a_mask_of_it_give_the_same_rows(unit: str, tmp_path: Path, draw) -> None:
    drawn = [
        draw.heart(),
        draw.heart(4.3) | {"RV": POLYGON},
        draw.heart() | {"LV": {"shape": {"kind": "absent"}}},
    ]
    labels = np.zeros((3, *GRID.size), np.uint8)
    for index, plain in enumerate(drawn):
        for name, mask in regions(draw.objects(plain), GRID.size).items():
            assert not labels[index][mask].any(), "the objects of this test do not overlap"
            labels[index][mask] = CLASSES.index(name) + 1
    study = write_patient(tmp_path, labels)
    from_mask = describe(find_cases(study), unit=unit)
    states = {
        Place("patient001", frame, index): State(1, draw.objects(plain))
        for frame in (1, 2)
        for index, plain in enumerate(drawn)
    }
    clicked = click_table(states, {("patient001", frame): GRID for frame in (1, 2)}, unit, tmp_path)
    key = ["frame", "slice", "class", "descriptor", "component"]
    expected = from_mask.dropna(subset="value").sort_values(key).reset_index(drop=True)
    found = clicked.sort_values(key).reset_index(drop=True)
    assert (found.pop("source") == "click").all()
    assert (expected.pop("source") == "mask").all()
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-6)


def write_patient(folder: Path, labels: np.ndarray) -> Path:
    patient = folder / "study" / "training" / "patient001"
    patient.mkdir(parents=True)
    (patient / "Info.cfg").write_text("ED: 1\nES: 2\n")
    noise = np.random.default_rng(0).normal(size=labels.shape).astype(np.float32)
    for frame in (1, 2):
        for voxels, ending in ((noise, ""), (labels, "_gt")):
            image = SimpleITK.GetImageFromArray(voxels)
            image.SetSpacing((1.25, 1.5, 8.0))
            SimpleITK.WriteImage(image, str(patient / f"patient001_frame{frame:02d}{ending}.nii.gz"))
    return folder / "study"


@pytest.mark.parametrize("kind", ["ellipse", "ring"])
@pytest.mark.parametrize("unit", ["px", "mm"])
@pytest.mark.parametrize("by", [-2.0, 2.0])
def test_the_bounds_hold_what_a_hand_two_pixels_off_would_draw(kind: str, unit: str, by: float, draw) -> None:
    def drawn(off: float, doubt: float) -> dict[str, dict[str, np.ndarray]]:
        name = "Myo" if kind == "ring" else "LV"
        plain = {
            "LV": draw.ellipse(60 + off, 64, 14 + (0 if kind == "ring" else off), 12 + off, doubt=doubt),
            "Myo": draw.ellipse(60 + off, 64 - off / 2, 24 + off, 21 + off, around="LV", doubt=doubt),
        }
        found = measure(draw.objects(plain), GRID, unit)[name]
        return {"values": found.values, "lower": found.lower, "upper": found.upper}

    said, other = drawn(0.0, 2.0), drawn(by, 0.0)
    # The pixels' staircase adds its own percent or two.
    for name in ("volume", "centroid", "spread", "length"):
        slack = 0.02 * np.abs(said["values"][name]) + 0.05
        assert (other["values"][name] >= said["lower"][name] - slack).all(), name
        assert (other["values"][name] <= said["upper"][name] + slack).all(), name
        assert (said["upper"][name] > said["values"][name]).all()


def test_who_did_not_say_leaves_it_to_the_experiment(draw) -> None:
    found = measure(draw.objects(draw.heart()), GRID, "px")["LV"]
    assert all(np.isnan(each).all() for each in (*found.lower.values(), *found.upper.values()))


def test_amounts_are_never_below_nothing(draw) -> None:
    found = measure(draw.objects({"LV": draw.ellipse(20, 20, 2, 2, doubt=50.0)}), GRID, "px")["LV"]
    for name in ("volume", "spread", "length"):
        assert (found.lower[name] == 0).all()


def test_an_object_between_pixels_is_absent_as_in_a_mask(draw) -> None:
    found = measure(draw.objects({"LV": draw.ellipse(20.5, 20.5, 0.3, 0.3, doubt=1.0)}), GRID, "px")["LV"]
    assert found.values["volume"] == 0
    assert np.isnan(found.values["centroid"]).all()
    assert np.isnan(found.upper["volume"]).all()


@pytest.mark.parametrize(
    ("inner", "outlines"),
    [({}, 1), ({"LV": {"shape": {"kind": "absent"}}}, 1), ({"LV": None}, 2)],
    ids=["not drawn", "absent", "there"],
)
def test_the_length_of_a_ring_alone_has_two_outlines(draw, inner, outlines: int) -> None:
    heart = draw.heart()
    objects = {"Myo": heart["Myo"] | {"doubt": 2.0}} | {
        name: each or heart[name] for name, each in inner.items()
    }
    found = measure(draw.objects(objects), GRID, "px")["Myo"]
    assert found.upper["length"] - found.values["length"] == pytest.approx(2 * np.pi * 2 * outlines)
