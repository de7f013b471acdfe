"""The paper's Figure 3: the extended log-barrier as t grows, beside a quadratic penalty."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure

from shapewise.constraints.penalties import log_barrier, quadratic
from shapewise.plots.style import INK, MUTED, blank_figure, quieten

SLOPES = (5.0, 10.0, 20.0, 30.0)
"""The default schedule's start, its cap, and two values between them."""


def barrier_figure(slopes: Sequence[float] = SLOPES) -> Figure:
    """Draw the penalty against the residual z, one curve a value of t (Kervadec et al. 2021, Figure 3).

    Args:
        slopes: Values of t, each the slope of the barrier far outside its bound.

    Returns:
        The figure; the kept side, z <= 0, is tinted.

    Examples:
        >>> [line.get_label() for line in barrier_figure((5.0,)).axes[0].lines[:2]]
        ['log-barrier, t = 5', 'quadratic']
    """
    figure = blank_figure(6.4, 3.8)
    axes = figure.add_subplot()
    z = torch.linspace(-1.0, 0.5, 1501, dtype=torch.float64)
    for index, t in enumerate(slopes):
        colour = colormaps["viridis"](0.85 * index / max(1, len(slopes) - 1))
        axes.plot(z, log_barrier(z, t), color=colour, linewidth=2, label=f"log-barrier, t = {t:g}")
    axes.plot(z, quadratic(z), color=INK, linestyle=(0, (4, 2)), linewidth=2, label="quadratic")
    axes.axvspan(-1.0, 0.0, color="#009e73", alpha=0.07, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set(xlim=(-1.0, 0.5), ylim=(-0.2, 2.0))
    axes.set_xlabel("residual z", fontsize=9.5)
    axes.set_ylabel("penalty", fontsize=9.5)
    axes.text(-0.02, -0.1, "bound kept", ha="right", va="center", color=MUTED, fontsize=9)
    axes.text(0.02, -0.1, "bound broken", ha="left", va="center", color=MUTED, fontsize=9)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    quieten(axes)
    return figure
