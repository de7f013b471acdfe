"""Ask whether the boundary's length could say how sharp a projection's target should be.

    python campaigns/lengths.py RUN --data DATA [--cases 30]

Of a trained run's training slices: the prediction, its projection onto the exact volume, centroid and
covariance of the masks, and that projection sharpened. For each, and each class, the length as a fraction of
the mask's: median, and the 10th and 90th percentile over slices with an object of 20 pixels or more. A length
that sharpening does not move cannot choose the sharpening.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from command_line import Parser, whole_number
from torch import Tensor

from shapewise.build.cases import build_preprocessing, build_split
from shapewise.data.layouts import find_cases
from shapewise.data.prepare import prepare_images, prepare_masks
from shapewise.descriptors import describe_together
from shapewise.descriptors.masks import one_hot
from shapewise.errors import DataError
from shapewise.projection import annotated_moments, moment_projection, sharpen_within
from shapewise.run_folder import RunFolder
from shapewise.run_network import load_network

MOMENTS = ("volume", "centroid", "covariance")
FACTORS = (1.2, 1.5, 3.0, 8.0)
LEAST_PIXELS, ROUNDS, TOGETHER = 20, 30, 16


def distributions(logits: Tensor, exact: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The prediction and what targets are made of it, by name, ``(N, 1 + K, H, W)``."""
    moments = annotated_moments({name: exact[name] for name in MOMENTS}, 2, descriptors=MOMENTS)
    log_probs = logits.log_softmax(1)
    yield "prediction", log_probs.exp()
    projected = moment_projection(log_probs, moments, iterations=ROUNDS).probs
    yield "projection", projected
    for factor in FACTORS:
        yield f"sharpened {factor:g}", sharpen_within(projected, factor, moments)


def relative_lengths(probs: Tensor, exact: dict[str, Tensor], classes: tuple[str, ...]) -> dict[str, str]:
    """Of every class: median (10th to 90th percentile) of its length as a fraction of the mask's."""
    found = describe_together(probs[:, 1:], ["length"])["length"] / exact["length"]
    there = exact["volume"][..., 0] >= LEAST_PIXELS
    said = {}
    for number, name in enumerate(classes):
        share = found[there[:, number], number, 0]
        low, middle, high = share.quantile(torch.tensor([0.1, 0.5, 0.9], dtype=share.dtype)).tolist()
        said[name] = f"{middle:.3f} ({low:.2f} to {high:.2f})"
    return said


def main() -> None:
    """Read the command line."""
    parser = Parser(__doc__)
    parser.add_argument("run", type=Path, help="a trained run's folder")
    parser.add_argument("--data", type=Path, required=True, help="data folder with masks")
    parser.add_argument("--cases", type=whole_number(1), default=30, help="training cases to look at")
    given = parser.parse_args()
    with parser.errors_in_a_line(), tempfile.TemporaryDirectory() as cache:
        run = RunFolder(given.run)
        experiment = run.read_experiment()
        study = find_cases(given.data)
        network = load_network(run, experiment, study.classes)
        cases = build_split(experiment, study)["train"][: given.cases]
        if any(case.mask is None for case in cases):
            raise DataError(given.data, expected="a mask of every training case", found="none for some")
        preprocessing = build_preprocessing(experiment)
        images = torch.from_numpy(np.array(prepare_images(cases, preprocessing, Path(cache)).images))
        masks = torch.from_numpy(
            np.array(prepare_masks(cases, study.classes, preprocessing, Path(cache)))
        ).long()
        with torch.inference_mode():
            parts = images.unsqueeze(1).float().split(TOGETHER)
            logits = torch.cat([network(part) for part in parts]).double()
            exact = describe_together(one_hot(masks, logits, first=1), (*MOMENTS, "length"))
            rows = {
                name: relative_lengths(probs, exact, study.classes)
                for name, probs in distributions(logits, exact)
            }
    print(pd.DataFrame(rows).T.to_string())


if __name__ == "__main__":
    main()
