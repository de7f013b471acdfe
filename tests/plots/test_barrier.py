from __future__ import annotations

import math

import numpy as np
import pytest

from shapewise.plots.barrier import barrier_figure


def test_curves_are_the_papers_formula() -> None:
    line = barrier_figure((5.0,)).axes[0].lines[0]
    z, penalty = (np.asarray(values, dtype=float) for values in line.get_data())
    inside, outside = np.searchsorted(z, -0.5), np.searchsorted(z, 0.25)
    assert penalty[inside] == pytest.approx(-math.log(-z[inside]) / 5)
    assert penalty[outside] == pytest.approx(5 * z[outside] - math.log(1 / 25) / 5 + 1 / 5)


def test_one_curve_a_slope_and_the_quadratic() -> None:
    axes = barrier_figure((2.0, 8.0)).axes[0]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "log-barrier, t = 2",
        "log-barrier, t = 8",
        "quadratic",
    ]
    z, penalty = (np.asarray(values, dtype=float) for values in axes.lines[2].get_data())
    np.testing.assert_allclose(penalty, np.maximum(z, 0) ** 2)
