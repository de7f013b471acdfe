"""One page that holds a whole comparison and needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files

from shapewise.evaluation.biomarkers import agreement
from shapewise.evaluation.tables import OVERALL, mean_std_table
from shapewise.plots.bland_altman import complete_pairs, title_and_unit
from shapewise.plots.figures import Drawn
from shapewise.plots.html import Markup, picture, table, tag
from shapewise.plots.measurements import predicted_biomarkers, predicted_volumes
from shapewise.plots.results import Result, best_runs
from shapewise.plots.runs import Run, reference_run
from shapewise.plots.style import run_colour
from shapewise.plots.wording import (
    DASH,
    data_line,
    duration,
    epochs,
    headline,
    learns_from,
    number,
    remake,
    slices,
    supervised_by,
    title,
    unmeasured_headline,
)
from shapewise.run_folder import flatten


def report(runs: Sequence[Run], results: Sequence[Result], drawn: Sequence[Drawn], *, command: str) -> str:
    """Write the comparison as one HTML page, pictures and style inside it.

    Args:
        runs: The runs, as `load_runs` returns them.
        results: The summaries, Dice first; none where no case has a mask.
        drawn: The figures, saved already.
        command: The command that makes this comparison again.

    Returns:
        The page. Every text that comes from a file is escaped.
    """
    style = Markup(files("shapewise.plots").joinpath("report.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title(runs)} (shapewise)"),
        tag("style", style),
    )
    body = tag(
        "body",
        tag("h1", title(runs)),
        tag("p", data_line(runs), class_="quiet"),
        tag(
            "p",
            headline(runs, results[0].summary) if results else unmeasured_headline(runs),
            class_="headline",
        ),
        tag("h2", "What was run"),
        _runs_table(runs),
        *_results_sections(runs, results),
        *_figure_sections(runs, drawn),
        *(_measurement_sections(runs) if runs[0].unmasked else []),
        *_left_out_section(drawn),
        _footer(runs, command),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _runs_table(runs: Sequence[Run]) -> Markup:
    head = ["run", "supervision", "learns from", "network", "slices", "epochs", "seed", "training time"]
    rows = [
        [
            _named(index, run),
            supervised_by(run),
            learns_from(run),
            run.experiment.network.name,
            slices(run),
            epochs(run),
            str(run.experiment.training.seed),
            duration(run.seconds),
        ]
        for index, run in enumerate(runs)
    ]
    return table(head, rows, class_="runs")


def _named(index: int, run: Run) -> Markup:
    swatch = tag("span", class_="swatch", style=f"background: {run_colour(index)}")
    return tag("span", swatch, run.label, class_="run")


def _results_sections(runs: Sequence[Run], results: Sequence[Result]) -> list[Markup]:
    head = [tag("h2", "Results"), tag("p", _reading(runs), class_="quiet")] if results else []
    return head + [_result_section(runs, result) for result in results]


def _measurement_sections(runs: Sequence[Run]) -> list[Markup]:
    """What each run's predictions measure where there is no mask, patient by patient: all that there is."""
    heading = "As predicted, where there is no mask" if runs[0].measured else "As predicted"
    return [tag("h2", heading), *(_measurement_section(index, run) for index, run in enumerate(runs))]


def _measurement_section(index: int, run: Run) -> Markup:
    tables = [
        table(
            ["", *found.columns],
            ([str(name), *row] for name, row in zip(found.index, found.to_numpy(), strict=True)),
        )
        for found in (predicted_biomarkers(run), predicted_volumes(run))
        if found is not None
    ]
    why = "there is no volumes.csv" if run.volumes is None else "no spacing is known"
    nothing = [] if tables else [tag("p", f"No volumes: {why}.", class_="quiet")]
    return tag("section", tag("h3", _named(index, run)), *tables, *nothing)


def _result_section(runs: Sequence[Run], result: Result) -> Markup:
    cells = mean_std_table(result.summary, digits=result.measure.digits)
    names = {run.label: _named(index, run) for index, run in enumerate(runs)}
    best = best_runs(result)
    rows = [
        [
            names[str(label)],
            *(
                tag("strong", str(cell)) if (label, column) in best else str(cell)
                for column, cell in row.items()
            ),
        ]
        for label, row in cells.iterrows()
    ]
    better = "higher" if result.measure.higher_is_better else "lower"
    heading = tag("h3", result.measure.title, tag("span", f" {better} is better", class_="quiet"))
    return tag("section", heading, table(["run", *map(str, cells.columns)], rows))


def _reading(runs: Sequence[Run]) -> str:
    """How to read the result tables."""
    text = "Mean (standard deviation) over cases, each the mean over its scans."
    text += f" {OVERALL} pools every pair of case and class."
    if len(runs) > 1:
        text += " The best of a column is bold."
    if reference := reference_run(runs):
        text += f" Ratio is the overall mean divided by that of {reference.label}."
    return text


def _figure_sections(runs: Sequence[Run], drawn: Sequence[Drawn]) -> list[Markup]:
    sections = []
    for item in drawn:
        if item.path is None:
            continue
        caption = tag("figcaption", item.panel.caption)
        parts = [tag("figure", picture(item.path, item.panel.title), caption)]
        if item.panel.file == "bland_altman.png":
            parts.append(_agreement_table(runs))
        sections.append(tag("section", tag("h2", item.panel.title), *parts))
    return sections


def _agreement_table(runs: Sequence[Run]) -> Markup:
    head = ["quantity", "run", "n", "bias", "limits of agreement", "mean error", "r"]
    found = [
        (str(quantity), index, run, {str(key): float(value) for key, value in row.items()})
        for index, run in enumerate(runs)
        if run.biomarkers is not None
        for quantity, row in agreement(complete_pairs(run.biomarkers)).iterrows()
    ]
    order = list(dict.fromkeys(quantity for quantity, *_ in found))
    found.sort(key=lambda entry: (order.index(entry[0]), entry[1]))
    names = [name for name, *_ in found]
    titles = [_quantity(name) if place == names.index(name) else "" for place, name in enumerate(names)]
    rows = [
        [shown, _named(index, run), *_agreement_cells(row)]
        for shown, (_, index, run, row) in zip(titles, found, strict=True)
    ]
    return table(head, rows)


def _quantity(name: str) -> str:
    title, unit = title_and_unit(name)
    return f"{title} ({unit})" if unit else title


def _agreement_cells(row: dict[str, float]) -> list[str]:
    limits = f"{number(row['lower_limit'], 1)} to {number(row['upper_limit'], 1)}"
    error, correlation = number(row["mean_absolute_error"], 1), number(row["correlation"], 3)
    return [str(int(row["n"])), number(row["bias"], 1), limits, error, correlation]


def _left_out_section(drawn: Sequence[Drawn]) -> list[Markup]:
    notes = [
        tag("li", f"{item.panel.title}{'' if item.path else ' (whole figure)'}: {reason}.")
        for item in drawn
        for reason in item.left_out
    ]
    return [tag("section", tag("h2", "Left out"), tag("ul", *notes))] if notes else []


def _footer(runs: Sequence[Run], command: str) -> Markup:
    written = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by shapewise {version('shapewise')}"
    records = [
        {"folder": str(run.folder), "made again by": remake(run), **flatten(run.record)} for run in runs
    ]
    keys = dict.fromkeys(key for record in records for key, value in record.items() if value is not None)
    rows = [[key, *(_shown(record.get(key, DASH)) for record in records)] for key in keys]
    return tag(
        "footer",
        tag("h2", "Where this comes from"),
        tag("p", f"Written {written} with ", tag("code", command)),
        table(["", *(run.label for run in runs)], rows, class_="words"),
    )


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
