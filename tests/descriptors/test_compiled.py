"""The compiled kernel against softmax and the plain functions: values, gradients, the same on any threads."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from shapewise.descriptors import describe_together, get
from shapewise.descriptors.compiled import COVERED, covers, describe_compiled
from shapewise.descriptors.kernel import kernel, without_kernel
from shapewise.descriptors.masks import one_hot
from shapewise.descriptors.together import describe_mask
from shapewise.errors import ArgumentError

pytestmark = pytest.mark.skipif(kernel() is None, reason="no C++ compiler here")

USUAL = ("volume", "centroid", "spread", "length")
EVERYTHING = ("volume", "centroid", "spread", "covariance", "third_moments", "fourth_moments", "length")
SHAPES = [(2, 4, 9, 7), (1, 2, 1, 5), (1, 3, 6, 1), (2, 3, 5, 6, 4), (1, 3, 7, 1, 9), (2, 3, 150, 300)]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def plain(scores: torch.Tensor, names: tuple[str, ...], *, softmax: bool, first: int = 0, **options):
    probs = (scores.softmax(1) if softmax else scores)[:, first:]
    return {name: get(name).function(probs, **options) for name in names}


def gradient(values: dict[str, torch.Tensor], scores: torch.Tensor) -> torch.Tensor:
    """Of a random combination of all values, each divided by its size."""
    random = torch.Generator().manual_seed(0)
    weights = [torch.randn(v.shape, generator=random, dtype=v.dtype).to(v.device) for v in values.values()]
    sizes = [value.detach().abs().max().clamp_min(1e-3) for value in values.values()]
    parts = zip(values.values(), weights, sizes, strict=True)
    return torch.autograd.grad(sum((v * w).sum() / size for v, w, size in parts), scores)[0]


def agree(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    size = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * size)


def compare(scores: torch.Tensor, names: tuple[str, ...], *, softmax: bool, **options) -> None:
    assert covers(scores, names)
    found = describe_compiled(scores, names, softmax=softmax, **options)
    expected = plain(scores, names, softmax=softmax, **options)
    assert tuple(found) == names
    for name in names:
        agree(found[name], expected[name], TOLERANCE[scores.dtype])
    agree(gradient(found, scores), gradient(expected, scores), TOLERANCE[scores.dtype])


def scores(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 1) -> torch.Tensor:
    """Logits of one blob a class about the image's middle; the last class of the first image is absent."""
    random = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(shape, generator=random, dtype=dtype)
    for axis, size in enumerate(shape[2:]):
        coordinate = torch.linspace(-2, 3, size, dtype=dtype).reshape(-1, *[1] * (len(shape) - 3 - axis))
        logits[:, 1:] -= coordinate**2
    logits[0, -1] -= 60
    return logits.requires_grad_()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("softmax", [True, False], ids=["logits", "probabilities"])
@pytest.mark.parametrize("names", [USUAL, USUAL[:3], USUAL[3:]], ids=["with length", "without", "alone"])
def test_values_and_gradients_are_those_of_the_plain_functions(shape, dtype, softmax, names):
    given_scores = scores(shape, dtype) if softmax else scores(shape, dtype).detach().softmax(1)
    spacing = (0.5, 2.0, 1.25)[: len(shape) - 2]
    compare(given_scores.requires_grad_(), names, softmax=softmax, spacing=spacing, first=1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_higher_moments(shape):
    compare(scores(shape), EVERYTHING, softmax=True)
    compare(scores(shape), ("fourth_moments", "potts_length"), softmax=True, first=1)


@given(
    size=st.lists(st.integers(1, 12), min_size=2, max_size=3),
    classes=st.integers(1, 5),
    batch=st.integers(1, 3),
    first=st.integers(0, 1),
    seed=st.integers(0, 99),
    width=st.sampled_from([1, 17, 263]),
)
@settings(deadline=None, max_examples=25)
def test_any_shape(size, classes, batch, first, seed, width):
    shape = (batch, classes + first, *size[:-1], size[-1] * width)
    random = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(shape, generator=random, dtype=torch.float64)
    compare(logits.requires_grad_(), (*USUAL, "covariance"), softmax=True, first=first)


def extremes(dtype: torch.dtype) -> torch.Tensor:
    """One image each: one-hot, one pixel, one class everywhere, uniform, forbidden classes."""
    hot = torch.eye(3)[torch.arange(48).reshape(6, 8) % 3].movedim(-1, 0)
    point = torch.zeros(3, 6, 8)
    point[0] = 1
    point[:2, 2, 3] = torch.tensor([0.0, 1.0])
    full = torch.tensor([0.0, 1.0, 0.0]).reshape(3, 1, 1).expand(3, 6, 8)
    forbidden = torch.zeros(3, 6, 8)
    forbidden[2] = -math.inf
    images = [400 * hot, 400 * point, 400 * full, torch.zeros(3, 6, 8), forbidden]
    return torch.stack(images).to(dtype).requires_grad_()


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_extreme_classes_have_the_plain_values_and_gradients(dtype):
    compare(extremes(dtype), (*USUAL, "covariance"), softmax=True, first=1)
    probs = extremes(dtype).detach().softmax(1).requires_grad_()
    compare(probs, (*USUAL, "covariance"), softmax=False, first=1)


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (1, 2, 3, 2, 4)])
def test_gradients_and_gradients_of_gradients(shape):
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def values(x):
        return tuple(describe_compiled(x, USUAL, softmax=True, first=1).values())

    assert torch.autograd.gradcheck(values, logits.requires_grad_())
    assert torch.autograd.gradgradcheck(values, logits)


def test_the_number_of_threads_changes_no_digit():
    logits = scores((3, 4, 150, 90), torch.float32)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            values = describe_compiled(logits, USUAL, softmax=True)
            results.append([*(value.detach() for value in values.values()), gradient(values, logits)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


def test_a_small_object_far_from_the_middle_keeps_its_digits():
    probs = torch.full((1, 2, 512, 512), 0.0)
    probs[:, 1, 500:503, 3:6] = 1
    found = describe_compiled(probs, ("spread", "covariance"), first=1)
    torch.testing.assert_close(found["spread"], torch.full((1, 1, 2), math.sqrt(2 / 3)))
    expected = torch.tensor([[[2 / 3, 0.0, 2 / 3]]])
    torch.testing.assert_close(found["covariance"], expected, rtol=1e-5, atol=1e-5)


def test_a_gradient_is_0_or_a_normal_number():
    """Convolutions take hundreds of times as long over smaller ones."""
    logits = torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    logits[:, 0] += 80
    logits.requires_grad_()
    (1e-4 * describe_compiled(logits, ["volume"], softmax=True, first=1)["volume"]).sum().backward()
    assert (logits.grad != 0).any()
    assert ((logits.grad == 0) | (logits.grad.abs() >= torch.finfo(torch.float32).tiny)).all()


def test_other_layouts_of_memory():
    logits = scores((2, 4, 9, 7))
    other = logits.detach().to(memory_format=torch.channels_last).requires_grad_()
    expected, found = (describe_compiled(x, USUAL, softmax=True) for x in (logits, other))
    torch.testing.assert_close(gradient(found, other), gradient(expected, logits))


def test_backward_twice_and_after_inference_mode():
    logits = scores((2, 3, 13, 11))  # a size that no other test uses
    with torch.inference_mode():
        describe_compiled(logits, USUAL, softmax=True)
    total = sum(value.sum() for value in describe_compiled(logits, USUAL, softmax=True).values())
    first, second = (torch.autograd.grad(total, logits, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_label_masks(shape, dtype):
    probs = scores(shape, dtype).detach()
    labels = probs.argmax(1)
    expected = plain(one_hot(labels, probs), EVERYTHING, softmax=False, first=1)
    for mask in (labels, labels.unsqueeze(1), labels.to(torch.uint8)):
        found = describe_mask(mask, probs, EVERYTHING, first=1)
        for name, value in expected.items():
            agree(found[name], value, TOLERANCE[dtype] if name != "third_moments" else 1e-3)
    with pytest.raises(ArgumentError, match="labels from 0 to"):
        describe_mask(labels + shape[1], probs, USUAL)


def test_what_the_kernel_has():
    logits = torch.zeros(1, 2, 4, 4)
    assert all(covers(logits, [name]) for name in COVERED)
    assert not covers(logits, ["volume", "orientation"])
    assert not covers(logits, ["length", "potts_length"])
    assert not covers(logits.half(), ["volume"])
    assert not covers(logits.to("meta"), ["volume"])
    assert not covers(logits[:0], ["volume"])


def test_together_has_the_rest_from_the_plain_functions():
    probs = scores((2, 4, 9, 7)).softmax(1)
    names = ("elongation", *USUAL, "potts_length", "orientation")
    found = describe_together(probs, names, first=1)
    assert tuple(found) == names
    for name, value in plain(probs, names, softmax=False, first=1).items():
        torch.testing.assert_close(found[name], value)


def test_values_may_be_changed_in_place():
    probs = torch.rand(1, 2, 5, 5, requires_grad=True)
    values = describe_together(probs, ["volume", "centroid"])
    values["volume"] += 1
    values["volume"].sum().backward()
    assert (probs.grad == 1).all()


def test_tensors_without_memory_and_tracers_take_the_plain_path():
    probs = torch.rand(1, 2, 5, 5)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert not covers(probs, ["volume"])
        assert describe_together(probs, ["volume"])["volume"].shape == (1, 2, 1)
    seen = []
    torch.jit.trace(lambda p: seen.append(covers(p, ["volume"])) or 2 * p, (probs,), check_trace=False)
    assert seen
    assert not any(seen)


def test_switching_it_off_for_a_while():
    logits = torch.zeros(1, 2, 4, 4)
    with without_kernel():
        assert kernel() is None
        assert not covers(logits, ["volume"])
    assert covers(logits, ["volume"])


def test_a_spacing_may_be_a_list() -> None:
    probs = torch.rand(1, 2, 5, 4)
    for name in ("volume", "centroid", "length", "elongation"):
        found = describe_together(probs, [name], spacing=[2.0, 0.5])[name]
        assert torch.equal(found, describe_together(probs, [name], spacing=(2.0, 0.5))[name])


COMPILED = """
import torch
from torch.profiler import profile
from shapewise.descriptors import describe_together, get
from shapewise.descriptors.masks import one_hot
from shapewise.losses import ShapeConstraintLoss

names = ["volume", "centroid", "spread", "length", "covariance"]
loss = ShapeConstraintLoss(names, softmax=True)

def check(backend, side, dtype, masked=False):
    mask = torch.randint(0, 3, (2, side, side))
    values = describe_together(one_hot(mask, torch.zeros(2, 3, side, side, dtype=dtype), first=1), names)
    # Channels last, as a network leaves them: the kernel reads, and writes, whole rows.
    scores = torch.randn(2, side, side, 3, dtype=dtype).movedim(-1, 1).requires_grad_()
    target = mask if masked else values
    (expected,) = torch.autograd.grad(loss(scores, target), scores)
    # fullgraph lets operations pass at which a graph would break without it.
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=False):
        assert torch._dynamo.explain(loss)(scores, target).graph_break_count == 0
    compiled = torch.compile(loss, backend=backend, fullgraph=True)
    with profile() as seen:
        (found,) = torch.autograd.grad(compiled(scores, target), scores)
    assert {"shapewise::forward", "shapewise::backward"} <= {event.name for event in seen.events()}
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)

check("inductor", 12, torch.float32)
check("aot_eager", 12, torch.float32, masked=True)
check("aot_eager", 12, torch.float64)
check("aot_eager", 15, torch.float64)
with torch._dynamo.config.patch(error_on_recompile=True):
    check("aot_eager", 18, torch.float64)

probs = torch.rand(1, 2, 9, 7).softmax(1).requires_grad_()
described = torch.compile(lambda p: describe_together(p, ["volume", "orientation"])["volume"].sum())
with profile() as seen:
    described(probs).backward()
assert "shapewise::forward" in {event.name for event in seen.events()}
assert torch.equal(probs.grad, torch.ones_like(probs))
"""


def test_torch_compile_takes_it_into_its_graph() -> None:
    subprocess.run([sys.executable, "-c", COMPILED], check=True, timeout=300)
