"""The paper's Table 1: mean (std) over cases, a column a class and one over all classes.

The overall column pools every pair of case and class, as the paper's does: its 0.876 (0.076) follows from
its three classes' means and deviations that way and no other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from shapewise.errors import ArgumentError

OVERALL = "Overall"
UNKNOWN = "n/a"


def summary_table(
    metrics: Mapping[str, pd.DataFrame], *, measure: str = "dice", reference: str | None = None
) -> pd.DataFrame:
    """Mean and standard deviation of a measure over cases, for each run and class and over all classes.

    A case's frames are averaged first, as they are not independent. In ACDC a case is a patient, who so
    counts once; in nnU-Net's layout it is an image, and each of a patient's images counts.

    Args:
        metrics: Name of a run -> its metrics, with columns case, class and the measure.
        measure: Column to summarise: dice, hd95_mm, assd_mm or satisfied.
        reference: Run that the others are divided by.

    Returns:
        Columns run, class, mean, std (of the population, as in the paper), n, ratio (of the means, run to
        reference; NaN without one). The class "Overall" comes last in each run. A measure that a run does not
        have (distances of unknown spacing) is NaN with n = 0.

    Raises:
        ArgumentError: The reference is not among the runs, or a run's metrics lack a column.

    Examples:
        >>> one = pd.DataFrame({"case": ["a", "b"], "class": "LV", "dice": [0.8, 1.0]})
        >>> two = one.assign(dice=0.72)
        >>> summary_table({"pixels": one, "barrier": two}, reference="pixels")["ratio"].round(3).tolist()
        [1.0, 1.0, 0.8, 0.8]
    """
    if reference is not None and reference not in metrics:
        raise ArgumentError("reference", expected=f"one of {', '.join(metrics)}", found=reference)
    table = pd.concat([_summarise(run, frame, measure) for run, frame in metrics.items()], ignore_index=True)
    means = table[table["run"] == reference].set_index("class")["mean"]
    table["ratio"] = table["mean"] / table["class"].map(means).astype(float)
    return table


def mean_std_table(summary: pd.DataFrame, *, digits: int = 3) -> pd.DataFrame:
    """Lay a summary out as the paper does: a row a run, a column a class, each cell "mean (std)".

    A column "Ratio" follows where the summary has a reference.

    Examples:
        >>> metrics = pd.DataFrame({"case": ["a", "b"], "class": "LV", "dice": [0.8, 1.0]})
        >>> mean_std_table(summary_table({"pixels": metrics})).loc["pixels"].to_dict()
        {'LV': '0.900 (0.100)', 'Overall': '0.900 (0.100)'}
    """
    cells = summary.assign(
        cell=[_cell(m, s, digits) for m, s in zip(summary["mean"], summary["std"], strict=True)]
    )
    runs, classes = pd.unique(summary["run"]), _column_order(summary)
    table = cells.pivot(index="run", columns="class", values="cell").reindex(index=runs, columns=classes)
    overall = summary[summary["class"] == OVERALL].set_index("run")["ratio"]
    if overall.notna().any():
        table["Ratio"] = [_number(ratio, digits) for ratio in overall.reindex(runs)]
    return table.fillna(UNKNOWN).rename_axis(index="Method", columns=None)


def to_markdown(summary: pd.DataFrame, *, digits: int = 3) -> str:
    """Write a summary as a Markdown table.

    Examples:
        >>> metrics = pd.DataFrame({"case": ["a", "b"], "class": "LV", "dice": [0.8, 1.0]})
        >>> print(to_markdown(summary_table({"pixels": metrics})))
        | Method | LV | Overall |
        | --- | --- | --- |
        | pixels | 0.900 (0.100) | 0.900 (0.100) |
        <BLANKLINE>
    """
    rows = _rows(mean_std_table(summary, digits=digits))
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]) + "\n"


def to_latex(summary: pd.DataFrame, *, digits: int = 3) -> str:
    r"""Write a summary as a LaTeX tabular, which needs the package booktabs.

    Examples:
        >>> metrics = pd.DataFrame({"case": ["a", "b"], "class": "LV", "dice": [0.8, 1.0]})
        >>> print(to_latex(summary_table({"log_barrier": metrics})))
        \begin{tabular}{lcc}
        \toprule
        Method & LV & Overall \\
        \midrule
        log\_barrier & 0.900 (0.100) & 0.900 (0.100) \\
        \bottomrule
        \end{tabular}
        <BLANKLINE>
    """
    rows = _rows(mean_std_table(summary, digits=digits))
    lines = [" & ".join(map(_escape, row)) + r" \\" for row in rows]
    head = rf"\begin{{tabular}}{{l{'c' * (len(rows[0]) - 1)}}}"
    return "\n".join(
        [head, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}", ""]
    )


def _summarise(run: str, metrics: pd.DataFrame, measure: str) -> pd.DataFrame:
    if missing := {"case", "class", measure} - set(metrics.columns):
        raise ArgumentError(
            "metrics", expected=f"columns {', '.join(sorted(missing))} in {run}", found="none"
        )
    cases = metrics.groupby(["class", "case"], sort=False, as_index=False)[measure].mean()
    groups = [(str(name), group[measure]) for name, group in cases.groupby("class", sort=False)]
    rows = [(run, name, *_moments(values)) for name, values in [*groups, (OVERALL, cases[measure])]]
    return pd.DataFrame(rows, columns=["run", "class", "mean", "std", "n"])


def _moments(values: pd.Series) -> tuple[float, float, int]:
    known = values.dropna().to_numpy(dtype=float)
    return (float(known.mean()), float(known.std()), len(known)) if len(known) else (np.nan, np.nan, 0)


def _column_order(summary: pd.DataFrame) -> list[str]:
    return [*(str(name) for name in pd.unique(summary["class"]) if name != OVERALL), OVERALL]


def _cell(mean: float, std: float, digits: int) -> str:
    return UNKNOWN if np.isnan(mean) else f"{mean:.{digits}f} ({std:.{digits}f})"


def _number(value: float, digits: int) -> str:
    return UNKNOWN if np.isnan(value) else f"{value:.{digits}f}"


def _rows(table: pd.DataFrame) -> list[list[str]]:
    head = ["Method", *map(str, table.columns)]
    return [
        head,
        *([str(run), *map(str, row)] for run, row in zip(table.index, table.to_numpy(), strict=True)),
    ]


def _escape(text: str) -> str:
    r"""Escape LaTeX's special characters.

    >>> _escape("a_b & 5%")
    'a\\_b \\& 5\\%'
    """
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)
