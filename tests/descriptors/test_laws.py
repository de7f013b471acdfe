"""Laws that hold for every descriptor, each run in one loop over all of them, in 2-D and 3-D."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shapewise.descriptors import describe_together, get

NAMES = (
    "volume",
    "centroid",
    "spread",
    "covariance",
    "third_moments",
    "fourth_moments",
    "orientation",
    "elongation",
    "length",
    "potts_length",
    "convexity",
    "hu_moments",
)
CASES = [(name, ndim) for name in NAMES for ndim in (2, 3) if (name, ndim) != ("hu_moments", 3)]
MEASURES = [case for case in CASES if case[0] != "potts_length"]  # those that know millimetres
SPACE = {2: (7, 6), 3: (5, 4, 6)}
SPACING = {2: (0.5, 2.0), 3: (3.0, 0.5, 1.25)}
seeds = st.integers(0, 10**6)
every = pytest.mark.parametrize(("name", "ndim"), CASES)


def uneven(seed: int, ndim: int, *, batch: int = 1, classes: int = 2) -> torch.Tensor:
    """Random probabilities, longer along the first axis than along the others: no direction is ambiguous."""
    probs = torch.rand(batch, classes, *SPACE[ndim], generator=torch.Generator().manual_seed(seed)).double()
    probs[:, :, :, 2:] *= 0.2
    return probs


def spaced(name: str, ndim: int) -> dict[str, tuple[float, ...]]:
    return {} if name == "potts_length" else {"spacing": SPACING[ndim]}


@every
@settings(deadline=None, max_examples=40)
@given(seed=seeds)
def test_translation_moves_the_centroid_and_nothing_else(name, ndim, seed):
    describe = get(name).function
    here = torch.nn.functional.pad(uneven(seed, ndim), [1, 4] * ndim)
    shift = tuple(range(1, ndim + 1))
    there = torch.roll(here, shift, dims=tuple(range(2, ndim + 2)))
    moved = torch.tensor(shift, dtype=torch.float64) if name == "centroid" else 0
    torch.testing.assert_close(describe(there), describe(here) + moved)


@pytest.mark.parametrize(("name", "ndim"), MEASURES)
@settings(deadline=None, max_examples=40)
@given(seed=seeds, factor=st.floats(0.1, 10))
def test_spacing_scales_values_by_their_unit(name, ndim, seed, factor):
    entry, probs = get(name), uneven(seed, ndim)
    larger = tuple(factor * step for step in SPACING[ndim])
    expected = entry.function(probs, spacing=SPACING[ndim]) * factor ** entry.unit_power(ndim)
    torch.testing.assert_close(entry.function(probs, spacing=larger), expected)


@pytest.mark.parametrize(("name", "ndim"), MEASURES)
def test_a_spacing_of_one_is_no_spacing(name, ndim):
    probs, describe = uneven(0, ndim), get(name).function
    torch.testing.assert_close(describe(probs, spacing=(1.0,) * ndim), describe(probs))


@every
@settings(deadline=None, max_examples=40)
@given(seed=seeds, order=st.permutations(range(4)))
def test_permuting_classes_permutes_values(name, ndim, seed, order):
    probs, describe = uneven(seed, ndim, classes=4), get(name).function
    torch.testing.assert_close(describe(probs[:, order]), describe(probs)[:, order])


@every
def test_images_of_a_batch_do_not_mix(name, ndim):
    probs, describe = uneven(0, ndim, batch=3), get(name).function
    torch.testing.assert_close(describe(probs), torch.cat([describe(image[None]) for image in probs]))


@every
def test_gradcheck(name, ndim):
    describe, options = get(name).function, spaced(name, ndim)
    probs = uneven(1, ndim)[..., :4].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: describe(p, **options), probs)


def extremes(ndim: int) -> dict[str, torch.Tensor]:
    side = 8
    axes = torch.meshgrid(*[torch.arange(side) - side // 2] * ndim, indexing="ij")
    point = torch.zeros(side**ndim).index_fill(0, torch.tensor([side + 1]), 1).reshape([side] * ndim)
    return {
        "empty": torch.zeros([side] * ndim),
        "full": torch.ones([side] * ndim),
        "uniform": torch.full([side] * ndim, 0.25),
        "faint": torch.full([side] * ndim, 1e-4),
        "point": point,
        "faint point": 0.3 * point,
        "line": (axes[0] == 0).float() if ndim == 2 else ((axes[0] == 0) & (axes[1] == 0)).float(),
        "disc or ball": (sum(axis**2 for axis in axes) <= 9).float(),
        "square or cube": (torch.stack(axes).abs().amax(0) <= 2).float(),
    }


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_values_and_gradients_are_finite(name, ndim, dtype):
    for kind, mask in extremes(ndim).items():
        probs = mask[None, None].to(dtype).requires_grad_()
        values = get(name).function(probs, **spaced(name, ndim))
        assert values.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert values.isfinite().all(), kind
        side = probs.shape[-1]  # a residual is relative, px⁴ of a faint point are beyond float16
        relative = values.sum() / side ** get(name).unit_power(ndim)
        (gradient,) = torch.autograd.grad(relative, probs)
        assert gradient.dtype == dtype
        assert gradient.isfinite().all(), kind


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_changes_nothing(name, ndim, dtype):
    probs, describe = uneven(0, ndim).float(), get(name).function
    with torch.autocast("cpu", dtype=dtype):
        inside = describe(probs)
    assert torch.equal(inside, describe(probs))


@every
def test_large_images_in_float16(name, ndim):
    """65504 is the largest float16; this image has more pixels than that."""
    side = 288 if ndim == 2 else 42
    probs = torch.zeros(1, 1, *[side] * ndim)
    probs[..., : side - 3, 2:] = 1
    describe = get(name).function
    torch.testing.assert_close(describe(probs.half()), describe(probs))


@pytest.mark.parametrize("ndim", [2, 3])
def test_together_is_the_same_as_one_by_one(ndim):
    probs, names = uneven(0, ndim, batch=2), [name for name, n in MEASURES if n == ndim]
    together = describe_together(probs, names, spacing=SPACING[ndim])
    assert list(together) == names
    for name, values in together.items():
        torch.testing.assert_close(values, get(name).function(probs, spacing=SPACING[ndim]))


COMPILED = """
import sys, torch
from shapewise.descriptors import describe_together, get

def check(function, shape, backend, **options):
    torch.manual_seed(0)
    torch.compiler.reset()
    probs = torch.rand(shape).requires_grad_()
    results = []
    for each in (function, torch.compile(function, fullgraph=True, backend=backend)):
        value = each(probs, **options)
        results += [value, *torch.autograd.grad(value.square().sum(), probs)]
    torch.testing.assert_close(results[2:], results[:2], rtol=1e-4, atol=1e-4)

def several(probs, spacing):
    values = describe_together(probs, ["volume", "centroid", "length"], spacing=spacing)
    return torch.cat(list(values.values()), -1)

check(several, (1, 2, 9, 8), "inductor", spacing=(2.0, 1.5))
for name in sys.argv[1:]:
    spacing = None if name == "potts_length" else (2.0, 1.5)
    check(get(name).function, (1, 2, 9, 8), "eager", spacing=spacing)
for name in ("length", "orientation"):
    check(get(name).function, (1, 2, 3, 4, 5), "eager", spacing=(2.0, 1.5, 1.0))

length = get("length").function
changing = torch.compile(length, fullgraph=True, backend="eager")
for shape, spacing in [((1, 2, 6, 7), (1.0, 2.0)), ((2, 3, 6, 9), (2.0, 0.5)), ((2, 3, 8, 9), None)]:
    probs = torch.rand(shape)
    torch.testing.assert_close(changing(probs, spacing=spacing), length(probs, spacing=spacing))
"""


def test_compiled_descriptors_are_whole_graphs():
    """In a process of its own: the compiler and the hooks that check shapes in tests do not mix."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, *NAMES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
