"""Run a campaign: every arm of a plan with every seed, several at once, and the table that they come to.

    python campaigns/run.py campaigns/acdc.yaml --data DATA --out RUNS [--jobs 2] [--arms A,B]
    python campaigns/run.py campaigns/acdc.yaml --out RUNS --table

A plan names overrides for all its arms, its seeds, and of each arm the experiment it is based on with
overrides of its own. Runs are RUNS/ARM_sSEED. One that is finished is left alone, one that was interrupted
goes on; the first seed of every arm comes before the second of any. The table is markdown: the mean over
seeds of the mean test Dice, its standard deviation over seeds, and the fraction of the first finished arm's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml


@dataclass(frozen=True)
class Run:
    """One arm with one seed."""

    arm: str
    seed: int | str
    experiment: Path
    overrides: list[str]
    folder: Path

    def work(self, data: Path) -> bool:
        """Train and evaluate, one thread; the log lies beside the run folder. Says whether it went well."""
        train = ["train", str(self.experiment), "--data", str(data), "--out", str(self.folder)]
        with self.folder.with_name(f"{self.folder.name}.log").open("a") as log:
            for command in ([*train, *self.overrides], ["evaluate", str(self.folder)]):
                code = subprocess.run(
                    [sys.executable, "-m", "shapewise", *command],
                    stdout=log,
                    stderr=log,
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                    check=False,
                ).returncode
                print(f"{self.arm} seed {self.seed}: {command[0]} ended with {code}", flush=True)
                if code:
                    return False
        return True


def planned(plan: Path, out: Path, arms: list[str], seeds: list[str]) -> Iterator[Run]:
    """List the runs of a plan, seed by seed."""
    try:
        content = yaml.safe_load(plan.read_text())
    except OSError as error:
        sys.exit(f"{plan}: expected a plan, found {error.strerror}")
    if unknown := [arm for arm in arms if arm not in content["arms"]]:
        sys.exit(f"{plan}: expected arms among {', '.join(content['arms'])}, found {unknown[0]}")
    for seed in seeds or content["seeds"]:
        for name, arm in content["arms"].items():
            if not arms or name in arms:
                overrides = [*content.get("overrides", []), *arm.get("overrides", [])]
                yield Run(
                    name,
                    seed,
                    plan.parent / arm["experiment"],
                    [*overrides, f"training.seed={seed}"],
                    out / f"{name}_s{seed}",
                )


def table(runs: list[Run]) -> str:
    """Render what the finished runs came to."""
    rows = []
    for run in runs:
        if (file := run.folder / "metrics.csv").exists():
            metrics = pd.read_csv(file)
            dice = metrics.groupby("class", sort=False)["dice"].mean()
            distance = (
                {"HD95, mm": metrics["hd95_mm"].mean()} if metrics.get("hd95_mm", pd.Series()).any() else {}
            )
            rows.append(
                {
                    "arm": run.arm,
                    "values": values_a_patient(run.folder),
                    **dice,
                    "mean": dice.mean(),
                    **distance,
                }
            )
    if not rows:
        sys.exit("no run of these is finished")
    found = pd.DataFrame(rows).groupby("arm", sort=False)
    mean, spread, seeds = found.mean(), found["mean"].std(), found.size()
    names = [name for name in mean if name != "values"]
    lines = [f"| arm | values a patient | seeds | {' | '.join(names)} | of {mean.index[0]} |"]
    lines.append("|---" * (len(names) + 4) + "|")
    for arm, row in mean.iterrows():
        cells = {name: f"{row[name]:.1f}" if "mm" in name else f"{row[name]:.3f}" for name in names}
        if seeds[arm] > 1:
            cells["mean"] += f" ± {spread[arm]:.3f}"
        values = f"{row['values']:.0f}" if row["values"] else "masks"
        share = row["mean"] / mean["mean"].iloc[0]
        lines.append(f"| {arm} | {values} | {seeds[arm]} | {' | '.join(cells.values())} | {share:.3f} |")
    return "\n".join(lines)


def values_a_patient(folder: Path) -> float:
    """How many numbers training was told of each patient; 0 where it had masks."""
    supervision = yaml.safe_load((folder / "experiment.yaml").read_text())["supervision"]
    if supervision["kind"] in ("pixels", "scribbles"):
        return 0.0
    cases, told = (
        pd.read_csv(folder / f"{name}.csv", dtype={"case": str}) for name in ("cases", "descriptors")
    )
    beside = supervision.get("beside") or {"descriptors": []}
    told = told[told["descriptor"].isin([*supervision["descriptors"], *beside["descriptors"]])]
    told = told[told["case"].isin(cases.loc[cases["split"] == "train", "case"])]
    patients = (pd.read_csv(folder / "split.csv")["split"] == "train").sum()
    return float(told["value"].notna().sum() / patients)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run folders")
    parser.add_argument("--data", type=Path, help="data folder")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, one thread each")
    parser.add_argument("--arms", default="", help="only these, separated by commas")
    parser.add_argument("--seeds", default="", help="these instead of the plan's, separated by commas")
    parser.add_argument("--table", action="store_true", help="print the table, run nothing")
    given = parser.parse_args()
    arms, seeds = ([each for each in listed.split(",") if each] for listed in (given.arms, given.seeds))
    runs = list(planned(given.plan, given.out, arms, seeds))
    if given.table:
        print(table(runs))
        return
    if given.data is None:
        parser.error("--data is needed to run anything")
    given.out.mkdir(parents=True, exist_ok=True)
    left = [run for run in runs if not (run.folder / "metrics.csv").exists()]
    with ThreadPoolExecutor(given.jobs) as pool:
        went_well = list(pool.map(lambda run: run.work(given.data), left))
    sys.exit(not all(went_well))


if __name__ == "__main__":
    main()
