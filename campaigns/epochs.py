"""Ask what could choose a run's best epoch where no validation case has a mask.

    python campaigns/epochs.py RUN [RUN ...]

Of every run: the validation Dice of its best epoch, and how much of it is lost in the epoch that another
measure would have kept: most bounds that hold (`satisfied`), least mean distance from the bounds
(`violation`), or simply the last. No test result is read. Runs whose log lacks one of these are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from command_line import Parser

from shapewise.errors import RunError
from shapewise.run_folder import RunFolder
from shapewise.training.log import read_log


def losses(log: pd.DataFrame) -> Mapping[str, float] | None:
    """What each choice costs in validation Dice, beside the best; None if the log does not tell."""
    # Logs of older code have no mean of the shares.
    shares = log.filter(like="val_satisfied_").mean(axis=1)
    if not {"val_dice", "val_violation"} <= set(log) or shares.isna().all():
        return None
    log = log.dropna(subset=["val_dice", "val_violation"])
    if log.empty:
        return None
    log = log[::-1]  # of equals the later epoch is kept
    dice = log["val_dice"]
    chosen = {
        "satisfied": shares[log.index].idxmax(),
        "violation": log["val_violation"].idxmin(),
        "last": log.index[0],
    }
    return {"best": dice.max()} | {name: dice.max() - dice[row] for name, row in chosen.items()}


def main() -> None:
    """Read the command line."""
    parser = Parser(__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of finished runs")
    given = parser.parse_args()
    with parser.errors_in_a_line():
        found = {str(run): losses(read_log(RunFolder(run).log_file)) for run in given.runs}
        told = {name: each for name, each in found.items() if each is not None}
        if not told:
            expected = "a log with val_dice, val_violation and val_satisfied_DESCRIPTOR"
            raise RunError(given.runs[0], expected=expected, found="none in any run")
        table = pd.DataFrame(told).T
        print(pd.concat([table, table.agg(["mean", "max"])]).round(3).to_string())
        if left := sorted(found.keys() - told.keys()):
            print(f"left out: {', '.join(left)}", file=sys.stderr)


if __name__ == "__main__":
    main()
