"""What works with the kernel or without it: these run on machines that have no compiler too."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from shapewise.descriptors import describe_together, get
from shapewise.descriptors.kernel import SWITCH

COMPILED = """
import torch
from shapewise.losses import ShapeConstraintLoss
torch.manual_seed(0)
loss = ShapeConstraintLoss(softmax=True)
scores = torch.randn(2, 3, 12, 12, requires_grad=True)
mask = torch.zeros(2, 12, 12, dtype=torch.long)
mask[:, 2:6, 2:8], mask[:, 8:11, 3:9] = 1, 2
def step(x):
    return loss(2 * x, mask)
(found,) = torch.autograd.grad(torch.compile(step, backend="aot_eager")(scores), scores)
(expected,) = torch.autograd.grad(step(scores), scores)
torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
"""


def test_a_step_that_the_user_compiles():
    subprocess.run([sys.executable, "-c", COMPILED], check=True, timeout=200)


VALUES = """
import json, sys, torch
from shapewise.descriptors import describe_together
from shapewise.descriptors.kernel import kernel
assert kernel() is None
probs = torch.linspace(0, 1, 40).reshape(1, 2, 4, 5)
found = describe_together(probs, ["volume", "spread", "length"])
print(json.dumps({name: value.tolist() for name, value in found.items()}))
"""


@pytest.mark.parametrize(
    "environment", [{SWITCH: "0"}, {"PATH": "", "CXX": "none"}], ids=["off", "no compiler"]
)
def test_without_the_kernel(environment):
    inherited = {"PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", VALUES]
    said = subprocess.run(
        command, env=inherited | environment, check=True, timeout=100, capture_output=True, encoding="utf-8"
    ).stdout
    probs = torch.linspace(0, 1, 40).reshape(1, 2, 4, 5)
    found = json.loads(said)
    assert tuple(found) == ("volume", "spread", "length")
    for name, values in found.items():
        torch.testing.assert_close(torch.tensor(values), get(name).function(probs))
        torch.testing.assert_close(torch.tensor(values), describe_together(probs, [name])[name])
