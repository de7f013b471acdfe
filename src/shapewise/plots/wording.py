"""Sentences of the report, computed from the data."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

import pandas as pd

from shapewise.config import ConstraintsConfig, SupervisionConfig
from shapewise.evaluation.tables import OVERALL
from shapewise.plots.constraints import truths
from shapewise.plots.html import Markup, join, tag
from shapewise.plots.runs import Run, reference_run

DASH, MINUS, TIMES = (
    "\N{EN DASH}",
    "\N{MINUS SIGN}",
    "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}",
)

MOST_TOLD = 3
"""Runs that the headline can name one by one."""

LOSSES = {
    "pixels": "cross-entropy on pixels",
    "scribbles": "cross-entropy on scribbles",
    "regions": "cross-entropy on the regions that the numbers describe",
    "projection": "moment projection",
}
PENALTIES = {
    "barrier": "log-barrier",
    "quadratic": "quadratic penalty",
    "hinge": "hinge penalty",
    "augmented_lagrangian": "augmented Lagrangian",
}


def headline(runs: Sequence[Run], dice: pd.DataFrame) -> Markup:
    """What the comparison found, in one or two sentences.

    Args:
        runs: The runs compared.
        dice: The summary of their Dice.

    Returns:
        How much of the pixel-supervised run's Dice each other run keeps; without such a run, or alone, how
        good the best run is.
    """
    means = dice[dice["class"] == OVERALL].set_index("run")["mean"]
    where = f"On {count(runs[0].metrics['case'].nunique(), 'test case')}, "
    reference = reference_run(runs)
    others = [run for run in runs if run is not reference]
    if reference is None or not others or not means[reference.label] > 0:
        return join([where, *_best(means), "."])
    ranked = list(means[[run.label for run in others]].sort_values(ascending=False).index)
    told = ranked if len(ranked) <= MOST_TOLD else [ranked[0], ranked[-1]]
    parts = [_kept(means, name, reference.label, first=name == told[0]) for name in told]
    if len(told) < len(ranked):
        parts = [join([parts[0], f", the most of {len(ranked)}"]), join([parts[1], ", the least"])]
    return join([where, Markup("; ".join(parts)), "."])


def unmeasured_headline(runs: Sequence[Run]) -> Markup:
    """What may be said where no case has a mask: how many of the numbers each run's predictions keep."""
    cases = _cases(runs[0])
    has = "The test case has no mask" if cases == 1 else f"None of {cases} test cases has a mask"
    told = [
        join([run.label, " keeps ", tag("strong", str(kept)), f" of {known}"])
        for run in runs
        for kept, known in [_satisfied(run)]
        if known
    ]
    if not told:
        return join(
            [has, ", so no Dice can be told, nor is any of their numbers known: look at the predictions."]
        )
    counted = " numbers that are known of them, within its own margins."
    return join([has, ", so no Dice can be told. ", Markup("; ".join(told)), counted])


def _satisfied(run: Run) -> tuple[int, int]:
    """How many numbers lie within their bounds, and of how many that can be said."""
    if run.values is None:
        return 0, 0
    known = truths(run.values).dropna()
    return int(known.sum()), len(known)


def when(frame: int, phase: str | None) -> str:
    """Which scan of a patient it is, if there is more to say than its name.

    >>> when(1, "ED"), when(9, None), when(0, None)
    ('ED', 'frame 9', '')
    """
    return phase or (f"frame {frame}" if frame else "")


def _cases(run: Run) -> int:
    return len({case for case, _ in run.scans})


def title(runs: Sequence[Run]) -> str:
    """The report's title."""
    names = [run.label for run in runs]
    return f"{len(names)} runs compared" if len(names) > 2 else " against ".join(names)


def data_line(runs: Sequence[Run]) -> str:
    """Which data the runs were evaluated on."""
    first = runs[0]
    bare = f" ({len(first.unmasked)} without a mask)" if first.measured and first.unmasked else ""
    scans = count(len(first.scans), "scan") + bare
    return f"{count(_cases(first), 'test case')}, {scans}, {', '.join(first.classes)}"


def learns_from(run: Run) -> str:
    """What the network was told about each training slice."""
    supervision, annotation = run.experiment.supervision, run.experiment.data.annotation
    told = [_told(supervision) + " of whole volumes" * (supervision.extent == "volume")]
    if supervision.beside is not None:
        told.append(f"beside {_bounded(supervision.beside)}")
    if supervision.edge_length is not None:
        told.append("the image's edges")
    if annotation.every > 1:
        told.append(f"one slice in {annotation.every}")
    if annotation.error:
        told.append(f"off by {annotation.error:.0%}")
    if annotation.presence_only:
        told.append("only which classes are there")
    return "; ".join(told)


def _told(supervision: SupervisionConfig) -> str:
    if supervision.kind == "pixels":
        return "every pixel's label"
    if supervision.kind == "scribbles":
        return "a few lines in every class"
    if supervision.kind in LOSSES:  # the values themselves: margins are for validation
        return _names(supervision)
    return _bounded(supervision)


def _names(constraints: ConstraintsConfig) -> str:
    return ", ".join(name.replace("_", " ") for name in constraints.descriptors)


def _bounded(constraints: ConstraintsConfig) -> str:
    relations = [
        f"{r.descriptor if r.kind == 'value' else r.kind} {'/'.join(r.classes)}"
        for r in constraints.relations
    ]
    margins = [f"±\N{NO-BREAK SPACE}{constraints.margin:.0%}"]
    margins += [
        f"{name} ±\N{NO-BREAK SPACE}{value:g}" for name, value in constraints.absolute_margins.items()
    ]
    return ", ".join([f"{_names(constraints)} ({', '.join(margins)})", *relations])


def slices(run: Run) -> str:
    """The slices that the network saw: their size and, where it is one for all, their spacing."""
    preprocessing = run.experiment.data.preprocessing
    size = TIMES.join(map(str, preprocessing.crop or preprocessing.size))
    return size if preprocessing.spacing is None else f"{size}, {preprocessing.spacing:g} mm"


def remake(run: Run) -> str:
    """The commands that make a run like this one; NEW is a folder to choose."""
    root, evaluated = (run.record.get(key) for key in ("data_root", "evaluated_root"))
    data = ["--data", str(root)] if root else []
    elsewhere = ["--data", str(evaluated)] if evaluated else []
    chosen = run.experiment.data.split.file is not None
    split = [f"data.split.file={run.folder / 'split.csv'}"] if chosen else []
    train = ["shapewise", "train", str(run.folder / "experiment.yaml"), *split, *data, "--out", "NEW"]
    return f"{shlex.join(train)} && {shlex.join(['shapewise', 'evaluate', 'NEW', *elsewhere])}"


def supervised_by(run: Run) -> str:
    """The loss, in words."""
    supervision = run.experiment.supervision
    words = LOSSES.get(supervision.kind) or _penalty(supervision.kind, supervision)
    parts = [words]
    if supervision.teacher:
        averaged = run.experiment.training.weight_average > 0
        parts.append("of a mean teacher's answer" if averaged else "of the answer to the unchanged image")
    if supervision.renewed_each_epoch:
        parts.append("once an epoch")
    if supervision.beside is not None:
        parts.append(f"{_penalty(supervision.beside.kind, supervision.beside)} beside")
    if supervision.edge_length is not None:
        parts.append("a price on boundaries off the image's edges")
    return ", ".join(parts)


def _penalty(kind: str, constraints: ConstraintsConfig) -> str:
    residuals = constraints.residuals
    return PENALTIES[kind] + ("" if residuals == "relative" else f", {residuals} residuals")


def epochs(run: Run) -> str:
    """Epochs trained, and planned where those are more."""
    planned = run.experiment.training.epochs
    done = planned if run.log is None else len(run.log)
    return str(done) if done == planned else f"{done} of {planned}"


def duration(seconds: float | None) -> str:
    """A time span to two units.

    >>> duration(4350.0), duration(75.2), duration(8.04), duration(0.3), duration(None)
    ('1 h 12 min', '1 min 15 s', '8 s', 'under 1 s', 'not logged')
    """
    if seconds is None:
        return "not logged"
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def count(number: int, noun: str) -> str:
    """A number and its noun.

    >>> count(1, "scan"), count(2, "scan")
    ('1 scan', '2 scans')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def number(value: float, digits: int) -> str:
    """A number with a true minus sign, a dash where there is none.

    >>> number(-1.25, 1), number(float("nan"), 1)
    ('−1.2', '–')
    """
    return DASH if math.isnan(value) else f"{value:.{digits}f}".replace("-", MINUS)


def _kept(means: pd.Series[float], name: str, reference: str, *, first: bool) -> Markup:
    ratio = tag("strong", f"{means[name] / means[reference]:.3f}")
    if first:
        against = f" of the mean Dice of {reference} ({means[name]:.3f} against {means[reference]:.3f})"
        return join([name, " keeps ", ratio, against])
    return join([name, " keeps ", ratio, f" of it ({means[name]:.3f})"])


def _best(means: pd.Series[float]) -> list[str]:
    name = str(means.idxmax())
    result = [name, " reaches a mean Dice of ", tag("strong", f"{means[name]:.3f}")]
    return result if len(means) == 1 else [*result, f", the highest of {len(means)} runs"]
