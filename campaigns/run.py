"""Run a campaign: every arm of a plan with every seed, several at once, and the table that they come to.

    python campaigns/run.py campaigns/acdc.yaml --data DATA --out RUNS [--jobs 2] [--arms A,B] [--seeds 0,1]
    python campaigns/run.py campaigns/acdc.yaml --out RUNS --table [--markdown]
    python campaigns/run.py campaigns/acdc.yaml --out RUNS --keep
    python campaigns/run.py campaigns/acdc.yaml --table [--markdown]

A plan names overrides for all its arms, its seeds, and of each arm the experiment it is based on with
overrides of its own. Runs are RUNS/ARM_sSEED. One that is finished is left alone, one that was interrupted
goes on; the first seed of every arm comes before the second of any. The table: of every arm the mean over
seeds of each class's test Dice, of their mean with its standard deviation over seeds, of HD95, and the mean
as a fraction of what the plan's first arm has. Arms with fewer seeds than the plan asks for stand in a table
of their own. Named on standard error: what is not finished, and folders that hold a run of another
experiment, or of more epochs; no table has them, and no campaign runs with them.
To keep results is to add those of runs whose arm and seed are not kept yet to PLAN.csv, beside the plan; the
table without a folder of runs is that of what is kept.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from command_line import Parser, seeds, whole_number
from commits import commit, commits, note_commit
from kept import keep, read_kept
from plan import Plan, Run, read_plan
from results import left_out, markdown, mean_dice, over_seeds, results, table, unfinished

from shapewise.errors import DataError, RunError


def check(runs: Sequence[Run], data: Path) -> None:
    """Find now what would stop a run hours from now.

    Raises:
        DataError: there is no data folder.
        ConfigError: the experiment of a run is missing, or a key or value in it is bad.
        RunError: a run's folder holds another experiment, or a broken record.
    """
    if not data.is_dir():
        found = "a file" if data.exists() else "none"
        raise DataError(data, expected="a data folder", found=found)
    for run in runs:
        _ = run.asked  # what is wrong with it is told before the first run
        if run.another:
            expected = f"{run.arm} with seed {run.seed}, or nothing (choose another --out, or remove it)"
            raise RunError(run.folder, expected=expected, found=f"a run with {run.another}")
        if run.files.record_file.exists():
            commits(run.files)


def work(run: Run, data: Path) -> bool:
    """Train and evaluate, one thread; the log lies beside the run folder. Says whether it went well."""
    train = ["train", str(run.experiment), "--data", str(data), "--out", str(run.folder), *run.overrides]
    log, now = run.folder.with_name(f"{run.folder.name}.log"), commit()
    for command in (train, ["evaluate", str(run.folder)]):
        with log.open("a") as opened:
            code = subprocess.run(
                [sys.executable, "-m", "shapewise", *command],
                stdout=opened,
                stderr=opened,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                check=False,
            ).returncode
        if command is train:
            note_commit(run.files, now)
        see = f", see {log}" if code else ""
        print(f"{run.arm} seed {run.seed}: {command[0]} ended with {code}{see}", flush=True)
        if code:
            return False
    return True


def arguments() -> Parser:
    """What the command line may say."""
    parser = Parser(__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--out", type=Path, help="folder of the run folders")
    parser.add_argument("--data", type=Path, help="data folder")
    parser.add_argument("--jobs", type=whole_number(1), default=2, help="runs at once, one thread each")
    parser.add_argument("--arms", default="", help="only these, separated by commas")
    parser.add_argument(
        "--seeds", type=seeds, default=[], help="these instead of the plan's, separated by commas"
    )
    parser.add_argument("--table", action="store_true", help="print the table, run nothing")
    parser.add_argument("--keep", action="store_true", help="keep what is finished in PLAN.csv, run nothing")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    return parser


def show(plan: Plan, found: pd.DataFrame, whole: float, *, in_markdown: bool) -> None:
    """Print the table, and apart from it the trials: arms with fewer seeds than the plan asks for."""
    shown = table(found, plan, whole)
    trials = (over_seeds(found)["seeds"] < len(plan.seeds)).to_numpy()
    parts = [("", shown[~trials]), (f"With fewer than {len(plan.seeds)} seeds:\n\n", shown[trials])]
    written = [
        heading + (markdown(part) if in_markdown else part.to_string(index=False))
        for heading, part in parts
        if len(part)
    ]
    print("\n\n".join(written))


def show_kept(plan: Plan, arms: Sequence[str], *, in_markdown: bool) -> None:
    """Print the table of what is kept."""
    found = read_kept(plan)
    shown = found[found["arm"].isin(arms)] if arms else found
    show(plan, shown, mean_dice(found, plan.first), in_markdown=in_markdown)


def show_runs(plan: Plan, runs: Sequence[Run], first: Sequence[Run], *, in_markdown: bool) -> None:
    """Print the table of finished runs, as fractions of what the first arm's have."""
    measured = [run for run in first if run.finished]
    whole = mean_dice(results(measured), plan.first) if measured else math.nan
    show(plan, results(runs), whole, in_markdown=in_markdown)
    for line in left_out(runs):
        print(line, file=sys.stderr)
    if left := unfinished(runs):
        print(f"not finished: {left}", file=sys.stderr)


def main() -> None:
    """Read the command line."""
    parser = arguments()
    given = parser.parse_args()
    if given.markdown and not given.table:
        parser.error("--markdown: expected --table beside it, found none")
    if given.out is None and (given.seeds or not given.table):
        parser.error("--out: expected the folder of the run folders, found none")
    with parser.errors_in_a_line():
        plan = read_plan(given.plan)
        arms = [arm for arm in given.arms.split(",") if arm]
        if given.out is None:
            plan.check(arms)
            show_kept(plan, arms, in_markdown=given.markdown)
            return
        runs = plan.runs(given.out, arms, given.seeds)
        if given.keep:
            print(f"kept: {', '.join(keep(plan, results(runs))) or 'nothing new'}")
        if given.table:
            first = plan.runs(given.out, [plan.first], given.seeds)
            show_runs(plan, runs, first, in_markdown=given.markdown)
        if given.keep or given.table:
            return
        if given.data is None:
            parser.error("--data: expected a data folder, found none")
        left = [run for run in runs if not run.finished]
        check(left, given.data)
        given.out.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(given.jobs) as pool:
            went_well = list(pool.map(lambda run: work(run, given.data), left))
        sys.exit(not all(went_well))


if __name__ == "__main__":
    main()
