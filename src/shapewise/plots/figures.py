"""The figures of a comparison: their files, and what their captions say about reading them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shapewise.plots.barrier import barrier_figure
from shapewise.plots.bland_altman import draw_bland_altman
from shapewise.plots.boxes import draw_boxes
from shapewise.plots.constraints import draw_constraints
from shapewise.plots.curves import draw_curves, draw_satisfied
from shapewise.plots.overlays import draw_overlays
from shapewise.plots.predictions import draw_predictions
from shapewise.plots.runs import Run
from shapewise.plots.style import Drawing, save


@dataclass(frozen=True)
class Panel:
    """One figure of the report: its file's name, its title, how to read it, and what draws it."""

    file: str
    title: str
    caption: str
    draw: Callable[[Sequence[Run]], Drawing]


PANELS = (
    Panel(
        "figure2.png",
        "Best, median and worst scan",
        "Scans are ranked by Dice, averaged over classes and runs. Each picture shows the middle one of "
        "the slices in which the annotation has the most classes, cropped around the annotated object, "
        "pixels in their true proportions. Tints and contours are labels, the thin white line is the "
        "truth's contour. The number is the run's 3-D Dice on that scan, averaged over the classes.",
        draw_overlays,
    ),
    Panel(
        "predictions.png",
        "Predictions",
        "Of test cases without a mask, so nothing here says how good a prediction is: look. Scans are evenly "
        "chosen in the order of their names, a row a run; slices are evenly spaced from the first to the "
        "last on which a run predicts something, numbered from 0. All predicted masks are in predictions/, "
        "in the run's folder.",
        draw_predictions,
    ),
    Panel(
        "figure4_curves.png",
        "Dice while training",
        "3-D Dice of the validation cases after each epoch. A curve that still rises at its end says that "
        "the run was stopped early; one that falls again, that it overfits. There is no training Dice, "
        "which the paper's figure has: training from descriptors reads no training mask.",
        draw_curves,
    ),
    Panel(
        "satisfied_curves.png",
        "Bounds that hold while training",
        "The fraction of bounds on the validation cases' numbers that hold after each epoch. A number on the "
        "wrong side of one bound still respects the other, so about half of them hold where nothing is right "
        "yet. Without masks the epoch with the highest mean is kept, unless the experiment says otherwise. "
        "Each run has its own descriptors and margins.",
        draw_satisfied,
    ),
    Panel(
        "figure4_boxes.png",
        "Dice, case by case",
        "A point is a case, the mean over its scans. A box spans the middle half of the cases, "
        "its thick line is the median, its whiskers reach the farthest case within one and a half box "
        "heights.",
        draw_boxes,
    ),
    Panel(
        "constraints.png",
        "Constraints kept",
        "The fraction of each descriptor's numbers that lie within both their bounds, of the predicted masks "
        "on the evaluated slices, or volumes where a run was told of volumes. A run "
        "supervised by pixels never saw these bounds. The absent volume is that of classes that a slice does "
        "not have. Where a run keeps its constraints and its Dice is low all the same, the descriptors do "
        "not pin the shape down.",
        draw_constraints,
    ),
    Panel(
        "bland_altman.png",
        "Agreement with the reference biomarkers",
        "A point is a patient. The solid line is the bias: above zero, the run overestimates. About 95% "
        "of differences fall between the dashed limits of agreement (bias ± 1.96 standard deviations), so "
        "a narrower band is a more trustworthy measurement. Points that climb or fall from left to right "
        "say that the error depends on the size of what is measured. Runs share the upright scale of a "
        "quantity, unless a run's errors are over three times the best run's. In the table, n counts "
        "patients, the mean error is that of absolute differences, and r is Pearson's correlation.",
        draw_bland_altman,
    ),
    Panel(
        "figure3.png",
        "The penalty behind the constraints",
        "The extended log-barrier for growing t, beside a quadratic penalty. A larger t lets a kept "
        "constraint (left) go almost free and makes a broken one (right) dearer; unlike the quadratic, "
        "the barrier pushes already before the bound is reached. It depends on no run.",
        lambda runs: Drawing(barrier_figure()),
    ),
)


@dataclass(frozen=True)
class Drawn:
    """A panel after drawing: where its picture lies (None: not drawn) and what had to be left out."""

    panel: Panel
    path: Path | None
    left_out: tuple[str, ...]


def draw_panels(runs: Sequence[Run], folder: Path) -> list[Drawn]:
    """Draw and save each figure that the runs' files allow, one at a time to spare memory."""
    return [_draw_panel(panel, runs, folder) for panel in PANELS]


def _draw_panel(panel: Panel, runs: Sequence[Run], folder: Path) -> Drawn:
    drawing = panel.draw(runs)
    if drawing.figure is None:
        return Drawn(panel, None, drawing.left_out)
    save(drawing.figure, folder / panel.file)
    return Drawn(panel, folder / panel.file, drawing.left_out)
