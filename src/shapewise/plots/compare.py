"""Runs in, a folder of tables, figures and one report out."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shapewise.errors import ArgumentError, DataError
from shapewise.plots.figures import PANELS, draw_panels
from shapewise.plots.report import report
from shapewise.plots.results import STEM, summarise, write_results
from shapewise.plots.runs import load_runs

REPORT = "report.html"
FILES = (*(f"{STEM}.{suffix}" for suffix in ("csv", "md", "tex")), *(panel.file for panel in PANELS), REPORT)
"""Everything that a comparison may write, the report last."""


def compare(runs: Sequence[Path], out: Path) -> Path:
    """Compare trained and evaluated runs: Table 1, the figures, and report.html, which holds them all.

    Where no test case has a mask there is no Table 1: the report shows predictions and what they measure.

    Args:
        runs: Run folders, evaluated on the same scans. The first pixel-supervised one is the reference.
        out: Folder to write. An earlier comparison in it is replaced; other files in it stay.

    Returns:
        The report's path.

    Raises:
        RunError: A folder is no run, was not evaluated, or the runs were evaluated on different scans.
        DataError: An image or mask cannot be read, or the folder cannot be written. Nothing is half-written.
        ArgumentError: `out` is a file.
    """
    loaded = load_runs(runs)
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ArgumentError("out", expected="a folder to write into", found=f"the file {out}")
    command = shlex.join(["shapewise", "compare", *map(str, runs), "--out", str(out)])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
            folder = Path(name)
            results = summarise(loaded)
            if results:
                write_results(results, folder)
            drawn = draw_panels(loaded, folder)
            page = report(loaded, results, drawn, command=command)
            (folder / REPORT).write_text(page, encoding="utf-8")
            _move(folder, out)
    except OSError as error:
        found = error.strerror or error
        raise DataError(out, expected="a folder that can be written", found=found) from error
    return out / REPORT


def _move(folder: Path, out: Path) -> None:
    """Put the finished files in place, and take away an earlier comparison's that have no successor."""
    out.mkdir(exist_ok=True)
    for name in FILES:
        if (folder / name).exists():
            os.replace(folder / name, out / name)
        else:
            (out / name).unlink(missing_ok=True)
