"""Run a campaign: every arm of a plan with every seed, several at once, and the table that they come to.

    python campaigns/run.py campaigns/acdc.yaml --data DATA --out RUNS [--jobs 2] [--arms A,B] [--seeds 0,1]
    python campaigns/run.py campaigns/acdc.yaml --out RUNS --table [--markdown]

A plan names overrides for all its arms, its seeds, and of each arm the experiment it is based on with
overrides of its own. Runs are RUNS/ARM_sSEED. One that is finished is left alone, one that was interrupted
goes on; the first seed of every arm comes before the second of any. The table: of every arm the mean over
seeds of each class's test Dice, of their mean with its standard deviation over seeds, of HD95, and the mean
as a fraction of what the plan's first arm has. Named on standard error: what is not finished, and folders
that hold a run of another experiment, or of more epochs; no table has them, and no campaign runs with them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from command_line import Parser, seeds, whole_number
from commits import commit, commits, note_commit
from plan import Run, read_plan
from results import left_out, markdown, mean_dice, results, table, unfinished

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
    parser.add_argument("--out", type=Path, required=True, help="folder of the run folders")
    parser.add_argument("--data", type=Path, help="data folder")
    parser.add_argument("--jobs", type=whole_number(1), default=2, help="runs at once, one thread each")
    parser.add_argument("--arms", default="", help="only these, separated by commas")
    parser.add_argument(
        "--seeds", type=seeds, default=[], help="these instead of the plan's, separated by commas"
    )
    parser.add_argument("--table", action="store_true", help="print the table, run nothing")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    return parser


def main() -> None:
    """Read the command line."""
    parser = arguments()
    given = parser.parse_args()
    if given.markdown and not given.table:
        parser.error("--markdown: expected --table beside it, found none")
    with parser.errors_in_a_line():
        plan = read_plan(given.plan)
        arms = [arm for arm in given.arms.split(",") if arm]
        runs = plan.runs(given.out, arms, given.seeds)
        if given.table:
            whole = mean_dice(plan.runs(given.out, [plan.first], given.seeds))
            shown = table(results(runs), plan.first, whole)
            print(markdown(shown) if given.markdown else shown.to_string(index=False))
            for line in left_out(runs):
                print(line, file=sys.stderr)
            if left := unfinished(runs):
                print(f"not finished: {left}", file=sys.stderr)
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
