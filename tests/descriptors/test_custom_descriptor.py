from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_descriptor.py"


def test_the_example_meets_the_constraint_that_it_adds():
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, check=True)
    last = done.stdout.splitlines()[-1]
    assert last.endswith("volume 100%, centroid 100%, spread 100%, roundness 100%")
