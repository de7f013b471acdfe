from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shapewise.data.table import COLUMNS, check_suffix, read_table, write_table
from shapewise.errors import ArgumentError, TableError

HEADER = ",".join(COLUMNS)
VOLUME = "patient001,1,4,LV,volume,0,812,,,px,mask"
CENTROID = "patient001,1,4,LV,centroid,1,125.2,,,px,mask"


@pytest.fixture
def read(tmp_path):
    def read_rows(*rows, classes=None, header=HEADER):
        path = tmp_path / "table.csv"
        path.write_text("\n".join((header, *rows)) + "\n")
        return read_table(path, classes)

    return read_rows


def test_types_and_values(read):
    table = read(VOLUME, "patient001,1,4,RV,length,0,nan,,,px,report", classes=("RV", "LV"))
    assert tuple(table.columns) == COLUMNS
    assert table["slice"].dtype == "Int64"
    assert table["frame"].dtype == table["component"].dtype == "int64"
    assert table["value"].dtype == table["lower"].dtype == table["upper"].dtype == "float64"
    assert table.loc[0, ["case", "frame", "slice", "value", "source"]].tolist() == [
        "patient001",
        1,
        4,
        812,
        "mask",
    ]
    assert np.isnan(table["value"][1])


def test_whole_volume_has_no_slice_and_three_axes(read):
    table = read("patient001,1,,LV,centroid,2,14.5,,,mm,prior", VOLUME)
    assert table["slice"].isna().tolist() == [True, False]


def test_one_sided_and_open_bounds(read):
    table = read("patient001,1,4,LV,volume,0,,10,,px,click", "patient001,1,4,RV,volume,0,,-inf,9,px,click")
    np.testing.assert_array_equal(table["lower"], [10, -np.inf])
    np.testing.assert_array_equal(table["upper"], [np.nan, 9])


def test_names_that_look_like_nothing_or_numbers_stay_names(read):
    table = read("001,1,4,NA,volume,0,8,,,px,mask", "None,1,4,1,volume,0,8,,,px,mask")
    assert table["case"].tolist() == ["001", "None"]
    assert table["class"].tolist() == ["NA", "1"]


def test_other_columns_are_left_out(read):
    assert tuple(read(f"{VOLUME},checked twice", header=f"{HEADER},comment").columns) == COLUMNS


def test_bom_and_surrounding_spaces(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"{HEADER}\npatient001, 1, 4, LV , volume, 0, 8.5, , , px, mask\n", encoding="utf-8-sig")
    table = read_table(path, ("LV",))
    assert table.loc[0, ["class", "value", "unit"]].tolist() == ["LV", 8.5, "px"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("p,1,4,LV,volume,0,8,,,cm,mask", "expected unit to be one of px, mm, found 'cm'"),
        ("p,1,4,LV,volume,0,8,,,,mask", "expected a unit, found an empty cell"),
        (
            "p,1,4,LV,volume,0,8,,,px,guess",
            "expected source to be one of mask, click, prior, report, found 'guess'",
        ),
        ("p,1,4,LA,volume,0,8,,,px,mask", "expected class to be one of RV, LV, found 'LA'"),
        (",1,4,LV,volume,0,8,,,px,mask", "expected a case, found an empty cell"),
        ("p,1,4,LV,volume,1,8,,,px,mask", "expected a component that volume has, found component 1"),
        ("p,1,4,LV,centroid,2,8,,,px,mask", "expected a component that centroid has, found component 2"),
        ("p,1,,LV,centroid,3,8,,,px,mask", "expected a component that centroid has, found component 3"),
        ("p,1,4,LV,volume,-1,8,,,px,mask", "expected a whole number from 0 as component, found -1.0"),
        ("p,1,4,LV,volume,,8,,,px,mask", "expected a whole number from 0 as component, found nan"),
        ("p,x,4,LV,volume,0,8,,,px,mask", "expected a number as frame, found 'x'"),
        ("p,1,1.5,LV,volume,0,8,,,px,mask", "expected a whole number from 0 or nothing as slice, found 1.5"),
        ("p,1,inf,LV,volume,0,8,,,px,mask", "expected a whole number from 0 or nothing as slice, found inf"),
        ("p,1,4,LV,volume,0,big,,,px,mask", "expected a number as value, found 'big'"),
        ("p,1,4,LV,volume,0,inf,,,px,mask", "expected value to be from -1e+30 to 1e+30, found inf"),
        ("p,1,4,LV,centroid,0,-1e300,,,px,mask", "expected value to be from -1e+30 to 1e+30, found -1e+300"),
        ("p,1,4,LV,volume,0,8,inf,,px,mask", "expected lower to be from -1e+30 to 1e+30, or -inf, found inf"),
        (
            "p,1,4,LV,volume,0,8,,-inf,px,mask",
            "expected upper to be from -1e+30 to 1e+30, or inf, found -inf",
        ),
        ("p,1,4,LV,volume,0,-8,,,px,mask", "expected a volume from 0 as value, found -8.0"),
        ("p,1,4,LV,spread,1,-0.5,,,px,mask", "expected a spread from 0 as value, found -0.5"),
        ("p,1,4,LV,length,0,-3,,,px,mask", "expected a length from 0 as value, found -3.0"),
        ("p,1,4,LV,volume,0,,,-8,px,mask", "expected a volume from 0 as upper, found -8.0"),
        ("p,1,4,LV,covariance,2,-8,,,px,mask", "expected a variance from 0 as value, found -8.0"),
        ("p,1,,LV,covariance,5,-8,,,px,mask", "expected a variance from 0 as value, found -8.0"),
        ("p,1,4,LV,volume,0,8,9,,px,mask", "expected a value from its lower to its upper, found 8.0"),
        ("p,1,4,LV,centroid,0,8,2,7,px,mask", "expected a value from its lower to its upper, found 8.0"),
        ("p,1,4,LV,volume,0,8,9;5,,px,mask", "expected a number as lower, found '9;5'"),
        (
            "p,1,4,LV,volume,0,,9,7,px,mask",
            "expected lower bound at or below upper bound, found 9.0 and 7.0",
        ),
    ],
)
def test_bad_row(read, tmp_path, row, message):
    with pytest.raises(TableError) as caught:
        read(VOLUME, CENTROID, row, classes=("RV", "LV"))
    assert str(caught.value) == f"{tmp_path / 'table.csv'}, row 4: {message}"


def test_unknown_descriptor(read):
    with pytest.raises(
        TableError, match=r"row 3: expected descriptor to be one of .*, volume, .*, found 'volum'"
    ):
        read(CENTROID, VOLUME.replace("volume", "volum"))


@pytest.mark.parametrize("row", [VOLUME, VOLUME.replace("812", "7").replace("px", "mm")])
def test_duplicate(read, row):
    with pytest.raises(TableError, match="row 4: expected every number once, found a repetition of row 3"):
        read(CENTROID, VOLUME, row)


def test_duplicate_about_a_whole_volume(read):
    whole = VOLUME.replace(",4,", ",,")
    with pytest.raises(TableError, match="row 4: expected every number once, found a repetition of row 3"):
        read(VOLUME, whole, whole)


def test_blank_lines_count_as_rows(read):
    with pytest.raises(TableError, match="row 5: expected a number as value"):
        read(VOLUME, "", "", CENTROID.replace("125.2", "?"))
    assert len(read(VOLUME, "", CENTROID, "")) == 2


def test_missing_columns(read):
    with pytest.raises(TableError, match=r"table\.csv: expected the columns case, .*, found no unit, source"):
        read(VOLUME, header=HEADER.removesuffix(",unit,source") + ",a,b")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "expected at least one row, found none"),
        ([f"{VOLUME},more"], "row 2: expected 11 cells, as in the header, found more"),
        ([VOLUME, f"{VOLUME},more"], "expected a readable table, found an error: .*line 3, saw 12"),
    ],
)
def test_broken_table(read, rows, message):
    with pytest.raises(TableError, match=message):
        read(*rows)


@pytest.mark.parametrize("bounds", [",", "-inf,inf"])
def test_a_table_without_a_number(read, bounds):
    with pytest.raises(TableError, match=r"table\.csv: expected at least one number, found none"):
        read(VOLUME.replace("812,,", f",{bounds}"), CENTROID.replace("125.2", "nan"))


def test_signed_numbers_may_be_negative(read):
    rows = [VOLUME.replace("volume,0,812", f"covariance,1,{value}") for value in (-3, 0)]
    assert read(rows[0], rows[1].replace("LV", "RV"))["value"].tolist() == [-3, 0]


def test_a_table_knows_its_file(read, tmp_path):
    assert read(VOLUME).attrs["path"] == str(tmp_path / "table.csv")


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_full_disk_is_one_clear_error(tmp_path, name, full_disk):
    write_table(table_of([1.0]), tmp_path / name)
    with (
        full_disk(8192),
        pytest.raises(TableError, match=rf"{name}: expected a file that can be written, found"),
    ):
        write_table(table_of(np.random.default_rng(0).random(5000)), tmp_path / name)
    assert read_table(tmp_path / name)["value"].tolist() == [1.0]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TableError, match=r"table\.csv: expected a file that can be written"):
        write_table(table_of([1.0]), tmp_path / "file" / "table.csv")


@pytest.mark.parametrize("name", ["empty.csv", "empty.parquet"])
def test_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(TableError, match=f"{name}: expected a readable table"):
        read_table(tmp_path / name)


def test_missing_file_and_other_ending(tmp_path):
    with pytest.raises(TableError, match=r"none\.csv: expected a descriptor table, found no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(ArgumentError, match=r"expected a \.csv|to be a \.csv or \.parquet file"):
        write_table(pd.DataFrame(columns=list(COLUMNS)), tmp_path / "table.xlsx")


def table_of(values):
    count = len(values)
    index = np.arange(count)
    columns = {
        "case": pd.Series(["patient001"] * count, dtype=str),
        "frame": np.ones(count, np.int64),
        "slice": pd.Series(index, dtype="Int64").mask(index == 1),
        "class": pd.Series(["LV"] * count, dtype=str),
        "descriptor": pd.Series(["orientation"] * count, dtype=str),
        "component": np.zeros(count, np.int64),
        "value": np.asarray(values, np.float64),
        "lower": np.where(index % 2 == 0, np.nan, np.asarray(values, np.float64)),
        "upper": np.full(count, np.nan),
        "unit": pd.Series(["px"] * count, dtype=str),
        "source": pd.Series(["mask"] * count, dtype=str),
    }
    return pd.DataFrame(columns)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.floats(-(2.0**99), 2.0**99, width=32) | st.just(np.nan), min_size=1, max_size=6),
    ending=st.sampled_from(["csv", "parquet"]),
)
def test_float32_comes_back_as_it_was(tmp_path, values, ending):
    table = table_of([0.5, *values])
    write_table(table, tmp_path / f"table.{ending}")
    again = read_table(tmp_path / f"table.{ending}")
    numbers = ["value", "lower", "upper"]
    pd.testing.assert_frame_equal(
        again.astype(dict.fromkeys(numbers, "f4")), table.astype(dict.fromkeys(numbers, "f4"))
    )


def test_parquet_is_checked_like_csv(tmp_path):
    table = table_of([1.0, 2.0, 3.0])
    table.loc[2, "unit"] = "cm"
    write_table(table, tmp_path / "table.parquet")
    with pytest.raises(TableError, match=r"table\.parquet, row 4: expected unit"):
        read_table(tmp_path / "table.parquet")


def test_writing_replaces_whole_files_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "table.csv"
    write_table(table_of([1.0]), path)
    write_table(table_of([2.0, 3.0]), path)
    with pytest.raises(KeyError):
        write_table(pd.DataFrame({"case": ["a"]}), path)
    assert read_table(path)["value"].tolist() == [2.0, 3.0]
    assert list(path.parent.iterdir()) == [path]


def test_threads_that_write_one_table_at_once_do_not_meet(tmp_path):
    path = tmp_path / "table.csv"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda value: write_table(table_of([value] * 50), path), range(100)))
    assert read_table(path)["value"].nunique() == 1
    assert list(tmp_path.iterdir()) == [path]


def test_large_tables_read_fast(tmp_path):
    table = table_of(np.arange(70_000.0))
    write_table(table, tmp_path / "table.csv")
    start = time.process_time()
    assert len(read_table(tmp_path / "table.csv", ("LV",))) == 70_000
    assert time.process_time() - start < 2


@pytest.mark.parametrize("name", ["table.txt", "table", "table.csv.gz"])
def test_only_two_endings_name_a_table(tmp_path, name):
    with pytest.raises(ArgumentError, match=r"`path`.*\.csv or \.parquet"):
        check_suffix(tmp_path / name)
    assert [check_suffix(tmp_path / f"a.b{ending}") for ending in (".csv", ".parquet")] == [
        ".csv",
        ".parquet",
    ]
