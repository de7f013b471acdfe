from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from shapewise.data.cases import Study
from shapewise.data.degrade import presence_only
from shapewise.data.describe import describe
from shapewise.data.frames import Frame
from shapewise.data.layouts import find_cases
from shapewise.data.prepare import Preprocessing, prepare_images, prepare_masks
from shapewise.data.table import read_table, write_table
from shapewise.data.targets import Targets, table_targets
from shapewise.descriptors import registry
from shapewise.errors import ArgumentError, TableError

SAMPLES = [("anna", 1, 0), ("anna", 1, 1), ("anna", 7, 0), ("bert", 0, 2)]
CLASSES = ("RV", "LV")
FRAME = Frame((2.0, 4.0), (1.0, -3.0), (8, 8))
SPACING = (0.5, 0.25)
NAN = float("nan")


def rows(sample: tuple[str, int, int], label: str, **values: object) -> list[dict[str, object]]:
    """Rows of one class on one slice: a descriptor's values, or (value, lower, upper) for each."""
    case, frame, index = sample
    found = []
    for name, numbers in values.items():
        for component, number in enumerate(numbers):
            value, lower, upper = number if isinstance(number, tuple) else (number, NAN, NAN)
            row = {"case": case, "frame": frame, "slice": index, "class": label, "descriptor": name}
            row |= {"component": component, "value": value, "lower": lower, "upper": upper}
            found.append(row | {"unit": "px", "source": "mask"})
    return found


def table(*parts: list[dict[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame([row for part in parts for row in part])
    return frame.astype({"slice": "Int64"})


def complete() -> list[list[dict[str, object]]]:
    return [
        rows(sample, label, volume=[80.0 * n], centroid=[5.0, 5.0 + 4 * n])
        for n, sample in enumerate(SAMPLES, start=1)
        for label in CLASSES
    ]


def targets(
    numbers: pd.DataFrame,
    descriptors: tuple[str, ...] = ("volume", "centroid"),
    spacing: tuple[float, float] | None = SPACING,
) -> Targets:
    return table_targets(numbers, SAMPLES, CLASSES, descriptors, [FRAME] * 4, [spacing] * 4)


def test_values_arrive_in_prepared_pixels() -> None:
    found = targets(table(*complete()))
    assert found.annotated.tolist() == [True] * 4
    assert found.values["volume"].shape == (4, 2, 1, 3)
    assert found.values["volume"].dtype == torch.float32
    assert found.values["volume"][:, 1, 0, 0].tolist() == [10, 20, 30, 40]
    assert found.values["centroid"][:, 0, 0, 0].tolist() == [2] * 4
    assert found.values["centroid"][:, 0, 1, 0].tolist() == [3, 4, 5, 6]
    assert found.values["centroid"][..., 1:].isnan().all()


def test_bounds_move_as_values_do() -> None:
    numbers = complete()
    numbers[0] = rows(SAMPLES[0], "RV", volume=[(80, 40, NAN)], centroid=[(5, 3, 7), (9, NAN, 13)])
    found = targets(table(*numbers))
    assert found.values["volume"][0, 0, 0, :2].tolist() == [10, 5]
    assert found.values["volume"][0, 0, 0, 2].isnan()
    assert found.values["centroid"][0, 0, 0].tolist() == [2, 1, 3]
    assert found.values["centroid"][0, 0, 1, [0, 2]].tolist() == [3, 4]


def test_what_stretching_changes_is_refused_in_the_rows_own_unit() -> None:
    numbers = table(*[rows(sample, label, elongation=[0.3]) for sample in SAMPLES for label in CLASSES])
    with pytest.raises(ArgumentError, match=r"`descriptor`.*elongation"):
        targets(numbers, ("elongation",))
    # 2 and 4 native pixels are 1 mm each.
    found = targets(numbers.assign(unit="mm"), ("elongation",))
    assert (found.values["elongation"][..., 0] == torch.tensor(0.3)).all()


def test_millimetres_become_prepared_pixels() -> None:
    numbers = table(*complete())
    in_mm = numbers.copy()
    factor = np.where(
        numbers["descriptor"] == "volume", SPACING[0] * SPACING[1], np.array(SPACING)[numbers["component"]]
    )
    in_mm["value"] *= factor
    in_mm["unit"] = "mm"
    mixed = in_mm.copy()
    mixed.loc[::3] = numbers.loc[::3]
    wanted = targets(numbers)
    for other in (in_mm, mixed):
        for name, values in targets(other).values.items():
            torch.testing.assert_close(values, wanted.values[name], equal_nan=True)


def test_millimetres_need_a_spacing() -> None:
    numbers = table(*complete())
    numbers.loc[4, "unit"] = "mm"
    with pytest.raises(TableError, match=r"case anna frame 1 slice 0.*spacing"):
        targets(numbers, spacing=None)


def test_an_absent_class_has_volume_zero_and_no_other_number() -> None:
    numbers = complete()
    numbers[0] = rows(SAMPLES[0], "RV", volume=[0.0], centroid=[NAN, NAN])
    numbers[2] = rows(SAMPLES[1], "RV", volume=[0.0])
    found = targets(table(*numbers))
    assert found.values["volume"][:2, 0, 0, 0].tolist() == [0, 0]
    assert found.values["centroid"][:2, 0].isnan().all()
    assert not found.values["centroid"][:2, 1, :, 0].isnan().any()


def test_a_slice_without_rows_is_left_out() -> None:
    found = targets(table(*complete()[:2], *complete()[4:]))
    assert found.annotated.tolist() == [True, False, True, True]
    assert found.values["volume"][1].isnan().all()


def test_a_case_without_rows_is_refused() -> None:
    with pytest.raises(TableError, match=r"case bert"):
        targets(table(*complete()[:6]))


def test_a_row_of_a_slice_that_there_is_not_is_named() -> None:
    """Slices counted from 1 were trained shifted by one, and the last slice's rows fell away in silence."""
    numbers = complete()
    beyond = rows(("anna", 1, 2), "LV", volume=[4.0])
    with pytest.raises(TableError, match=r"case anna frame 1: expected slices from 0 to 1, found slice 2$"):
        targets(table(*numbers, beyond))
    for elsewhere in (("anna", 3, 2), ("carl", 1, 9)):
        assert targets(table(*numbers, rows(elsewhere, "LV", volume=[4.0]))).annotated.all()


def test_rows_of_another_frame_or_of_volumes_are_named() -> None:
    numbers = pd.DataFrame(rows(("anna", 3, 0), "RV", volume=[4.0]))
    whole = numbers.assign(slice=pd.array([None] * len(numbers), "Int64"))
    arguments = SAMPLES[:1], CLASSES, ["volume"], [FRAME], [SPACING]
    with pytest.raises(TableError, match=r"case anna frame 1, found such rows of frame 3"):
        table_targets(numbers, *arguments)
    with pytest.raises(TableError, match=r"rows about slices, found rows about whole volumes only"):
        table_targets(whole, *arguments)


@pytest.mark.parametrize(("told", "more"), [("dora", r" \(and of 2 more\)"), ("bert", r" \(and of 1 more\)")])
def test_cases_without_any_row_are_counted(told: str, more: str) -> None:
    places = [("anna", 1, 0), ("anna", 7, 0), ("bert", 0, 2), ("carl", 1, 0)]
    numbers = table(rows((told, 0, 2), "RV", volume=[4.0]), rows((told, 0, 2), "LV", volume=[4.0]))
    with pytest.raises(TableError, match=rf"slices of case anna frame 1{more}, found none$"):
        table_targets(numbers, places, CLASSES, ["volume"], [FRAME] * 4, [SPACING] * 4)


def test_missing_rows_are_refused() -> None:
    numbers = table(*complete())
    with pytest.raises(TableError, match=r"case anna frame 7 slice 0.*centroid component 1 of LV"):
        targets(numbers.drop(index=17))
    with pytest.raises(TableError, match=r"case anna frame 1 slice 1.*volume component 0 of RV"):
        targets(numbers[numbers.index // 3 != 2])
    with pytest.raises(TableError, match="spread"):
        targets(numbers, ("volume", "spread"))


def test_errors_name_the_file(tmp_path: Path) -> None:
    numbers = table(*complete())
    write_table(numbers.drop(index=17), tmp_path / "mine.csv")
    for change in (lambda rows: rows, lambda rows: rows.assign(unit="mm"), lambda rows: rows[:6]):
        with pytest.raises(TableError, match=rf"^{tmp_path / 'mine.csv'}[:,]"):
            targets(change(read_table(tmp_path / "mine.csv")), spacing=None)


def test_other_rows_are_not_read() -> None:
    volume = rows(("anna", 1, 0), "RV", volume=[1e9])
    for row in volume:
        row["slice"] = pd.NA
    others = [rows(("carl", 1, 0), "RV", volume=[1.0]), rows(SAMPLES[0], "Myo", volume=[1.0]), volume]
    extra = [rows(SAMPLES[0], "RV", length=[3.0])]
    found, wanted = targets(table(*complete(), *others, *extra)), targets(table(*complete()))
    for name in wanted.values:
        torch.testing.assert_close(found.values[name], wanted.values[name], equal_nan=True)


def test_the_order_of_the_rows_does_not_matter() -> None:
    numbers = table(*complete())
    found, wanted = targets(numbers.sample(frac=1, random_state=0)), targets(numbers)
    torch.testing.assert_close(found.values["centroid"], wanted.values["centroid"], equal_nan=True)


@pytest.mark.parametrize("unit", ["px", "mm"])
@pytest.mark.parametrize(
    "preprocessing", [Preprocessing((128, 128)), Preprocessing((160, 160), spacing=1.5)], ids=["resize", "mm"]
)
def test_real_numbers_agree_with_the_prepared_masks(
    real_acdc: Path, tmp_path: Path, unit: str, preprocessing: Preprocessing
) -> None:
    study = find_cases(real_acdc)
    study = Study(study.cases[:4], study.classes, study.layout)
    names = ("volume", "centroid", "spread")
    write_table(describe(study, descriptors=names, unit=unit), tmp_path / "table.csv")
    numbers = read_table(tmp_path / "table.csv", study.classes)
    prepared = prepare_images(study.cases, preprocessing, tmp_path)
    masks = torch.from_numpy(np.array(prepare_masks(study.cases, study.classes, preprocessing, tmp_path)))
    found = table_targets(numbers, prepared.samples, study.classes, names, prepared.frames, prepared.spacings)
    assert found.annotated.all()
    one_hot = torch.nn.functional.one_hot(masks.long(), 4).movedim(-1, 1)[:, 1:].float()
    large = found.values["volume"][:, :, 0, 0] > 100
    assert large.sum() > 50
    for name, tolerance in {"volume": 0.05, "centroid": 0.35, "spread": 0.2}.items():
        moved = found.values[name][..., 0][large]
        scale = moved if name == "volume" else torch.ones_like(moved)
        error = (registry.get(name).function(one_hot)[large] - moved) / scale
        assert error.abs().quantile(0.9) < tolerance
        assert error.mean(0).abs().max() < 0.3 * tolerance


def test_a_class_that_is_there_and_no_more_has_one_row() -> None:
    numbers = complete()
    numbers[0] = rows(SAMPLES[0], "RV", volume=[(NAN, 8.0, NAN)])
    found = targets(table(*numbers))
    assert found.values["volume"][0, 0, 0].isnan().tolist() == [True, False, True]
    assert found.values["volume"][0, 0, 0, 1] == 1
    assert found.values["centroid"][0, 0].isnan().all()
    for volume in ((NAN, NAN, NAN), (NAN, 8.0, 90.0), (NAN, 0.0, NAN), (20.0, 8.0, NAN)):
        numbers[0] = rows(SAMPLES[0], "RV", volume=[volume])
        with pytest.raises(TableError, match=r"case anna frame 1 slice 0.*centroid component 0 of RV"):
            targets(table(*numbers))


def test_a_table_of_presence_alone_is_enough() -> None:
    numbers = complete()
    numbers[3] = rows(SAMPLES[1], "LV", volume=[0.0], centroid=[NAN, NAN])
    found = targets(presence_only(table(*numbers)))
    assert found.annotated.all()
    assert found.values["volume"][1, :, 0, 0].nan_to_num(-1).tolist() == [-1, 0]
    assert found.values["volume"][0, :, 0, 1].tolist() == [1 / 8, 1 / 8]
    assert found.values["centroid"].isnan().all()
