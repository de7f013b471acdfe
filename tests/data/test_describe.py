from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from skimage.measure import regionprops

from shapewise.data.cases import Case, Study
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.table import COLUMNS, read_table, write_table
from shapewise.errors import ArgumentError, DataError

CLASSES = ("RV", "LV")


@pytest.fixture
def labels():
    """LV is 2 x 3 pixels on slice 0 and one pixel on slice 2; RV is on slice 1 alone."""
    labels = np.zeros((3, 8, 6), np.uint8)
    labels[0, 2:4, 1:4] = 2
    labels[1, 5, 2:5] = 1
    labels[2, 7, 5] = 2
    return labels


@pytest.fixture
def study(tmp_path, write_image, texture, labels):
    image = write_image(tmp_path / "a.nii.gz", texture, (5.0, 2.0, 1.5))
    mask = write_image(tmp_path / "a_gt.nii.gz", labels)
    return Study([Case("a", "a", 4, image, mask)], CLASSES, "acdc")


def number(table, index, label, descriptor):
    rows = table[(table["slice"] == index) & (table["class"] == label) & (table["descriptor"] == descriptor)]
    return rows.sort_values("component")["value"].tolist()


def test_numbers_in_pixels(study):
    table = describe(study, descriptors=("volume", "centroid", "spread", "covariance"))
    assert number(table, 0, "LV", "volume") == [6]
    assert number(table, 0, "LV", "centroid") == [2.5, 2.0]
    assert number(table, 0, "LV", "spread") == pytest.approx([0.5, np.sqrt(2 / 3)])
    assert number(table, 0, "LV", "covariance") == pytest.approx([0.25, 0, 2 / 3], abs=1e-6)
    assert number(table, 1, "RV", "centroid") == [5, 3]
    assert number(table, 2, "LV", "centroid") == [7, 5]
    assert set(table["unit"]) == {"px"}


def test_numbers_in_mm_use_the_spacing_within_the_slice(study):
    table = describe(study, descriptors=("volume", "centroid", "spread"), unit="mm")
    assert number(table, 0, "LV", "volume") == [6 * 2 * 1.5]
    assert number(table, 0, "LV", "centroid") == [2.5 * 2, 2.0 * 1.5]
    assert number(table, 0, "LV", "spread") == pytest.approx([0.5 * 2, np.sqrt(2 / 3) * 1.5])
    assert set(table["unit"]) == {"mm"}


def test_absent_class(study):
    table = describe(study)
    absent = table[(table["slice"] == 1) & (table["class"] == "LV")]
    assert number(table, 1, "LV", "volume") == [0]
    assert absent.loc[absent["descriptor"] != "volume", "value"].isna().all()
    present = table[(table["slice"] == 0) & (table["class"] == "LV")]
    assert present["value"].notna().all()


def test_columns_and_order(study):
    table = describe(study, descriptors=("centroid", "volume"))
    assert tuple(table.columns) == COLUMNS
    assert table[["case", "frame", "source"]].drop_duplicates().values.tolist() == [["a", 4, "mask"]]
    assert table["lower"].isna().all()
    assert table["upper"].isna().all()
    order = table[["slice", "class", "descriptor", "component"]].head(7).values.tolist()
    assert order[:4] == [
        [0, "RV", "centroid", 0],
        [0, "RV", "centroid", 1],
        [0, "RV", "volume", 0],
        [0, "LV", "centroid", 0],
    ]
    assert order[6] == [1, "RV", "centroid", 0]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_holds_the_same_numbers(study, tmp_path, ending):
    table = describe(study)
    write_table(table, tmp_path / f"table.{ending}")
    again = read_table(tmp_path / f"table.{ending}", CLASSES)
    pd.testing.assert_frame_equal(again.drop(columns="value"), table.drop(columns="value"))
    np.testing.assert_array_equal(again["value"].astype("f4"), table["value"].astype("f4"))


def test_cases_without_mask_are_left_out(study, tmp_path):
    bare = Case("b", "b", 0, study.cases[0].image, None)
    table = describe(Study([bare, *study.cases], CLASSES, "acdc"), descriptors=("volume",))
    assert set(table["case"]) == {"a"}
    with pytest.raises(DataError, match=r"a\.nii\.gz: expected a mask of this image or another, found none"):
        describe(Study([bare], CLASSES, "acdc"))


def test_mm_need_a_known_spacing(study):
    placeholder = Case("a", "a", 0, study.cases[0].image, study.cases[0].mask, spacing_known=False)
    with pytest.raises(
        DataError, match=r"a\.nii\.gz: expected a known spacing, to measure in mm, found a placeholder"
    ):
        describe(Study([placeholder], CLASSES, "promise12"), unit="mm")


def test_bad_arguments(study):
    with pytest.raises(ArgumentError, match="`unit` to be px or mm, but got 'cm'"):
        describe(study, unit="cm")
    with pytest.raises(ArgumentError, match="did you mean 'volume'"):
        describe(study, descriptors=("volum",))
    with pytest.raises(ArgumentError, match="spacing"):
        describe(study, descriptors=("potts_length",), unit="mm")


def test_a_descriptor_twice(study):
    with pytest.raises(ArgumentError, match=r"`descriptors` to be names, each once, but got volume 2 times"):
        describe(study, descriptors=("volume", "spread", "volume"))


def test_mask_that_does_not_fit(study, write_image):
    write_image(study.cases[0].mask, np.zeros((3, 6, 8), np.uint8))
    with pytest.raises(DataError, match=r"a_gt\.nii\.gz: expected a mask of the image's shape"):
        describe(study)


def test_piped_output_has_no_progress_bar(study, capfd):
    describe(study, descriptors=("volume",))
    assert capfd.readouterr() == ("", "")


def test_real_slices_agree_with_regionprops(real_acdc):
    everyone = find_cases(real_acdc)
    study = Study(everyone.cases[:1], everyone.classes, everyone.layout)
    table = describe(study, descriptors=("volume", "centroid"))
    volume = study.cases[0].read_image()
    labels = study.cases[0].read_mask(study.classes, volume)
    for index, plane in enumerate(labels):
        for region in regionprops(plane):
            name = study.classes[region.label - 1]
            assert number(table, index, name, "volume") == [region.area]
            assert number(table, index, name, "centroid") == pytest.approx(region.centroid, rel=1e-6)


def test_whole_volumes_by_hand(study):
    names = ("volume", "centroid", "spread", "covariance", "third_moments", "length")
    table = describe(study, descriptors=names, whole=True)
    assert table["slice"].isna().all()
    counts = table[table["class"] == "LV"].groupby("descriptor", sort=False).size()
    assert counts.to_dict() == dict(zip(names, (1, 3, 3, 6, 10, 1), strict=True))
    assert whole(table, "LV", "volume") == [7]  # six on slice 0, at row 2.5, column 2; one on slice 2
    assert whole(table, "LV", "centroid") == pytest.approx([2 / 7, (6 * 2.5 + 7) / 7, (6 * 2 + 5) / 7])
    assert whole(table, "RV", "centroid") == [1, 5, 3]
    assert whole(table, "LV", "spread")[0] ** 2 == pytest.approx(4 / 7 - (2 / 7) ** 2)
    assert whole(table, "LV", "covariance")[0] == pytest.approx(whole(table, "LV", "spread")[0] ** 2)
    third = (6 * (-2 / 7) ** 3 + (12 / 7) ** 3) / 7
    assert whole(table, "LV", "third_moments")[0] == pytest.approx(third)


def whole(table, label, descriptor):
    rows = table[(table["class"] == label) & (table["descriptor"] == descriptor)]
    return rows.sort_values("component")["value"].tolist()


def test_whole_volumes_in_mm_know_how_thick_slices_are(study):
    table = describe(study, descriptors=("volume", "centroid"), unit="mm", whole=True)
    assert whole(table, "LV", "volume") == [7 * 5 * 2 * 1.5]
    assert whole(table, "RV", "centroid") == [5, 5 * 2, 3 * 1.5]


def test_a_class_that_a_whole_volume_lacks(study):
    table = describe(Study(study.cases, ("RV", "LV", "Myo"), "acdc"), whole=True)
    absent = table[table["class"] == "Myo"]
    assert whole(table, "Myo", "volume") == [0]
    assert absent.loc[absent["descriptor"] != "volume", "value"].isna().all()


def test_a_file_of_whole_volumes_and_slices(study, tmp_path):
    both = pd.concat([describe(study), describe(study, whole=True)], ignore_index=True)
    write_table(both, tmp_path / "table.csv")
    again = read_table(tmp_path / "table.csv", CLASSES)
    pd.testing.assert_frame_equal(again.drop(columns="value"), both.drop(columns="value"))


def test_what_has_no_3d_form_is_refused(study):
    with pytest.raises(ArgumentError, match="probs"):
        describe(study, descriptors=("hu_moments",), whole=True)
