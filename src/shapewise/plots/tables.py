"""Reads what training and evaluation wrote into a run folder, and refuses what is no longer whole."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from shapewise.errors import RunError

KEYS = {
    "metrics": ("case", "frame", "class"),
    "scans": ("case", "frame", "patient", "image"),
    "log": ("epoch",),
    "values": ("class", "descriptor"),
    "volumes": ("case", "frame", "class"),
    "biomarkers": ("patient", "quantity"),
}
"""What every row of a table has; no two rows have the same, but in the values."""

COLUMNS = {
    "metrics": (*KEYS["metrics"], "dice"),
    "scans": (*KEYS["scans"], "phase", "mask", "bytes"),
    "log": KEYS["log"],
    "values": (*KEYS["values"], "satisfied"),
    "volumes": (*KEYS["volumes"], "phase", "volume_ml"),
    "biomarkers": (*KEYS["biomarkers"], "predicted", "reference"),
}
"""The columns that the figures read."""

TEXTS = ("case", "patient", "phase", "class", "descriptor", "quantity", "image", "mask", "satisfied")


def read_result(folder: Path, name: str) -> pd.DataFrame | None:
    """Read `folder/name.csv`; None where there is none.

    Raises:
        RunError: The file is no table, lacks a column, or has a row that is cut off, is there twice, says
            nothing where it must, or has text where a number belongs. Rows count from the header, row 1.
    """
    path = folder / f"{name}.csv"
    if not path.exists():
        return None
    frame = _read(path)
    if missing := [column for column in COLUMNS[name] if column not in frame]:
        expected = f"the columns {', '.join(COLUMNS[name])}"
        raise RunError(path, expected=expected, found=f"none named {', '.join(missing)}")
    for column in KEYS[name]:
        refuse(path, frame[column].isna(), expected=f"the {column}", found="none")
    keys = list(KEYS[name])
    if name != "values":
        again = frame.duplicated(keys)
        refuse(path, again, expected=f"one row for every {', '.join(keys)}", found="it again")
    return frame


def require_result(folder: Path, name: str) -> pd.DataFrame:
    """Read what every evaluation writes; raises `RunError` where it is not there, or not whole."""
    found = read_result(folder, name)
    if found is None:
        expected = f"{name}.csv (run `shapewise evaluate {folder}` first)"
        raise RunError(folder, expected=expected, found="no such file")
    return found


def refuse(path: Path, bad: pd.Series[bool], *, expected: str, found: str) -> None:
    """Raise `RunError` that names the first bad row, if there is one."""
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise RunError(f"{path} row {row + 2}", expected=expected, found=found)


def _read(path: Path) -> pd.DataFrame:
    try:
        content = path.read_bytes()
        frame = pd.read_csv(
            path,
            dtype=dict.fromkeys(TEXTS, str),
            skip_blank_lines=False,
            keep_default_na=False,  # somebody may be called NA
            na_values=[""],
        )
    except (OSError, ValueError) as error:
        raise RunError(path, expected="a CSV table", found=error) from None
    if not content.endswith(b"\n"):
        row = content.count(b"\n") + 1
        raise RunError(f"{path} row {row}", expected="a whole row", found="the end of the file in it")
    for column in frame.columns.difference(list(TEXTS)):
        text = pd.to_numeric(frame[column], errors="coerce").isna() & frame[column].notna()
        refuse(path, text, expected=f"a number in the column {column}", found="text")
    return frame


def check_metrics(path: Path, metrics: pd.DataFrame, scans: pd.DataFrame) -> None:
    """Refuse metrics that cannot be the whole of an evaluation.

    Args:
        path: Where they were read.
        metrics: A row a case, frame and class.
        scans: What the same evaluation predicted, masks or not.

    Raises:
        RunError: A Dice is outside 0 to 1 or missing, or see `check_scans`.
    """
    wrong = ~metrics["dice"].between(0, 1)
    refuse(path, wrong, expected="a Dice from 0 to 1", found="another or none")
    check_scans(path, metrics, scans[scans["mask"].notna()], metrics["class"].nunique())


def check_scans(path: Path, table: pd.DataFrame, scans: pd.DataFrame, classes: int) -> None:
    """Refuse a table that has not a row for each class of these scans; raises `RunError`."""
    few = table.groupby(["case", "frame"])["class"].transform("size") < classes
    expected = f"a row for each of {classes} classes of its case and frame"
    refuse(path, few, expected=expected, found="fewer")
    again = f"`shapewise evaluate {path.parent}` writes it again"
    measured = pd.MultiIndex.from_frame(table[["case", "frame"]])
    wanted = pd.MultiIndex.from_frame(scans[["case", "frame"]])
    foreign = pd.Series(~measured.isin(wanted), index=table.index)
    refuse(path, foreign, expected=f"a scan that scans.csv has too ({again})", found="another")
    if len(gone := wanted[~wanted.isin(measured)]):
        case, frame = gone[0]
        raise RunError(path, expected=f"rows of {case} frame {frame} ({again})", found="none")
