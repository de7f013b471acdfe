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
from shapewise.data.targets import Targets, table_targets
from shapewise.data.volume_targets import volume_targets
from shapewise.descriptors import registry
from shapewise.errors import ArgumentError, TableError

SAMPLES = [("anna", 1, 0), ("anna", 1, 1), ("bert", 0, 2), ("anna", 7, 0), ("bert", 0, 3)]
CLASSES = ("RV", "LV")
FRAME = Frame((2.0, 4.0), (1.0, -3.0), (8, 8))
SPACING = (10.0, 0.5, 0.25)
NAN = float("nan")


def rows(case: str, frame: int, label: str, **values: list[float]) -> list[dict[str, object]]:
    where = {"case": case, "frame": frame, "slice": None, "class": label, "unit": "px", "source": "mask"}
    return [
        {**where, "descriptor": name, "component": component, "value": value, "lower": NAN, "upper": NAN}
        for name, numbers in values.items()
        for component, value in enumerate(numbers)
    ]


def table(*parts: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame([row for part in parts for row in part]).astype({"slice": "Int64"})


def complete() -> list[list[dict[str, object]]]:
    return [
        rows(case, frame, label, volume=[80.0 * n], centroid=[3.0, 5.0, 5.0 + 4 * n])
        for n, (case, frame) in enumerate([("anna", 1), ("anna", 7), ("bert", 0)], start=1)
        for label in CLASSES
    ]


def targets(
    numbers: pd.DataFrame,
    descriptors: tuple[str, ...] = ("volume", "centroid"),
    spacing: tuple[float, ...] | None = SPACING,
) -> Targets:
    return volume_targets(numbers, SAMPLES, CLASSES, descriptors, [FRAME] * 5, [spacing] * 5)


def test_every_slice_gets_its_volumes_numbers_in_the_prepared_frame() -> None:
    found = targets(table(*complete()))
    assert found.annotated.tolist() == [True] * 5
    assert found.values["volume"].shape == (5, 2, 1, 3)
    assert found.values["centroid"].shape == (5, 2, 3, 3)
    assert found.values["volume"][:, 1, 0, 0].tolist() == [10, 10, 30, 20, 30]
    assert found.values["centroid"][:, 0, 0, 0].tolist() == [3] * 5  # the slices' own axis stays
    assert found.values["centroid"][:, 0, 1, 0].tolist() == [2] * 5
    assert found.values["centroid"][:, 0, 2, 0].tolist() == [3, 3, 5, 4, 5]
    assert found.values["centroid"].dtype == torch.float32


def test_millimetres_become_slices_and_prepared_pixels() -> None:
    numbers = table(*complete())
    factor = np.where(
        numbers["descriptor"] == "volume", np.prod(SPACING), np.array(SPACING)[numbers["component"]]
    )
    in_mm = numbers.assign(value=numbers["value"] * factor, unit="mm")
    for name, values in targets(in_mm).values.items():
        torch.testing.assert_close(values, targets(numbers).values[name], equal_nan=True)
    for spacing in (None, SPACING[1:]):
        with pytest.raises(TableError, match=r"case anna frame 1, whole volume.*between slices.*found mm"):
            targets(in_mm, spacing=spacing)


def test_rows_about_slices_are_not_read() -> None:
    numbers = table(*complete())
    of_slices = numbers.assign(slice=0, value=1e9).astype({"slice": "Int64"})
    both = pd.concat([of_slices, numbers.sample(frac=1, random_state=0)], ignore_index=True)
    for name, values in targets(both).values.items():
        torch.testing.assert_close(values, targets(numbers).values[name], equal_nan=True)
    with pytest.raises(TableError, match="rows about whole volumes, found rows about slices only"):
        targets(of_slices)


def test_a_volume_without_rows_is_left_out() -> None:
    found = targets(table(*complete()[:2], *complete()[4:]))
    assert found.annotated.tolist() == [True, True, True, False, True]
    assert found.values["volume"][3].isnan().all()


def test_missing_rows_are_refused() -> None:
    numbers = table(*complete())
    with pytest.raises(TableError, match=r"case anna frame 7, whole volume.*centroid component 2 of LV"):
        targets(numbers.drop(index=15))
    with pytest.raises(TableError, match="case bert"):
        targets(table(*complete()[:4]))


def test_absence_and_presence_need_one_row() -> None:
    numbers = complete()
    numbers[0] = rows("anna", 1, "RV", volume=[0.0])
    found = targets(presence_only(table(*numbers)))
    assert found.values["volume"][0, :, 0, 0].nan_to_num(-1).tolist() == [0, -1]
    assert found.values["volume"][0, 1, 0, 1] == 1 / 8
    assert found.values["centroid"].isnan().all()


def test_what_stretching_changes_is_refused() -> None:
    numbers = table(
        *[rows(*sample[:2], label, elongation=[0.3]) for sample in SAMPLES[1:4] for label in CLASSES]
    )
    with pytest.raises(ArgumentError, match=r"`descriptor`.*elongation"):
        targets(numbers, ("elongation",))


def test_real_volumes_agree_with_the_prepared_masks(real_acdc: Path, tmp_path: Path) -> None:
    study = find_cases(real_acdc)
    study = Study(study.cases[:4], study.classes, study.layout)
    names = ("volume", "centroid", "spread", "covariance")
    preprocessing = Preprocessing((160, 160), spacing=1.5)
    prepared = prepare_images(study.cases, preprocessing, tmp_path)
    masks = torch.from_numpy(np.array(prepare_masks(study.cases, study.classes, preprocessing, tmp_path)))
    about = prepared.samples, study.classes, names, prepared.frames
    found = volume_targets(describe(study, descriptors=names, whole=True), *about, prepared.spacings)
    thick = [case.read_image().spacing for case in study.cases]
    assert prepared.spacings == [thick[number] for number in prepared.cases]
    in_mm = describe(study, descriptors=names, whole=True, unit="mm")
    for name, values in volume_targets(in_mm, *about, prepared.spacings).values.items():
        torch.testing.assert_close(values, found.values[name], rtol=1e-4, atol=1e-4, equal_nan=True)
    for number in range(4):
        mine = torch.tensor(prepared.cases) == number
        solid = torch.nn.functional.one_hot(masks[mine].long(), 4).movedim(-1, 0)[None, 1:].float()
        for name, tolerance in {"volume": 0.03, "centroid": 0.4, "spread": 0.2}.items():
            moved = found.values[name][mine][:, :, :, 0]
            assert (moved == moved[:1]).all()
            scale = moved[0] if name == "volume" else 1
            assert ((registry.get(name).function(solid)[0] - moved[0]) / scale).abs().max() < tolerance


def test_slices_and_volumes_of_one_table_live_side_by_side(real_acdc: Path) -> None:
    study = find_cases(real_acdc)
    study = Study(study.cases[:1], study.classes, study.layout)
    both = pd.concat([describe(study), describe(study, whole=True)], ignore_index=True)
    depth, height, width = study.cases[0].read_image().image.shape
    samples = [(study.cases[0].name, study.cases[0].frame, index) for index in range(depth)]
    frames = [Frame.resize((height, width), (128, 128))] * depth
    about = samples, study.classes, ("volume",), frames, [None] * depth
    of_slices, of_volume = table_targets(both, *about), volume_targets(both, *about)
    summed = of_slices.values["volume"][..., 0].sum(0)
    torch.testing.assert_close(of_volume.values["volume"][0, ..., 0], summed)
