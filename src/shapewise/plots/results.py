"""Table 1 of a comparison, as files and as data for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from shapewise.evaluation.tables import summary_table, to_latex, to_markdown
from shapewise.plots.runs import Run, reference_run

STEM = "table1"


@dataclass(frozen=True)
class Measure:
    """A column of metrics.csv and how a reader sees it."""

    column: str
    title: str
    digits: int
    higher_is_better: bool


MEASURES = (
    Measure("dice", "Dice", 3, True),
    Measure("hd95_mm", "95th percentile Hausdorff distance (mm)", 1, False),
    Measure("assd_mm", "Average symmetric surface distance (mm)", 2, False),
)


@dataclass(frozen=True)
class Result:
    """The summary of one measure over all runs; see `shapewise.evaluation.tables.summary_table`."""

    measure: Measure
    summary: pd.DataFrame


def summarise(runs: Sequence[Run]) -> list[Result]:
    """Summarise each measure that at least one run has; Dice also as a share of the reference run's."""
    reference = reference_run(runs)
    results = []
    for measure in MEASURES:
        metrics = {run.label: run.metrics for run in runs if measure.column in run.metrics}
        if not any(frame[measure.column].notna().any() for frame in metrics.values()):
            continue
        divisor = reference.label if reference and measure.column == "dice" else None
        summary = summary_table(metrics, measure=measure.column, reference=divisor)
        results.append(Result(measure, summary))
    return results


def write_results(results: Sequence[Result], folder: Path) -> None:
    """Write table1.csv (one tidy row a measure, run and class), table1.md and table1.tex."""
    tidy = [result.summary.assign(measure=result.measure.column) for result in results]
    columns = ["measure", "run", "class", "mean", "std", "n", "ratio"]
    pd.concat(tidy)[columns].to_csv(folder / f"{STEM}.csv", index=False)
    markdown = [f"## {r.measure.title}\n\n{to_markdown(r.summary, digits=r.measure.digits)}" for r in results]
    (folder / f"{STEM}.md").write_text("\n".join(markdown), encoding="utf-8")
    latex = [f"% {r.measure.title}\n{to_latex(r.summary, digits=r.measure.digits)}" for r in results]
    (folder / f"{STEM}.tex").write_text("\n".join(latex), encoding="utf-8")


def best_runs(result: Result) -> set[tuple[str, str]]:
    """Run and class of the best mean in each column; nothing is best among one.

    >>> rows = pd.DataFrame({"run": ["a", "b"], "class": "LV", "mean": [0.8, 0.9]})
    >>> best_runs(Result(MEASURES[0], rows))
    {('b', 'LV')}
    """
    summary = result.summary.dropna(subset=["mean"])
    if summary["run"].nunique() < 2:
        return set()
    sign = 1 if result.measure.higher_is_better else -1
    best = (sign * summary["mean"]).groupby(summary["class"]).idxmax()
    return {(str(summary.loc[i, "run"]), str(summary.loc[i, "class"])) for i in best}
