"""What a campaign's finished runs came to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd
from commits import commits
from plan import Plan, Run

from shapewise.errors import RunError
from shapewise.run_folder import RunFolder
from shapewise.training.log import read_log

NOTHING = "-"
NUMBERS = ("values", "mean", "sd", "hd95", "validation")
"""Columns of results that every plan has, beside each class's Dice."""


def unfinished(runs: Sequence[Run]) -> str:
    """Name the arms and seeds that have not run to their end."""
    left: dict[str, list[str]] = {run.arm: [] for run in runs}
    for run in runs:
        if not run.finished and not run.another:
            left[run.arm].append(str(run.seed))
    return ", ".join(f"{arm} (seed {', '.join(seeds)})" for arm, seeds in left.items() if seeds)


def left_out(runs: Sequence[Run]) -> list[str]:
    """Say which folders hold runs of other experiments, that no table or figure of this plan shows."""
    others = ", ".join(f"{run.folder.name} ({run.another})" for run in runs if run.another)
    return [f"of another experiment: {others}"] if others else []


def results(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a finished run: its arm, seed and commits, the mean over cases of each class's Dice, and so on.

    `validation` is the kept epoch's Dice on the validation split.

    The standard deviation over seeds, `sd`, is that of rows of several, which only a kept file has.

    Raises:
        RunError: none is finished, or a file of one is missing or malformed.
    """
    found = [result(run) for run in runs if run.finished]
    if not found:
        none = [f"none of {left}"] if (left := unfinished(runs)) else []
        raise RunError(
            runs[0].folder.parent, expected="a finished run", found="; ".join(none + left_out(runs))
        )
    return pd.DataFrame(found)


def mean_dice(found: pd.DataFrame, arm: str) -> float:
    """An arm's mean over seeds, cases and classes; NaN where it has none."""
    rows = found[found["arm"] == arm]
    return over_seeds(rows)["mean"].item() if len(rows) else math.nan


def result(run: Run) -> dict[str, object]:
    """What one finished run came to."""
    try:
        metrics = pd.read_csv(run.metrics)
        dice = metrics.groupby("class", sort=False)["dice"].mean()
        return {
            "arm": run.arm,
            "seeds": str(run.seed),
            "values": values_a_patient(run.files),
            **dice.add_prefix("Dice "),
            "mean": dice.mean(),
            "sd": math.nan,
            "hd95": metrics["hd95_mm"].mean(),
            "validation": kept_validation(run.files),
            "commits": " ".join(commits(run.files)),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise RunError(
            run.folder, expected="a run that `shapewise evaluate` has measured", found=found
        ) from None


def kept_validation(files: RunFolder) -> float:
    """Validation Dice of the epoch that the run kept, by which arms are chosen; NaN without masks there."""
    log = read_log(files.log_file)[::-1]  # of equals the later epoch is kept
    selection = files.read_experiment().training.selection
    chosen_by = f"val_{selection}" if selection in ("satisfied", "violation") else "val_dice"
    if not {"val_dice", chosen_by} <= set(log):
        return math.nan
    row = log[chosen_by].idxmin() if selection == "violation" else log[chosen_by].idxmax()
    return float(log["val_dice"][row])


def values_a_patient(files: RunFolder) -> float:
    """How many numbers training was told of each patient, bounds of one counting as one; NaN where of masks.

    Rows of source `prior` are not counted: they say what all patients have in common.
    """
    supervision = files.read_experiment().supervision
    if supervision.kind in ("pixels", "scribbles"):
        return math.nan
    cases, told = (pd.read_csv(file, dtype={"case": str}) for file in (files.cases_file, files.table_file))
    beside = supervision.beside.descriptors if supervision.beside else ()
    told = told[told["descriptor"].isin([*supervision.descriptors, *beside])]
    told = told[told["case"].isin(cases.loc[cases["split"] == "train", "case"])]
    says = np.isfinite(told[["value", "lower", "upper"]]).any(axis=1) & (told["source"] != "prior")
    patients = (pd.read_csv(files.split_file)["split"] == "train").sum()
    return float(says.sum() / patients)


def over_seeds(found: pd.DataFrame) -> pd.DataFrame:
    """One row an arm: means over seeds, standard deviation of the mean Dice, how many have one, commits."""
    return pd.DataFrame([_over_seeds(arm, rows) for arm, rows in found.groupby("arm", sort=False)])


def _over_seeds(arm: object, rows: pd.DataFrame) -> dict[str, object]:
    seeds = rows["seeds"].str.split().str.len()
    columns = ["values", *rows.filter(like="Dice "), "mean", "hd95"]
    means = {column: _mean(rows[column], seeds) for column in columns}
    means["validation"] = math.nan if rows["validation"].isna().any() else _mean(rows["validation"], seeds)
    measured = seeds.where(rows["mean"].notna(), 0)
    within = (measured - 1).clip(lower=0) * rows["sd"].fillna(0) ** 2  # among the seeds of a row
    squares = within + measured * (rows["mean"] - means["mean"]) ** 2
    count = int(measured.sum())
    spread = math.sqrt(squares.sum() / (count - 1)) if count > 1 else math.nan
    commits = " ".join(dict.fromkeys(chain(*rows["commits"].str.split())))
    return {"arm": arm, **means, "sd": spread, "seeds": count, "commits": commits}


def _mean(values: pd.Series, seeds: pd.Series) -> float:
    """The mean over seeds of what is there; NaN where nothing is."""
    there = values.notna()
    return float(np.average(values[there], weights=seeds[there])) if there.any() else math.nan


def table(found: pd.DataFrame, plan: Plan, whole: float) -> pd.DataFrame:
    """One row an arm, as text: means over seeds, the mean Dice also as a fraction of the first arm's.

    Args:
        found: what `results` returns.
        plan: whose first arm the others are compared with, and what its arms learn from.
        whole: that arm's mean Dice.
    """
    arms = over_seeds(found)
    shown = arms[["arm"]]
    if any(arm.learns_from for arm in plan.arms.values()):
        shown = shown.assign(**{"learns from": arms["arm"].map(lambda arm: plan.arms[arm].learns_from)})
    shown["values a patient"] = ["masks" if pd.isna(each) else f"{each:.0f}" for each in arms["values"]]
    shown["seeds"] = arms["seeds"].map(str)  # that had masks to be measured by
    for column in arms.filter(like="Dice "):
        shown[column.removeprefix("Dice ")] = decimals(arms[column], 3)
    several = arms["sd"].map(lambda each: "" if pd.isna(each) else f" ± {each:.3f}")
    shown["mean ± sd"] = decimals(arms["mean"], 3) + several
    shown["HD95, mm"] = decimals(arms["hd95"], 1)
    shown[f"of {plan.first}"] = decimals(arms["mean"] / whole, 3)
    shown["validation"] = decimals(arms["validation"], 3)
    shown["commit"] = arms["commits"].str.replace(" ", ", ").replace("", NOTHING)
    return shown


def decimals(values: pd.Series, digits: int) -> pd.Series:
    """Write numbers with so many decimals; what is not there as a dash."""
    return values.map(lambda value: NOTHING if pd.isna(value) else f"{value:.{digits}f}")


def markdown(table: pd.DataFrame) -> str:
    """Write a table of text in Markdown, arms and commits as code."""
    for column in ("arm", "commit"):
        table = table.assign(**{column: table[column].str.replace(r"\w[\w.-]*", r"`\g<0>`", regex=True)})
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
