"""How every figure looks: colours that colour-blind readers tell apart, quiet axes, no pyplot."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

INK = "#222222"
MUTED = "#666666"
GRID = "#e4e4e4"
DOTS_PER_INCH = 160

PAGE_WIDTH = 10.0
"""Widest figure in inches: what a report shows without shrinking its lettering."""

RUN_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#aa3377", "#e69f00", "#555555")
"""Okabe and Ito's palette, dark enough for lines on white; runs beyond the sixth begin again."""

RUN_MARKERS = ("o", "s", "^", "D", "v", "P")
"""A second sign beside the colour, for prints in black and white."""

CLASS_COLOURS = ("#56b4e9", "#f0e442", "#ff6f61", "#00c08b", "#d68fd6", "#ffffff")
"""Bright enough to read on a grey image: RV blue, Myo yellow, LV red, then further classes in order."""


@dataclass(frozen=True)
class Drawing:
    """A figure, or the reasons why it or some runs of it are left out.

    >>> Drawing(None, ("pixels has no log.csv",)).figure is None
    True
    """

    figure: Figure | None
    left_out: tuple[str, ...] = ()


def run_colour(index: int) -> str:
    """Colour of the run at this place of the comparison.

    >>> run_colour(0) == run_colour(6)
    True
    """
    return RUN_COLOURS[index % len(RUN_COLOURS)]


def run_marker(index: int) -> str:
    """Marker of the run at this place of the comparison.

    >>> run_marker(1)
    's'
    """
    return RUN_MARKERS[index % len(RUN_MARKERS)]


def class_colour(label: int) -> str:
    """Colour of a foreground label, 1 being the first.

    >>> class_colour(1) == CLASS_COLOURS[0]
    True
    """
    return CLASS_COLOURS[(label - 1) % len(CLASS_COLOURS)]


def blank_figure(width: float, height: float, *, gap: float = 0.06) -> Figure:
    """White figure of a size in inches that lays itself out, `gap` inches around each part.

    >>> blank_figure(4, 3).get_size_inches().tolist()
    [4.0, 3.0]
    """
    layout = ConstrainedLayoutEngine(w_pad=gap, h_pad=gap, wspace=0.02, hspace=0.02)
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def quieten(axes: Axes, *, grid: Literal["x", "y"] | None = "y") -> None:
    """Take away what carries no data: the box, the dark ticks; leave a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=9, color=MUTED, length=3)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.8)


def key_to_runs(figure: Figure, labels: Sequence[str]) -> None:
    """One legend above the figure: each run's colour and marker."""
    handles = [
        Line2D(
            [], [], color=run_colour(i), marker=run_marker(i), markersize=5, linewidth=1.8, label=plain(label)
        )
        for i, label in enumerate(labels)
    ]
    lengths = [len(str(handle.get_label())) + 7 for handle in handles]
    room = int(figure.get_figwidth() * 12.5)
    columns = len(handles) if sum(lengths) <= room else max(1, room // max(lengths))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False, fontsize=9)


def plain(text: str) -> str:
    r"""Keep Matplotlib from reading a name as mathematics, or as a label that a legend should hide.

    >>> plain("$5_a"), plain("_hidden").lstrip()
    ('\\$5_a', '_hidden')
    """
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def fold(text: str, inches: float) -> str:
    """Break a heading into at most four lines of a width.

    >>> fold("acdc barrier in raw units", 1.2).splitlines()
    ['acdc barrier', 'in raw units']
    """
    return textwrap.fill(text, max(8, int(inches * 11)), max_lines=4, placeholder="…")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, without the date or the version that would make equal figures differ."""
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
