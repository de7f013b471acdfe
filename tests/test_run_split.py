from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from shapewise.data.cases import Case, Study
from shapewise.errors import DataError, RunError
from shapewise.run_folder import RunFolder
from shapewise.run_split import check_split, read_split, write_split


def case(patient: str, frame: int = 1, folder: Path = Path()) -> Case:
    return Case(patient, patient, frame, folder / f"{patient}_{frame}.nii.gz", None)


SPLIT = {"train": [case("a"), case("a", 2)], "validation": [case("b")], "test": [case("c")]}
STUDY = Study([case for cases in SPLIT.values() for case in cases], ("LV",), "acdc")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    write_split(RunFolder(tmp_path), SPLIT)
    return RunFolder(tmp_path)


def test_what_is_written_reads_back(run: RunFolder) -> None:
    for name, cases in SPLIT.items():
        assert read_split(run, STUDY, name).cases == cases


def test_the_same_split_may_go_on(run: RunFolder, tmp_path: Path) -> None:
    check_split(run, SPLIT)
    check_split(RunFolder(tmp_path / "new"), SPLIT)


@pytest.mark.parametrize(
    "other",
    [
        {**SPLIT, "test": [case("c"), case("d")]},
        {**SPLIT, "test": []},
        {"train": [case("b")], "validation": [case("a")], "test": [case("c")]},
    ],
)
def test_another_split_would_test_on_patients_that_were_trained_on(
    run: RunFolder, other: dict[str, list[Case]]
) -> None:
    with pytest.raises(RunError, match="the patients that the run began with"):
        check_split(run, other)


def test_a_split_that_does_not_exist_is_named(run: RunFolder) -> None:
    with pytest.raises(RunError, match="new, test, train, validation, found tests"):
        read_split(run, STUDY, "tests")


def test_patients_that_the_run_has_not_seen_are_new(run: RunFolder) -> None:
    others = [case("d"), case("d", 2), case("e")]
    grown = Study([*STUDY.cases, *others], ("LV",), "acdc")
    assert read_split(run, grown, "new").cases == others
    assert read_split(run, grown, "test").cases == SPLIT["test"]
    with pytest.raises(DataError, match="patients that the run has in no split, found none"):
        read_split(run, STUDY, "new")


def test_a_folder_of_new_patients_alone_is_a_test(run: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    others = Study([case("d"), case("d", 2), case("e")], ("LV",), "acdc")
    assert read_split(run, others, "test").cases == others.cases
    assert "the run knows none of these patients: all 2 are tested on" in caplog.text
    with pytest.raises(DataError, match="patient b of the split validation"):
        read_split(run, others, "validation")


def test_namesakes_are_doubted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder, content in ((ours, "1234"), (theirs, "12345")):
        folder.mkdir()
        (folder / "a_1.nii.gz").write_text(content)
    run = RunFolder(tmp_path)
    write_split(run, {"test": [case("a", folder=ours)]})
    for folder, frame, doubts in ((ours, 1, 0), (theirs, 1, 1), (ours, 2, 2)):
        read_split(run, Study([case("a", frame, folder)], ("LV",), "acdc"), "test")
        assert caplog.text.count("told apart by name, and 1 images of known ones are others") == doubts


def test_patients_that_are_gone_are_named(run: RunFolder) -> None:
    with pytest.raises(DataError, match=r"patient c of the split test, found no such case$"):
        read_split(run, Study([case("a")], ("LV",), "acdc"), "test")
    with pytest.raises(DataError, match=r"found no such case \(--split new measures the others\)$"):
        read_split(run, Study([case("a"), case("d")], ("LV",), "acdc"), "test")


@pytest.mark.parametrize("content", ["", "patient\na\n", "x,y\n1,2\n"])
def test_a_broken_split_file_is_named(run: RunFolder, content: str) -> None:
    run.split_file.write_text(content)
    with pytest.raises(DataError, match=r"split\.csv"):
        read_split(run, STUDY, "test")


@pytest.mark.parametrize("name", ["NA", "nan", "null", "None"])
def test_a_patient_may_be_called_what_pandas_takes_for_nothing(tmp_path: Path, name: str) -> None:
    split = {"train": [case("a")], "test": [case(name)]}
    run = RunFolder(tmp_path)
    write_split(run, split)
    check_split(run, split)
    assert read_split(run, Study([case("a"), case(name)], ("LV",), "acdc"), "test").cases == split["test"]


def test_other_images_of_the_same_names_are_refused(tmp_path: Path) -> None:
    image = tmp_path / "a_1.nii.gz"
    image.write_bytes(b"1234")
    split = {"train": [case("a", folder=tmp_path)]}
    run = RunFolder(tmp_path)
    write_split(run, split)
    check_split(run, split)
    image.write_bytes(b"12345")
    with pytest.raises(RunError, match=r"a_1\.nii\.gz: .* 4 bytes, found 5 bytes"):
        check_split(run, split)


@pytest.mark.parametrize("name", ["heart.nii.gz", "heart [1].nii", "heart.mhd", "series"])
def test_an_image_that_has_changed_is_named(tmp_path: Path, name: str) -> None:
    image = tmp_path / name
    voxels = {"heart.mhd": tmp_path / "heart.zraw", "series": image / "1.dcm"}.get(name, image)
    voxels.parent.mkdir(exist_ok=True)
    voxels.write_bytes(b"seven")
    if name == "heart.mhd":
        image.write_text("ElementDataFile = heart.zraw")
    (tmp_path / "heart.png").write_bytes(b"a picture beside it")
    split = {"train": [Case("a", "a", 1, image, None)]}
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write_split(run, split)
    check_split(run, split)
    voxels.write_bytes(b"eight!")
    with pytest.raises(RunError, match="the image that the run began with"):
        check_split(run, split)


def test_a_column_that_somebody_took_away_is_named(run: RunFolder) -> None:
    pd.read_csv(run.cases_file).drop(columns="bytes").to_csv(run.cases_file, index=False)
    with pytest.raises(RunError, match=r"cases\.csv: expected the column bytes.*found none"):
        check_split(run, SPLIT)
