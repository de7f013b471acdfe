"""Keep of every object its presence or its volume, and say of the rest what hearts in general are like.

    python campaigns/ranges.py EXPERIMENT.yaml --data DATA --out report.csv --keep volume --whole-volume
    python campaigns/ranges.py EXPERIMENT.yaml --data DATA --out presence.csv

Every other number of an object that is there becomes a range, the same for all patients: from the 5th to the
95th percentile of what the masks of the experiment's training patients have, relative to the image's size.
These ranges stand for what an anatomist knows of all hearts in such images; they are a few dozen numbers.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from clicks import study_with_masks
from command_line import Parser
from numpy.typing import NDArray

from shapewise.build.cases import build_split
from shapewise.config import load_experiment
from shapewise.data.cases import Study
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.table import check_suffix, write_table
from shapewise.descriptors.higher import exponents
from shapewise.descriptors.registry import get
from shapewise.errors import DataError

DESCRIPTORS = ("volume", "centroid", "spread", "covariance")
RANGE = [0.05, 0.95]
NUMBER = ["class", "descriptor", "component"]


def sizes(study: Study, whole: bool) -> dict[tuple[str, int], tuple[int, ...]]:
    """Pixels along every axis of what is described: the volume or the slice."""
    shapes = {(case.name, case.frame): case.read_image().image.shape for case in study.cases}
    return shapes if whole else {key: shape[1:] for key, shape in shapes.items()}


def units(table: pd.DataFrame, shapes: dict[tuple[str, int], tuple[int, ...]]) -> NDArray[np.float64]:
    """Each row's zero and unit in an image of its size, ``(rows, 2)``: positions count from the middle."""
    found = []
    for case, frame, name, component in table[["case", "frame", "descriptor", "component"]].itertuples(
        index=False
    ):
        shape, descriptor = shapes[case, frame], get(name)
        if descriptor.per_axis is None:
            found.append((0.0, math.prod(shape)))
        elif descriptor.per_axis == "product":
            powers = exponents(descriptor.unit_power(len(shape)), len(shape))[component]
            found.append((0.0, math.prod(map(pow, shape, powers))))
        else:
            middle = (shape[component] - 1) / 2 if descriptor.per_axis == "position" else 0.0
            found.append((middle, shape[component]))
    return np.array(found, float)


def with_ranges(
    table: pd.DataFrame, zero_and_unit: NDArray[np.float64], known: set[str], keep: set[str]
) -> pd.DataFrame:
    """Replace numbers of what is there, but for those to keep, by their range over known patients."""
    zero, unit = zero_and_unit.T
    relative = table.assign(value=(table["value"] - zero) / unit)
    gone = (table["descriptor"] == "volume") & (table["value"] == 0)
    there = table["value"].notna() & ~gone
    ranges = relative[there & table["patient"].isin(known)].groupby(NUMBER)["value"].quantile(RANGE).unstack()
    each = ranges.reindex(pd.MultiIndex.from_frame(table[NUMBER])).to_numpy() * unit[:, None] + zero[:, None]
    general = (there & ~table["descriptor"].isin(keep)).to_numpy()
    lower, upper = np.where(general[:, None], each, np.nan).T
    if (lost := general & np.isnan(lower)).any():
        row = table.iloc[int(lost.argmax())]
        raise DataError(
            "training split",
            expected=f"a {row['class']} to take the range of its {row['descriptor']} from",
            found="none",
        )
    told = table.assign(lower=lower, upper=upper, source=np.where(general, "prior", "report"))
    return told.assign(value=told["value"].mask(general)).drop(columns="patient")


def main() -> None:
    """Read the command line."""
    parser = Parser(__doc__)
    parser.add_argument("experiment", type=Path, help="whose training patients the ranges are of")
    parser.add_argument("--data", type=Path, required=True, help="data folder with masks")
    parser.add_argument("--out", type=Path, required=True, help="the table")
    parser.add_argument(
        "--keep", choices=DESCRIPTORS, action="append", default=[], help="what is told exactly"
    )
    parser.add_argument("--whole-volume", action="store_true", help="of the 3-D objects")
    given = parser.parse_args()
    with parser.errors_in_a_line():
        check_suffix(given.out)
        split = build_split(load_experiment(given.experiment), find_cases(given.data))
        study = study_with_masks(given.data)
        patients = {case.name: case.patient for case in study.cases}
        known = {case.patient for case in split["train"] if case.mask is not None}
        table = describe(study, descriptors=DESCRIPTORS, whole=given.whole_volume)
        table = table.assign(patient=table["case"].map(patients))
        given.out.parent.mkdir(parents=True, exist_ok=True)
        told = with_ranges(table, units(table, sizes(study, given.whole_volume)), known, set(given.keep))
        write_table(told, given.out)
    exact = told["value"].notna() & (told["value"] != 0)
    print(f"{given.out}: {exact.sum()} numbers, and ranges from {len(known)} patients for the rest")


if __name__ == "__main__":
    main()
