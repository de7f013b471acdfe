"""Reads what training and evaluation wrote into a run folder, and refuses what is no longer whole."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from shapewise.errors import RunError

KEYS = {
    "metrics": ("case", "frame", "class"),
    "cases": ("case", "frame"),
    "log": ("epoch",),
    "values": ("class", "descriptor"),
    "volumes": ("case", "frame", "class"),
    "biomarkers": ("patient", "quantity"),
}
"""What every row of a table has; no two rows have the same, but in the values."""

COLUMNS = {
    "metrics": (*KEYS["metrics"], "dice"),
    "cases": (*KEYS["cases"], "image", "mask", "split"),
    "log": KEYS["log"],
    "values": (*KEYS["values"], "satisfied"),
    "volumes": (*KEYS["volumes"], "phase", "volume_ml"),
    "biomarkers": (*KEYS["biomarkers"], "predicted", "reference"),
}
"""The columns that the figures read."""

TEXTS = ("case", "patient", "phase", "class", "descriptor", "quantity", "image", "mask", "split", "satisfied")


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
        refuse(path, frame[column].isna(), expected=f"a {column}", found="none")
    keys = list(KEYS[name])
    if name != "values":
        again = frame.duplicated(keys)
        refuse(path, again, expected=f"one row for every {', '.join(keys)}", found="it again")
    return frame


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


def check_metrics(
    path: Path, metrics: pd.DataFrame, cases: pd.DataFrame | None, volumes: pd.DataFrame | None = None
) -> None:
    """Refuse metrics that cannot be the whole of an evaluation of the test split.

    Args:
        path: Where they were read.
        metrics: A row a case, frame and class.
        cases: The run's cases with their splits, if it has them, as they were when it was trained.
        volumes: What the same evaluation measured on every case, if it did.

    Raises:
        RunError: There is no row though cases had masks, a Dice outside 0 to 1 or none, a scan that lacks a
            class, or other scans than the test split's.
    """
    if metrics.empty:
        if not maskless(cases) and (volumes is None or volumes.empty):
            raise RunError(path, expected="one row a case, frame and class", found="no rows")
        return
    wrong = ~metrics["dice"].between(0, 1)
    refuse(path, wrong, expected="a Dice from 0 to 1", found="another or none")
    classes = metrics["class"].nunique()
    few = metrics.groupby(["case", "frame"])["class"].transform("size") < classes
    expected = f"a row for each of {classes} classes of its case and frame"
    refuse(path, few, expected=expected, found="fewer")
    if cases is not None:
        _check_scans(path, metrics, cases)


def maskless(cases: pd.DataFrame | None) -> bool:
    """Whether a run has test cases, and none of them a mask."""
    tested = None if cases is None else cases[cases["split"] == "test"]
    return tested is not None and len(tested) > 0 and bool(tested["mask"].isna().all())


def _check_scans(path: Path, metrics: pd.DataFrame, cases: pd.DataFrame) -> None:
    """Masks may have come since `cases.csv` was written: what has one more is no foreign scan."""
    measured = pd.MultiIndex.from_frame(metrics[["case", "frame"]])
    tested = cases[cases["split"] == "test"]
    again = f"`shapewise evaluate {path.parent}` writes it again"
    foreign = ~metrics["case"].isin(tested["case"])
    refuse(path, foreign, expected=f"a scan of the test split ({again})", found="another")
    wanted = pd.MultiIndex.from_frame(tested.loc[tested["mask"].notna(), ["case", "frame"]])
    if len(gone := wanted[~wanted.isin(measured)]):
        case, frame = gone[0]
        raise RunError(path, expected=f"rows of {case} frame {frame} ({again})", found="none")
