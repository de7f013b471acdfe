"""Results that outlive their run folders, in PLAN.csv beside the plan: a row a run, or of several seeds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from plan import Plan
from results import NUMBERS

from shapewise.errors import DataError

DIGITS = 4
"""Decimals that are kept; rows that have fewer do not get more."""


def kept_file(plan: Plan) -> Path:
    """Where the results of a plan are kept."""
    return plan.path.with_suffix(".csv")


def read_kept(plan: Plan) -> pd.DataFrame:
    """Read what is kept, as `results` returns it.

    Raises:
        DataError: the file is missing, no table of results, or has a seed of an arm twice.
        ConfigError: an arm is not the plan's.
    """
    path = kept_file(plan)
    try:
        found = pd.read_csv(path, dtype={"arm": str, "seeds": str, "commits": str})
        found = found.fillna({"seeds": "", "commits": ""})
        numbers = [*NUMBERS, *found.filter(like="Dice ")]
        found[numbers] = found[numbers].astype(float)
        each = _each_seed(found)
    except FileNotFoundError:
        raise DataError(path, expected="results that `--keep` has written", found="no file") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(path, expected="a table of results", found=error) from None
    if (none := each["seeds"].isna()).any():
        row = each[none].iloc[0]
        raise DataError(path, expected="the seeds of every row", found=f"none for {row['arm']}")
    if (twice := each.duplicated(["arm", "seeds"])).any():
        row = each[twice].iloc[0]
        raise DataError(
            path, expected="every seed once", found=f"{row['arm']} with seed {row['seeds']} twice"
        )
    plan.check(list(found["arm"]))
    return found


def keep(plan: Plan, found: pd.DataFrame) -> list[str]:
    """Add the results of runs whose seeds are not kept yet, in the plan's order; say which were added."""
    path = kept_file(plan)
    earlier = read_kept(plan) if path.exists() else found.iloc[:0]
    known = set(_each_seed(earlier)[["arm", "seeds"]].itertuples(index=False, name=None))
    new = found[[pair not in known for pair in zip(found["arm"], found["seeds"], strict=True)]]
    order = {arm: number for number, arm in enumerate(plan.arms)}
    together = pd.concat([earlier, new] if len(earlier) else [new])
    together = together.sort_values("arm", key=lambda column: column.map(order), kind="stable")
    together.round(DIGITS).to_csv(path, index=False)
    return [f"{arm} seed {seed}" for arm, seed in zip(new["arm"], new["seeds"], strict=True)]


def _each_seed(found: pd.DataFrame) -> pd.DataFrame:
    return found.assign(seeds=found["seeds"].str.split()).explode("seeds")
