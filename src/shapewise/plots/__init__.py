"""Figures, tables and the report, from the files in run folders."""

from shapewise.plots.barrier import barrier_figure
from shapewise.plots.compare import compare
from shapewise.plots.pictures import overlay
from shapewise.plots.style import save

__all__ = ["barrier_figure", "compare", "overlay", "save"]
