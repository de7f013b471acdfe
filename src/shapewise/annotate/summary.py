"""What annotating costs: seconds and gestures, object by object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from shapewise.annotate.store import Store


def object_costs(store: Store) -> pd.DataFrame:
    """One row an object that is annotated now: its class, what it is, how it came to be, and what it cost.

    All edits of an object count, those that were undone too.
    """
    spent: dict[tuple[object, str], list[float]] = {}
    for place, costs in store.costs():
        for name, cost in costs.items():
            total = spent.setdefault((place, name), [0.0, 0.0])
            total[0] += cost["seconds"]
            total[1] += cost["gestures"]
    rows = [
        (
            *(place.case, place.frame, place.slice, name, drawn.shape.kind, drawn.origin),
            *spent.get((place, name), (0.0, 0.0)),
        )
        for place, state in store.read_all().items()
        for name, drawn in state.objects.items()
    ]
    columns = ["case", "frame", "slice", "class", "shape", "origin", "seconds", "gestures"]
    return pd.DataFrame(rows, columns=columns)


def summarise(costs: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """One row a class and one for all: objects, and the mean and median seconds and gestures of one.

    >>> costs = pd.DataFrame({"class": ["LV", "LV"], "seconds": [2.0, 4.0], "gestures": [1, 3]})
    >>> summarise(costs, ["RV", "LV"]).loc["LV"].tolist()
    [2.0, 3.0, 3.0, 2.0, 2.0]
    """
    groups = {name: costs[costs["class"] == name] for name in classes} | {"all": costs}
    return pd.DataFrame(
        {
            name: {
                "objects": float(len(group)),
                "seconds (mean)": group["seconds"].mean(),
                "seconds (median)": group["seconds"].median(),
                "gestures (mean)": group["gestures"].mean(),
                "gestures (median)": group["gestures"].median(),
            }
            for name, group in groups.items()
        }
    ).T


def log_of(out: Path) -> Path:
    """Where the edits behind a table are kept: beside it.

    >>> log_of(Path("hearts.csv")).name
    'hearts.clicks.sqlite'
    """
    return out.with_suffix(".clicks.sqlite")
