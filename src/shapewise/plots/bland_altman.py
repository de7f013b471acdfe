"""Predicted against reference biomarkers: difference over mean, with bias and limits of agreement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from shapewise.evaluation.biomarkers import agreement
from shapewise.plots.runs import Run
from shapewise.plots.style import GRID, INK, Drawing, blank_figure, plain, quieten, run_colour, run_marker

LAYOUT = (("lv_edv_ml", "lv_esv_ml", "lv_ef", "myo_mass_g"), ("rv_edv_ml", "rv_esv_ml", "rv_ef"))
TITLES = {
    "lv_edv_ml": ("LV end-diastolic volume", "mL"),
    "lv_esv_ml": ("LV end-systolic volume", "mL"),
    "lv_ef": ("LV ejection fraction", "%"),
    "rv_edv_ml": ("RV end-diastolic volume", "mL"),
    "rv_esv_ml": ("RV end-systolic volume", "mL"),
    "rv_ef": ("RV ejection fraction", "%"),
    "myo_mass_g": ("Myocardial mass", "g"),
}
PERCENT = 100.0


def draw_bland_altman(runs: Sequence[Run]) -> Drawing:
    """Draw each run's agreement with the reference: a block a run, a panel a quantity, a point a patient.

    Panels of one quantity share the scale of their differences, but for a run whose errors are over three
    times the best run's: on its scale the others would be lines.
    """
    left_out = [f"{run.label} has no biomarkers.csv" for run in runs if run.biomarkers is None]
    tables = {run.label: complete_pairs(run.biomarkers) for run in runs if run.biomarkers is not None}
    shown = {label: table for label, table in tables.items() if not table.empty}
    left_out += [f"{label} has no biomarker with a reference" for label in tables if label not in shown]
    if not shown:
        return Drawing(None, tuple(left_out))
    rows = _rows_of_quantities(pd.concat(shown.values()))
    columns = max(len(row) for row in rows)
    scales = _scales(shown)
    figure = blank_figure(2.45 * columns + 0.2, len(shown) * (2.0 * len(rows) + 0.35))
    blocks = figure.subfigures(len(shown), 1, squeeze=False)[:, 0]
    places = {run.label: index for index, run in enumerate(runs)}
    for block, (label, table) in zip(blocks, shown.items(), strict=True):
        place = places[label]
        block.suptitle(
            plain(label), fontsize=11, fontweight="bold", x=0.01, ha="left", color=run_colour(place)
        )
        _block(block, table, rows, scales[label], place)
    figure.supxlabel("mean of predicted and reference", fontsize=9.5)
    figure.supylabel("predicted minus reference", fontsize=9.5)
    return Drawing(figure, tuple(left_out))


def complete_pairs(biomarkers: pd.DataFrame) -> pd.DataFrame:
    """Rows with both a prediction and a reference, ejection fractions in percent.

    >>> rows = pd.DataFrame({"quantity": "lv_ef", "predicted": [0.5, 0.6], "reference": [0.25, None]})
    >>> complete_pairs(rows)["predicted"].tolist()
    [50.0]
    """
    return in_percent(biomarkers.dropna(subset=["predicted", "reference"]))


def in_percent(biomarkers: pd.DataFrame) -> pd.DataFrame:
    """The same with ejection fractions in percent.

    >>> rows = pd.DataFrame({"quantity": ["lv_ef", "lv_edv_ml"], "predicted": [0.5, 90.0], "reference": None})
    >>> in_percent(rows.astype({"reference": float}))["predicted"].tolist()
    [50.0, 90.0]
    """
    scale = np.where(biomarkers["quantity"].str.endswith("_ef"), PERCENT, 1.0)
    return biomarkers.assign(**{side: biomarkers[side] * scale for side in ("predicted", "reference")})


def title_and_unit(quantity: str) -> tuple[str, str]:
    """What a reader calls a quantity, and the unit that it is shown in.

    >>> title_and_unit("lv_ef")
    ('LV ejection fraction', '%')
    """
    return TITLES.get(quantity, (quantity.replace("_", " "), ""))


def _rows_of_quantities(pairs: pd.DataFrame) -> list[list[str]]:
    """The layout's rows without what no run has, then quantities that the layout does not know."""
    found = [str(name) for name in pd.unique(pairs["quantity"])]
    rows = [[name for name in row if name in found] for row in LAYOUT]
    others = [name for name in found if name not in TITLES]
    rows += [others[start : start + 4] for start in range(0, len(others), 4)]
    return [row for row in rows if row]


def _scales(tables: dict[str, pd.DataFrame]) -> dict[str, dict[str, float]]:
    """Largest difference or limit of agreement to show, by run and quantity."""
    rows = [
        (label, str(name), _largest(group))
        for label, table in tables.items()
        for name, group in table.groupby("quantity")
    ]
    largest = pd.DataFrame(rows, columns=["run", "quantity", "value"]).pivot(
        index="quantity", columns="run", values="value"
    )
    shared = largest.where(largest.le(3 * largest.min(axis=1), axis=0)).max(axis=1)
    # A run that has no such quantity has no scale of its own.
    scales = largest.clip(lower=shared, axis=0).T.fillna(shared).T.clip(lower=1e-9)
    return {label: {str(name): float(v) for name, v in scales[label].items()} for label in tables}


def _largest(pairs: pd.DataFrame) -> float:
    limits = agreement(pairs)[["lower_limit", "upper_limit"]].abs().max(axis=None)
    return float(np.nanmax([(pairs["predicted"] - pairs["reference"]).abs().max(), limits]))


def _block(
    block: SubFigure, table: pd.DataFrame, rows: list[list[str]], scales: dict[str, float], index: int
) -> None:
    columns = max(len(row) for row in rows)
    grid = block.subplots(len(rows), columns, squeeze=False)
    for (line, column), axes in np.ndenumerate(grid):
        if column < len(rows[line]):
            name = rows[line][column]
            _panel(axes, table[table["quantity"] == name], name, scales.get(name, 1.0), index)
        else:
            axes.set_axis_off()


def _panel(axes: Axes, pairs: pd.DataFrame, name: str, scale: float, index: int) -> None:
    title, unit = title_and_unit(name)
    axes.set_title(plain(f"{title} ({unit})" if unit else title), fontsize=8.5, loc="left", color=INK)
    axes.margins(x=0.08)
    axes.set_ylim(-1.15 * scale, 1.15 * scale)
    quieten(axes, grid=None)
    axes.tick_params(labelsize=8)
    axes.axhline(0, color=GRID, linewidth=1)
    if pairs.empty:
        return
    found = agreement(pairs)
    bias, lower, upper = (float(found[column].iloc[0]) for column in ("bias", "lower_limit", "upper_limit"))
    mean = (pairs["predicted"] + pairs["reference"]) / 2
    difference = pairs["predicted"] - pairs["reference"]
    colour = run_colour(index)
    axes.axhline(bias, color=colour, linewidth=1.4)
    if np.isfinite(lower):
        axes.axhspan(lower, upper, color=colour, alpha=0.08, linewidth=0)
        axes.axhline(lower, color=colour, linewidth=1, linestyle=(0, (4, 2)))
        axes.axhline(upper, color=colour, linewidth=1, linestyle=(0, (4, 2)))
    axes.scatter(mean, difference, s=13, color=colour, marker=run_marker(index), linewidths=0, zorder=3)
