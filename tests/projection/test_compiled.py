"""The compiled search against the plain one: the same steps, the same end."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from shapewise.constraints import Bounds
from shapewise.descriptors import describe_together
from shapewise.descriptors.kernel import kernel, without_kernel
from shapewise.projection import Projection, annotated_moments, moment_projection
from shapewise.projection.annotated import AnnotatedMoments
from shapewise.projection.compiled import searches

pytestmark = pytest.mark.skipif(kernel() is None, reason="no compiled kernel on this machine")

ALL = ("volume", "centroid", "covariance", "third_moments", "fourth_moments")
CASES = {
    "exact": {"descriptors": ALL[:3]},
    "spread": {"descriptors": ("volume", "centroid", "spread")},
    "volume alone": {"descriptors": ALL[:1]},
    "order 4": {"descriptors": ALL},
    "between bounds": {"descriptors": ALL[:3], "tolerance": 0.2},
    "erring": {"descriptors": ALL[:3], "error": 0.1},
}
SIZES = [(20, 17), (1, 30), (5, 9, 11)]


def problem(
    size: tuple[int, ...], dtype: torch.dtype, how: dict[str, Any]
) -> tuple[Tensor, AnnotatedMoments]:
    """Four images of three objects: one is absent, one unknown, one at odds with itself."""
    generator = torch.Generator().manual_seed(sum(size))
    logits = 2 * torch.randn(4, 4, *size, generator=generator, dtype=dtype)
    shapes = (2 * torch.randn(4, 4, *size, generator=generator, dtype=dtype)).softmax(1)[:, 1:]
    given = describe_together(shapes, (*ALL, "spread"))
    given["volume"][1, 0] = 0
    for values in given.values():
        values[2, 1] = math.nan
    given["volume"][3, 2] *= 30
    return logits, annotated_moments(given, len(size), **how)


def both(logits: Tensor, moments: AnnotatedMoments, **how: Any) -> tuple[Projection, Projection]:
    with without_kernel():
        plain = moment_projection(logits, moments, **how)
    return moment_projection(logits, moments, **how), plain


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("how", CASES.values(), ids=CASES)
def test_the_search_ends_where_the_plain_one_does(how: dict[str, Any], size: tuple[int, ...]) -> None:
    compiled, plain = both(*problem(size, torch.float64, how), iterations=12)
    for name, one, other in zip(Projection._fields, compiled, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8, msg=name)


def test_single_precision() -> None:
    compiled, plain = both(*problem((40, 30), torch.float32, CASES["exact"]), iterations=20)
    assert compiled.multipliers.dtype == compiled.probs.dtype == torch.float32
    torch.testing.assert_close(compiled.probs, plain.probs, rtol=0, atol=1e-3)
    assert torch.equal(compiled.converged, plain.converged)


@pytest.mark.parametrize("beginning", ["good", "bad", "no number"])
def test_from_near_by(beginning: str) -> None:
    logits, moments = problem((20, 17), torch.float64, CASES["exact"])
    near = moment_projection(logits, moments, iterations=30).multipliers
    if beginning != "good":
        near = torch.full_like(near, 40.0 if beginning == "bad" else math.nan)
    compiled, plain = both(logits, moments, near=near, iterations=4)
    torch.testing.assert_close(compiled.multipliers, plain.multipliers, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("columns", [63, 64, 65, 700])
def test_a_log_partition_that_would_leave_a_double_does_not(columns: int) -> None:
    """A product of many small probabilities is taken apart, 64 at a time, before its logarithm is."""
    logits = torch.zeros(1, 24, 4, columns, dtype=torch.float64)
    moments = annotated_moments({"volume": torch.full((1, 23, 1), columns / 10)}, 2)
    assert searches(logits, moments)
    assert columns < 700 or 24.0**-columns == 0  # the largest of a pixel's probabilities is 1/24
    compiled, plain = both(logits, moments, iterations=5)
    assert compiled.multipliers.abs().min() > 0.1
    torch.testing.assert_close(compiled.multipliers, plain.multipliers, rtol=1e-6, atol=1e-8)


def test_the_number_of_threads_changes_no_digit() -> None:
    logits, moments = problem((130, 110), torch.float32, CASES["exact"])
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(moment_projection(logits, moments).multipliers)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_a_view_is_read_as_it_looks() -> None:
    logits, moments = problem((20, 17), torch.float64, CASES["exact"])
    stored = logits.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    compiled, plain = both(stored, moments)
    torch.testing.assert_close(compiled.probs, plain.probs)


def test_numbers_for_all_images_alike_are_read_for_each() -> None:
    logits, moments = problem((20, 17), torch.float64, CASES["exact"])
    one = replace(moments, size=moments.size[:1], lower=moments.lower[:1], upper=moments.upper[:1])
    compiled, plain = both(logits, one)
    torch.testing.assert_close(compiled.multipliers, plain.multipliers, rtol=1e-6, atol=1e-8)


def test_a_prediction_that_is_no_number_has_not_converged() -> None:
    logits = torch.zeros(1, 2, 6, 6, dtype=torch.float64)
    logits[0, 1, 2, 3] = math.nan
    at_most = Bounds(torch.tensor([[[-math.inf]]]), torch.tensor([[[40.0]]]))
    for found in both(logits, annotated_moments({"volume": at_most}, 2)):
        assert not found.converged.any()
        assert found.residual.isnan().all()
