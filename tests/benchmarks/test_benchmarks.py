"""The benchmarks run, on images too small to say anything about time."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from torch.nn import functional

from shapewise.descriptors.kernel import kernel

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / name), *arguments]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", timeout=300).stdout


def test_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    timing = importlib.import_module("timing")
    found = tmp_path / "bars.json"
    shapes = ("--shape", "2", "3", "16", "16", "--shape", "1", "2", "4", "8", "8")
    output = run("bars.py", *shapes, "--threads", "1", "--seconds", "0", "--json", str(found))
    assert "2 x 3 x 16 x 16, 1 thread(s)" in output
    results = json.loads(found.read_text())["results"]
    traced = ["V, C, D, torch.compile", "V, C, D, L, torch.compile"]
    assert [each["name"] for each in results if each["name"] in traced] == (traced * 2 if kernel() else [])
    assert len(results) == 2 * (13 if kernel() else 11)
    assert {each["rounds"] for each in results} == {timing.FEWEST}  # there are no seconds for more
    for each in results:
        logits, labels = timing.example(each["shape"])
        unit = timing.extra_memory(partial(functional.cross_entropy, target=labels), logits)
        least = logits.numel() * logits.element_size()  # the gradient, or scikit-image's probabilities
        assert each["memory"] * unit > least - 1, each["name"]


def test_growth(tmp_path: Path) -> None:
    sizes = ("--sides", "8", "16", "--volumes", "8", "--classes", "2", "3", "--side", "16")
    output = run("growth.py", "--out", str(tmp_path), *sizes)
    assert "1 x 4 x 8 x 8 x 8" in output
    assert {path.name for path in tmp_path.iterdir()} == {"growth_time.png", "growth_memory.png"}


def test_enet_step() -> None:
    output = run("enet_step.py", "--size", "32", "--batch", "1", "--rounds", "1")
    assert "V, C, D, L, barrier" in output


def test_network_step() -> None:
    ways = ("--ways", "bfloat16", "channels last")
    output = run("network_step.py", "--size", "32", "--batch", "1", "--rounds", "1", *ways)
    assert [line.split("  ")[0] for line in output.splitlines()[2:]] == ["float32", *ways[1:]]


def test_loader() -> None:
    output = run("loader.py", "--slices", "20", "--size", "32", "--batch", "4", "--steps", "1")
    assert "loader, 2 workers" in output
    assert "memory after epoch 3" in output


def test_projection() -> None:
    output = run("projection.py", "--size", "24", "--batch", "1", "--rounds", "2", "--times", "1")
    assert "2 rounds, kernel" in output
    assert "2 rounds, plain" in output


@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="no /usr/bin/chromium")
def test_page() -> None:
    output = run("page.py", "--images", "1", "2", "--slices", "20", "--size", "32")
    assert "20 slices of 32 x 32 in 1 image(s): open in" in output
    assert "in 2 image(s): open in" in output
