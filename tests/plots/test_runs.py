from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from shapewise.errors import RunError
from shapewise.plots.runs import load_runs, reference_run
from shapewise.run_folder import RunFolder


def edit(path: Path, **columns: object) -> pd.DataFrame:
    frame = pd.read_csv(path).assign(**columns)
    frame.to_csv(path, index=False)
    return frame


def test_loads_every_table(finished_runs: list[Path]) -> None:
    pixels, barrier = load_runs(finished_runs)
    assert (pixels.label, barrier.label) == ("acdc pixels", "acdc barrier")
    assert pixels.classes == ["RV", "Myo", "LV"]
    assert len(pixels.scans) == 8
    assert len(pixels.evaluated) == 8
    assert pixels.values is not None
    assert pixels.biomarkers is not None
    assert pixels.seconds == pytest.approx(pd.read_csv(finished_runs[0] / "log.csv")["seconds"].sum())


def test_the_log_knows_the_training_time_best(two_runs: list[Path]) -> None:
    """A session that was cut off never came to write its time into the record."""
    RunFolder(two_runs[0]).update_record(train_seconds=4.5)
    log = pd.read_csv(two_runs[0] / "log.csv")
    assert load_runs(two_runs)[0].seconds == pytest.approx(log["seconds"].sum())
    log.drop(columns="seconds").to_csv(two_runs[0] / "log.csv", index=False)
    assert load_runs(two_runs)[0].seconds == 4.5


def test_finds_image_mask_and_prediction(finished_runs: list[Path]) -> None:
    run = load_runs(finished_runs)[0]
    case = run.case("patient002", 9)
    assert case is not None
    assert case.mask is not None
    assert case.image.exists()
    assert case.mask.exists()
    assert run.prediction("patient002", 9).exists()
    assert case.phase == "ES"
    assert run.case("patient099", 1) is None


def test_reference_is_the_pixel_run_wherever_it_stands(finished_runs: list[Path]) -> None:
    runs = load_runs(finished_runs[::-1])
    assert reference_run(runs) is runs[1]
    assert reference_run(runs[:1]) is None


def test_numeric_case_names_keep_their_zeros(two_runs: list[Path]) -> None:
    for name in ("metrics", "scans", "volumes"):
        edit(two_runs[0] / f"{name}.csv", case=lambda frame: frame["case"].str.removeprefix("patient"))
    assert load_runs(two_runs[:1])[0].metrics["case"].iloc[0] == "001"


@pytest.mark.parametrize("name", ["NA", "nan", "null", "None"])
def test_a_case_and_a_class_may_be_called_what_pandas_takes_for_nothing(
    name: str, two_runs: list[Path]
) -> None:
    for path in two_runs[0].glob("*.csv"):
        path.write_text(path.read_text().replace("patient001,", f"{name},").replace("LV,", f"{name},"))
    run = load_runs(two_runs[:1])[0]
    assert run.classes == ["RV", "Myo", name]
    assert (name, 1) in run.scans
    assert run.case(name, 1) is not None


def test_optional_tables_may_be_absent(two_runs: list[Path]) -> None:
    for name in ("log", "values", "biomarkers"):
        (two_runs[0] / f"{name}.csv").unlink()
    run = load_runs(two_runs[:1])[0]
    assert run.log is run.values is run.biomarkers is None
    assert run.seconds is None


def test_equal_names_are_told_apart_by_folder(two_runs: list[Path]) -> None:
    text = (two_runs[0] / "experiment.yaml").read_text()
    (two_runs[0] / "experiment.yaml").write_text(text.replace("acdc pixels", "acdc barrier"))
    assert [run.label for run in load_runs(two_runs)] == ["acdc barrier (pixels)", "acdc barrier (barrier)"]


def test_one_run_twice_gets_two_labels(finished_runs: list[Path]) -> None:
    labels = [run.label for run in load_runs([finished_runs[0]] * 2)]
    assert labels == ["acdc pixels (pixels)", "acdc pixels (pixels, 2)"]


def test_no_run_at_all() -> None:
    with pytest.raises(RunError, match="at least one run folder"):
        load_runs([])


def test_not_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"expected a run folder with run\.json"):
        load_runs([tmp_path])


def test_run_of_another_format(two_runs: list[Path]) -> None:
    (two_runs[0] / "run.json").write_text('{"format": 99, "versions": {"shapewise": "9.0"}}')
    with pytest.raises(RunError, match=r"found format 99 of shapewise 9\.0"):
        load_runs(two_runs)


@pytest.mark.parametrize("name", ["metrics", "scans"])
def test_run_that_was_not_evaluated_says_what_to_do(name: str, two_runs: list[Path]) -> None:
    (two_runs[1] / f"{name}.csv").unlink()
    with pytest.raises(RunError, match=f"run `shapewise evaluate {two_runs[1]}` first"):
        load_runs(two_runs)


def cut_row(text: str) -> str:
    return text[:-9]


def cut_a_class(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def cut_a_scan(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-3])


def repeat_a_row(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines, lines[-1]])


def empty_a_row(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:3], "\n", *lines[4:]])


def change(column: str, value: str) -> Callable[[str], str]:
    def changed(text: str) -> str:
        lines = text.splitlines()
        cells = lines[3].split(",")
        cells[lines[0].split(",").index(column)] = value
        lines[3] = ",".join(cells)
        return "\n".join(lines) + "\n"

    return changed


MANGLED = {
    "a row cut off": (cut_row, r"metrics\.csv row 25: expected a whole row"),
    "a class gone": (cut_a_class, r"metrics\.csv row 23: expected a row for each of 3 classes"),
    "a scan gone": (cut_a_scan, r"metrics\.csv: expected rows of patient004 frame 9 .*shapewise evaluate"),
    "a row twice": (repeat_a_row, r"metrics\.csv row 26: expected one row for every case, frame, class"),
    "an empty row": (empty_a_row, r"metrics\.csv row 4: expected the case, found none"),
    "no Dice": (change("dice", ""), r"metrics\.csv row 4: expected a Dice from 0 to 1"),
    "a lost decimal point": (change("dice", "93"), r"metrics\.csv row 4: expected a Dice from 0 to 1"),
    "text for a Dice": (change("dice", "0.9x"), r"metrics\.csv row 4: expected a number in the column dice"),
    "text for a distance": (change("hd95_mm", "?"), r"metrics\.csv row 4: expected a number in .* hd95_mm"),
}


@pytest.mark.parametrize("kind", MANGLED)
def test_mangled_metrics_are_refused_by_their_row(kind: str, two_runs: list[Path]) -> None:
    mangle, message = MANGLED[kind]
    path = two_runs[0] / "metrics.csv"
    path.write_text(mangle(path.read_text()))
    with pytest.raises(RunError, match=message):
        load_runs(two_runs[:1])


def drop_patient(path: Path, name: str) -> None:
    frame = pd.read_csv(path)
    frame[frame["case"] != name].to_csv(path, index=False)


def test_metrics_of_another_evaluation_are_refused(two_runs: list[Path]) -> None:
    drop_patient(two_runs[0] / "scans.csv", "patient002")
    with pytest.raises(RunError, match=r"metrics\.csv row 8: expected a scan that scans\.csv has too"):
        load_runs(two_runs[:1])


def test_what_has_no_mask_is_known_beside_what_has(two_runs: list[Path]) -> None:
    """As an evaluation leaves it where some test cases have masks."""
    for run in two_runs:
        edit(run / "scans.csv", mask=lambda frame: frame["mask"].mask(frame["case"] == "patient002"))
        drop_patient(run / "metrics.csv", "patient002")
    runs = load_runs(two_runs)
    assert all(run.measured and len(run.scans) == 8 for run in runs)
    assert runs[0].unmasked == {("patient002", 1), ("patient002", 9)}


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_without_masks_the_volumes_tell_which_scans_there_are(rows: int, bare_runs: list[Path]) -> None:
    path = bare_runs[0] / "scans.csv"
    pd.read_csv(path).head(rows).to_csv(path, index=False)
    with pytest.raises(RunError, match=r"volumes\.csv row \d+: expected a scan that scans\.csv has too"):
        load_runs(bare_runs[:1])


def test_volumes_that_lack_a_class_are_refused(bare_runs: list[Path]) -> None:
    path = bare_runs[0] / "volumes.csv"
    frame = pd.read_csv(path)
    frame[frame["class"] != "LV"].to_csv(path, index=False)
    with pytest.raises(RunError, match=r"volumes\.csv row 2: expected a row for each of 3 classes"):
        load_runs(bare_runs[:1])


def test_masks_of_other_cases_are_told_apart(two_runs: list[Path]) -> None:
    edit(two_runs[1] / "scans.csv", mask=lambda frame: frame["mask"].mask(frame["case"] == "patient002"))
    drop_patient(two_runs[1] / "metrics.csv", "patient002")
    with pytest.raises(RunError, match=r"expected the evaluated cases with masks of .* without patient002"):
        load_runs(two_runs)


def test_runs_that_saw_other_images_are_told_apart(bare_runs: list[Path]) -> None:
    """Of other data with the same names, for instance; there need not be a mask to tell it by."""
    edit(bare_runs[1] / "scans.csv", bytes=lambda frame: frame["bytes"] + (frame["case"] == "patient003"))
    with pytest.raises(RunError, match=r"expected the images that .* found another of patient003 frame 1"):
        load_runs(bare_runs)


@pytest.mark.parametrize("name", ["scans", "log", "values", "volumes", "biomarkers"])
def test_other_tables_must_be_whole_too(name: str, two_runs: list[Path]) -> None:
    path = two_runs[0] / f"{name}.csv"
    path.write_text(path.read_text()[:-3])
    with pytest.raises(RunError, match=rf"{name}\.csv row \d+: expected a whole row"):
        load_runs(two_runs[:1])


def test_metrics_without_a_row(two_runs: list[Path]) -> None:
    path = two_runs[0] / "metrics.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(RunError, match=r"metrics\.csv: expected rows of patient001 frame 1 .*evaluate"):
        load_runs(two_runs)


def test_without_masks_the_predicted_scans_count(bare_runs: list[Path]) -> None:
    run, _ = load_runs(bare_runs)
    assert not run.measured
    assert run.classes == ["RV", "Myo", "LV"]
    assert run.scans == {(f"patient{number:03d}", frame) for number in range(1, 5) for frame in (1, 9)}


def test_a_run_without_masks_is_not_compared_with_one_that_was_measured(
    bare_runs: list[Path], finished_runs: list[Path]
) -> None:
    with pytest.raises(
        RunError, match=rf"^{bare_runs[1]}: expected measured test cases, .* evaluate it again"
    ):
        load_runs([finished_runs[0], bare_runs[1]])


def test_missing_column_is_named(two_runs: list[Path]) -> None:
    path = two_runs[0] / "metrics.csv"
    pd.read_csv(path).drop(columns="dice").to_csv(path, index=False)
    with pytest.raises(RunError, match=r"metrics\.csv: .*found none named dice"):
        load_runs(two_runs)


def test_empty_file_is_no_table(two_runs: list[Path]) -> None:
    (two_runs[0] / "values.csv").write_text("")
    with pytest.raises(RunError, match=r"values\.csv: expected a CSV table"):
        load_runs(two_runs)


def test_other_cases_are_named(two_runs: list[Path]) -> None:
    for name in ("metrics", "scans", "volumes"):
        path = two_runs[1] / f"{name}.csv"
        frame = pd.read_csv(path)
        moved = frame["case"].replace("patient001", "patient050")
        frame.assign(case=moved)[frame["frame"] == 1].to_csv(path, index=False)
    with pytest.raises(RunError, match="without patient001 frame 1, patient001 frame 9") as caught:
        load_runs(two_runs)
    assert "with patient050 frame 1" in str(caught.value)
    assert str(two_runs[0]) in str(caught.value)


def test_a_scan_without_an_image_is_named(two_runs: list[Path]) -> None:
    edit(two_runs[0] / "scans.csv", image=lambda frame: frame["image"].mask(frame["case"] == "patient002"))
    with pytest.raises(RunError, match=r"scans\.csv row 4: expected the image, found none"):
        load_runs(two_runs)


def test_other_classes_are_named(two_runs: list[Path]) -> None:
    edit(two_runs[1] / "metrics.csv", **{"class": lambda frame: frame["class"].replace("LV", "Prostate")})
    with pytest.raises(RunError, match=r"expected the classes of .*RV, Myo, LV, found RV, Myo, Prostate"):
        load_runs(two_runs)


def test_equal_case_names_of_other_data(two_runs: list[Path]) -> None:
    path = two_runs[1] / "metrics.csv"
    edit(path, volume_ml_reference=lambda frame: frame["volume_ml_reference"] * 2)
    with pytest.raises(RunError, match="another reference volume of patient001 frame 1"):
        load_runs(two_runs)


def test_unknown_spacing_is_no_difference(two_runs: list[Path]) -> None:
    for run in two_runs:
        edit(run / "metrics.csv", volume_ml_reference=None)
    assert len(load_runs(two_runs)) == 2
