"""The kernels for a GPU against softmax and the plain functions: there, or else in Triton's interpreter."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from descriptors.test_compiled import EVERYTHING, TOLERANCE, agree, gradient, plain, scores
from shapewise.descriptors import compiled, on_gpu
from shapewise.descriptors.compiled import LENGTHS, covers, describe_compiled
from shapewise.descriptors.kernel import without_kernel
from shapewise.losses import ShapeConstraintLoss

pytest.importorskip("triton", reason="no Triton here")
from shapewise.descriptors import gpu_kernels

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SHAPES = [(2, 3, 5, 7), (1, 2, 1, 4), (1, 3, 4, 1), (1, 3, 2, 3, 4)]


@pytest.fixture(autouse=True)
def _in_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every device is taken for a GPU on which the kernels are right."""
    monkeypatch.setattr(compiled, "usable", lambda input: input.dtype in TOLERANCE)


def compare(given: Tensor, names: tuple[str, ...], *, softmax: bool, **options) -> None:
    found = describe_compiled(given, names, softmax=softmax, **options)
    expected = plain(given, names, softmax=softmax, **options)
    assert tuple(found) == names
    for name in names:
        assert found[name].dtype == given.dtype
        agree(found[name], expected[name], TOLERANCE[given.dtype])
    agree(gradient(found, given), gradient(expected, given), TOLERANCE[given.dtype])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("softmax", [True, False], ids=["logits", "probabilities"])
def test_values_and_gradients_are_those_of_the_plain_functions(shape, dtype, softmax):
    given = scores(shape, dtype).detach().to(DEVICE)
    given = given if softmax else given.softmax(1)
    spacing = (0.5, 2.0, 1.25)[: len(shape) - 2]
    compare(given.requires_grad_(), EVERYTHING, softmax=softmax, spacing=spacing, first=1)


@pytest.mark.parametrize("names", [("volume", "centroid", "spread"), ("potts_length",)], ids=" ".join)
def test_any_of_the_names_and_all_classes(names):
    compare(scores((2, 3, 4, 5)).detach().to(DEVICE).requires_grad_(), names, softmax=True)


def test_rows_longer_than_a_block(monkeypatch):
    monkeypatch.setattr(gpu_kernels, "TILE", 16)
    compare(scores((1, 3, 3, 11)).detach().to(DEVICE).requires_grad_(), EVERYTHING, softmax=True, first=1)


@pytest.mark.parametrize("kind", ["uniform", "one-hot", "full", "absent"])
def test_where_nothing_is_sure_and_where_everything_is(kind):
    given = torch.zeros(1, 3, 4, 5, dtype=torch.float64, device=DEVICE)
    if kind == "one-hot":
        given[:, 0], given[:, 1, 1:3, 2:4] = 60, 120
    elif kind != "uniform":
        given[:, 1] = 800 if kind == "full" else -800
    given.requires_grad_()
    found = describe_compiled(given, EVERYTHING, softmax=True, first=1)
    expected = plain(given, EVERYTHING, softmax=True, first=1)
    for name in EVERYTHING:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-10, atol=1e-10)
    first, second = (gradient(values, given) for values in (found, expected))
    torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-10)
    assert first.isfinite().all()


def test_a_small_object_far_from_the_middle_keeps_its_digits():
    given = torch.full((1, 2, 2, 1024), -30.0, device=DEVICE)
    given[:, 0], given[:, 1, :, 1018:1021] = 0, torch.tensor([0.3, 2.0, 0.1], device=DEVICE)
    exact = given.double().requires_grad_()
    names = ("volume", "centroid", "spread", "covariance", "fourth_moments")
    found = describe_compiled(given.requires_grad_(), names, softmax=True, first=1)
    with without_kernel():
        expected = plain(exact, names, softmax=True, first=1)
    for name in names:
        agree(found[name].double(), expected[name], 1e-5)
    agree(gradient(found, given).double(), gradient(expected, exact), 1e-5)


@pytest.mark.parametrize("softmax", [True, False], ids=["logits", "probabilities"])
@pytest.mark.parametrize("names", [("volume", "centroid", "covariance", "length"), ("volume", "centroid")])
def test_gradients_of_gradients(names, softmax):
    given = scores((1, 3, 3, 4)).detach().to(DEVICE)
    given = (given if softmax else given.softmax(1)).requires_grad_()

    def second(values: dict[str, Tensor]) -> Tensor:
        total = sum(value.square().sum() for value in values.values())
        (first,) = torch.autograd.grad(total, given, create_graph=True)
        return torch.autograd.grad(first.square().sum(), given)[0]

    agree(
        second(describe_compiled(given, names, softmax=softmax)),
        second(plain(given, names, softmax=softmax)),
        1e-9,
    )


def test_a_loss_goes_over_the_image_once_forward_and_once_back(monkeypatch):
    launched = []
    for name in ("sum_rows", "pull_rows"):
        launch = getattr(gpu_kernels, name)

        def counted(*arguments, launch=launch, name=name, **options):
            launched.append(name)
            return launch(*arguments, **options)

        monkeypatch.setattr(gpu_kernels, name, counted)
    loss = ShapeConstraintLoss(("volume", "centroid", "spread", "length"), softmax=True)
    target = torch.zeros(1, 6, 8, dtype=torch.long)
    target[:, 1:4, 2:5], target[:, 4:, 5:] = 1, 2
    numbers = plain(
        torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float(),
        loss_names := tuple(d.name for d in loss.descriptors),
        softmax=False,
        first=1,
    )
    given = scores((1, 3, 6, 8), torch.float32).detach().to(DEVICE).requires_grad_()
    assert covers(given, loss_names)
    value = loss(given, numbers)
    value.backward()
    assert launched == ["sum_rows", "pull_rows"]
    monkeypatch.setattr(compiled, "usable", lambda input: False)
    other = given.detach().clone().requires_grad_()
    expected = loss(other, numbers)
    expected.backward()
    agree(value.detach(), expected.detach(), 1e-5)
    agree(given.grad, other.grad, 1e-5)


COMPILED = """
import torch
from shapewise.descriptors import compiled
from shapewise.descriptors.constant import constant

compiled.usable = constant(lambda input: True)
device = "cuda" if torch.cuda.is_available() else "cpu"
logits = torch.randn(1, 3, 4, 5, dtype=torch.float64, device=device, requires_grad=True)

def total(logits):
    values = compiled.describe_compiled(logits, ("volume", "spread", "length"), softmax=True, first=1)
    return torch.cat([value.flatten() for value in values.values()]).square().sum()

found, expected = (
    torch.autograd.grad(function(logits), logits)[0]
    for function in (torch.compile(total, fullgraph=True, backend="aot_eager"), total)
)
torch.testing.assert_close(found, expected)
"""


def test_torch_compile_takes_them_into_its_graph():
    subprocess.run([sys.executable, "-c", COMPILED], check=True)


class TestFirstUse:
    def test_kernels_that_are_right_are_used(self):
        assert on_gpu.found_right.__wrapped__(torch.device(DEVICE), torch.float32)

    def test_kernels_that_are_wrong_are_not_used_and_that_is_said(self, monkeypatch, caplog):
        launch = gpu_kernels.sum_rows

        def wrong(*arguments, **options):
            sums, lengths = launch(*arguments, **options)
            return sums, 1.001 * lengths

        monkeypatch.setattr(gpu_kernels, "sum_rows", wrong)
        assert not on_gpu.found_right.__wrapped__(torch.device(DEVICE), torch.float32)
        assert "do not agree with plain PyTorch" in caplog.text

    def test_a_compiler_that_fails_is_no_error(self, monkeypatch, caplog):
        def broken(*_, **__):
            raise RuntimeError("ptxas is gone\nand more")

        monkeypatch.setattr(gpu_kernels, "sum_rows", broken)
        with caplog.at_level(logging.WARNING):
            assert not on_gpu.found_right.__wrapped__(torch.device(DEVICE), torch.float32)
        assert caplog.messages == [f"descriptors in plain PyTorch on {DEVICE}: ptxas is gone"]


COMPILE = """
from itertools import product

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from shapewise.descriptors import gpu_kernels as kernels

# A size of 1 is a constant to Triton: the rows of a 2-D image are.
constants = dict(CLASSES=4, FIRST=1, LOGITS=True, ORDER=2, NEIGHBOURS=4, PADDED=4, BLOCK=256)
kinds = (
    ("*fp32", {"rows": 1}),
    ("*fp32", {"rows": 1, "columns": 1, "NEIGHBOURS": 0}),
    ("*fp64", {"planes": 1, "rows": 1, "LOGITS": False}),
    ("*fp64", {"NEIGHBOURS": 13}),
)
for kernel, (type_, changes) in product((kernels.sum_row, kernels.pull_row), kinds):
    own = constants | ({"TERMS": 4} if kernel is kernels.sum_row else {}) | changes
    types = dict.fromkeys(kernel.arg_names, type_)
    types |= {"steps": "*i32", "weights": "*fp64", "planes": "i32", "rows": "i32", "columns": "i32"}
    if kernel is kernels.sum_row:
        types |= {"sums": "*fp64", "lengths": "*fp64"}
    source = ASTSource(kernel, signature=types | dict.fromkeys(own, "constexpr"), constexprs=own)
    built = triton.compile(source, target=GPUTarget("cuda", 80, 32))
    print(kernel.__name__, built.metadata.shared < 48 * 1024, len(built.asm["cubin"]) > 0)
"""


def test_they_compile_for_a_gpu_that_is_not_here():
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, encoding="utf-8"
    )
    assert done.stdout.splitlines() == ["sum_row True True"] * 4 + ["pull_row True True"] * 4, done.stderr


def test_of_no_class_there_is_nothing():
    found = describe_compiled(
        torch.zeros(2, 1, 3, 4, device=DEVICE), ("volume", "spread"), softmax=True, first=1
    )
    assert [tuple(value.shape) for value in found.values()] == [(2, 0, 1), (2, 0, 2)]


def test_one_length_at_a_time():
    assert not covers(torch.zeros(1, 2, 3, 3), sorted(LENGTHS))
