"""Which patient a run learns from, selects by and is tested on, written down once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import pandas as pd

from shapewise.data.cases import Case, Study, file_table
from shapewise.data.images import bytes_of
from shapewise.data.splits import NEW, read_split_table
from shapewise.errors import DataError, RunError
from shapewise.run_folder import RunFolder, write_text

logger = logging.getLogger(__name__)


def write_split(run: RunFolder, split: Mapping[str, list[Case]]) -> None:
    """Write which patient is in which split, and which files each case has."""
    files = pd.concat([file_table(cases).assign(split=name) for name, cases in split.items()])
    write_text(run.cases_file, files.to_csv(index=False))
    write_text(run.split_file, _patients(split).to_csv(index=False))


def check_split(run: RunFolder, split: Mapping[str, list[Case]]) -> None:
    """Compare with the split that a run has written down; a run without one may start with any.

    Raises:
        RunError: the data folder has other patients or images than it had. It may have moved.
        DataError: the split that was written down cannot be read.
    """
    if not run.split_file.exists():
        return
    written, found = (
        dict(zip(frame["patient"], frame["split"], strict=True))
        for frame in (read_split_table(run.split_file), _patients(split))
    )
    changed = sorted(
        patient for patient in written.keys() | found.keys() if written.get(patient) != found.get(patient)
    )
    if changed:
        patient = changed[0]
        was, now = (shares.get(patient, "no split") for shares in (written, found))
        expected = f"the patients that the run began with, {patient} in {was}"
        raise RunError(run.split_file, expected=expected, found=f"{patient} in {now}")
    sizes = _sizes(run)
    for case in (case for cases in split.values() for case in cases):
        if sizes.get((case.name, case.frame)) != bytes_of(case.image):
            expected = f"the image that the run began with, {sizes.get((case.name, case.frame))} bytes"
            raise RunError(case.image, expected=expected, found=f"{bytes_of(case.image)} bytes")


def read_split(run: RunFolder, study: Study, name: str) -> Study:
    """Pick the cases of one split as the run wrote it down, or of patients that are new to the run.

    These are `new`, and where a data folder has nobody else they are what `test` means.

    Raises:
        RunError: the run has no such split.
        DataError: the run has no split file, or the data folder no new patients, or not all of the split.
    """
    written = read_split_table(run.split_file)
    there, known = {case.patient for case in study.cases}, set(written["patient"])
    _warn_of_namesakes(run, [case for case in study.cases if case.patient in known])
    if name == NEW or (name == "test" and not there & known):
        patients = there - known
        if not patients:
            raise DataError("data folder", expected="patients that the run has in no split", found="none")
        if name != NEW:
            logger.warning("the run knows none of these patients: all %d are tested on", len(patients))
    else:
        patients = set(written.loc[written["split"] == name, "patient"])
        if not patients:
            expected = f"a split among {', '.join(sorted({NEW, *written['split']}))}"
            raise RunError(run.split_file, expected=expected, found=name)
    cases = [case for case in study.cases if case.patient in patients]
    if missing := sorted(patients - there):
        expected = f"patient {missing[0]} of the split {name}"
        found = "no such case" + " (--split new measures the others)" * bool(there - known)
        raise DataError("data folder", expected=expected, found=found)
    return Study(cases, study.classes, study.layout)


def _warn_of_namesakes(run: RunFolder, cases: Sequence[Case]) -> None:
    """Say that patients are told apart by name, where one that the run knows has another image now."""
    try:
        sizes = _sizes(run)
    except RunError:
        return  # an older run, that has not written them down
    other = [case for case in cases if sizes.get((case.name, case.frame)) != bytes_of(case.image)]
    if other:
        message = (
            "patients are told apart by name, and %d images of known ones are others than in training: %s"
        )
        logger.warning(message, len(other), other[0].image)


def _sizes(run: RunFolder) -> dict[tuple[str, int], int]:
    """Bytes of the image of every case and frame that the run began with; raises `RunError` without them."""
    try:
        cases = pd.read_csv(run.cases_file, dtype={"case": str}, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise RunError(run.cases_file, expected="the cases of the run", found=error) from None
    if lacking := {"case", "frame", "bytes"} - set(cases):
        expected = f"the column {min(lacking)}, as the training wrote it"
        raise RunError(run.cases_file, expected=expected, found="none")
    return dict(zip(zip(cases["case"], cases["frame"], strict=True), cases["bytes"], strict=True))


def _patients(split: Mapping[str, list[Case]]) -> pd.DataFrame:
    pairs = [(case.patient, name) for name, cases in split.items() for case in cases]
    return pd.DataFrame(dict.fromkeys(pairs).keys(), columns=["patient", "split"])
