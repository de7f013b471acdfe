"""Simulate the annotation page's user: four clicks an object, each a little off, and the table they leave.

    python campaigns/clicks.py DATA --out clicks.csv --error 2 --seed 0

Each outline's highest, lowest, leftmost and rightmost points are taken from the masks, moved by a normal
error, and made an ellipse as on the page. Myo's outline goes around LV, and RV's around Myo; the page's own
code measures them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from command_line import Parser, pixels, whole_number
from numpy.typing import NDArray
from scipy.ndimage import label

from shapewise.annotate.export import click_table
from shapewise.annotate.numbers import Grid
from shapewise.annotate.schema import Absent, Drawn
from shapewise.annotate.shapes import ellipse_through
from shapewise.annotate.store import Place, State
from shapewise.data.cases import Case, Study
from shapewise.data.layouts import find_cases
from shapewise.data.table import check_suffix, write_table
from shapewise.errors import DataError
from shapewise.progress import watched

AROUND = {"Myo": "LV", "RV": "Myo"}
"""Whose outline is cut out of a class's own; a ring's outline encloses the other class."""

RINGS = ("Myo",)

PREPARE, POINT, KEY, BUTTON = 1.35, 1.1, 0.28, 0.1
"""Seconds of the keystroke-level model (Card, Moran and Newell, Communications of the ACM 23, 1980): to get
ready, to point at something, to strike a key; and, as is usual since, to press or release a mouse button."""


def expected_seconds(points: int, buttons: int) -> float:
    """What that model expects an object to take, with its class's key and without looking and scrolling.

    >>> round(expected_seconds(points=4, buttons=8), 2)  # four clicks
    6.83
    >>> round(expected_seconds(points=2, buttons=2), 2)  # one drag from the centre
    4.03
    """
    return PREPARE + KEY + points * POINT + buttons * BUTTON


def clicked(region: NDArray[np.bool_], error: float, generator: np.random.Generator) -> Drawn:
    """One object by four clicks on the extreme points of its largest part, or absent."""
    if not region.any():
        return Drawn(shape=Absent())
    parts, _ = label(region)
    points = np.argwhere(parts == np.bincount(parts[region]).argmax())
    extremes = []
    for axis in (0, 1):
        # The outline runs half a pixel outside of the last pixel's centre.
        for end, outside in ((points[:, axis].min(), -0.5), (points[:, axis].max(), 0.5)):
            middle = points[points[:, axis] == end].mean(axis=0)
            middle[axis] += outside
            extremes.append(middle)
    moved = np.array(extremes) + generator.normal(0.0, error, (4, 2))
    return Drawn(shape=ellipse_through([(row, column) for row, column in moved.tolist()]))


def slices(
    case: Case, classes: tuple[str, ...], error: float, generator: np.random.Generator
) -> Iterator[tuple[Place, State]]:
    """Every slice of a case as a person leaves it."""
    labels = case.read_mask(classes, case.read_image())
    for index, plane in enumerate(labels):
        masks = {name: plane == number for number, name in enumerate(classes, start=1)}
        drawn = {}
        for name, mask in masks.items():
            inner = AROUND.get(name)
            outline = mask | masks[inner] if name in RINGS and inner in masks and mask.any() else mask
            found = clicked(outline, error, generator)
            around = inner if inner in masks and mask.any() and masks[inner].any() else None
            drawn[name] = found.model_copy(update={"around": around})
        yield Place(case.name, case.frame, index), State(1, drawn)


def study_with_masks(data: Path) -> Study:
    """The cases of a data folder that have a mask.

    Raises:
        DataError: there is no such folder, or no mask in it.
    """
    study = find_cases(data)
    cases = [case for case in study.cases if case.mask is not None]
    if not cases:
        raise DataError(data, expected="masks beside the images", found="none")
    return replace(study, cases=cases)


def annotated(
    study: Study, error: float, seed: int
) -> tuple[dict[Place, State], dict[tuple[str, int], Grid]]:
    """Every slice of a study as a person leaves it, and the pixels of every case."""
    states, grids = {}, {}
    for number, case in enumerate(watched(study.cases, "Clicking")):
        states |= dict(slices(case, study.classes, error, np.random.default_rng([seed, number])))
        grids[case.name, case.frame] = Grid(case.read_image().image.shape[1:], None)
    return states, grids


def main() -> None:
    """Read the command line."""
    parser = Parser(__doc__)
    parser.add_argument("data", type=Path, help="data folder with masks")
    parser.add_argument("--out", type=Path, required=True, help="the table")
    parser.add_argument(
        "--error", type=pixels, default=2.0, help="of a click, pixels: a standard deviation an axis"
    )
    parser.add_argument("--seed", type=whole_number(0), default=0)
    given = parser.parse_args()
    with parser.errors_in_a_line():
        check_suffix(given.out)
        study = study_with_masks(given.data)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        states, grids = annotated(study, given.error, given.seed)
        write_table(click_table(states, grids, "px", given.out), given.out)
    objects = [drawn for state in states.values() for drawn in state.objects.values()]
    there = sum(drawn.shape.kind != "absent" for drawn in objects)
    spent = f"{4 * there} clicks, {expected_seconds(4, 8):.1f} s an object (expected, not measured)"
    print(f"{given.out}: {len(states)} slices, {there} objects, {spent}")


if __name__ == "__main__":
    main()
