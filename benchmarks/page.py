"""Time the annotation page in a browser: until the first slice is shown, and from one slice to another.

    python benchmarks/page.py --images 1 100 --slices 1000 --size 256

For each number of images a study of so many slices is made and served; a browser opens it, walks by key, and
jumps. Milliseconds count from the key, or the address, until the slice is on the screen.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
KEYS = ["PageDown", "PageDown", "PageUp", "PageUp", "PageUp", "PageDown", "PageDown"]


def make_study(folder: Path, images: int, slices: int, size: int) -> None:
    random = np.random.default_rng(0)
    for number in range(images):
        voxels = random.integers(0, 1000, (slices // images, size, size)).astype(np.int16)
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(folder / f"{number:04d}.nii"))


def shown(page: Page, slice_: int | None = None) -> None:
    ready = ':not([data-ready=""])' if slice_ is None else f'[data-ready="0/{slice_}"]'
    page.wait_for_selector(f"body[data-ready]{ready}")


def steps(page: Page) -> list[float]:
    """Seconds of every step by key, and of jumps to slices that were not fetched beforehand."""
    taken, slice_, depth = [], page.evaluate("desk.slice"), page.evaluate("desk.depth")
    jumps = [int(share * (depth - 1)) for share in (0.0, 1.0, 0.2, 0.8)]
    for key in (*KEYS, *jumps):
        start = time.perf_counter()
        if isinstance(key, str):
            slice_ += 1 if key == "PageDown" else -1
            page.keyboard.press(key)
        else:
            slice_ = key
            page.evaluate(f"() => void desk.go({key})")
        shown(page, slice_)
        taken.append(time.perf_counter() - start)
    return taken


def measure(data: Path, out: Path) -> tuple[float, list[float]]:
    """Seconds until the page shows its first slice, and of every step."""
    command = [sys.executable, "-m", "shapewise", "annotate", str(data), "--classes", "LV", "--out", str(out)]
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stdout is not None
        url = re.findall(r"http://\S+", server.stdout.readline())[0]
        with sync_playwright() as playwright:
            options = ["--no-sandbox", "--disable-gpu"]
            page = playwright.chromium.launch(executable_path=CHROMIUM, args=options).new_page()
            start = time.perf_counter()
            page.goto(url)
            shown(page)
            opened = time.perf_counter() - start
            taken = steps(page)
        server.terminate()
    return opened, taken


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--slices", type=int, default=1000, help="of all images together")
    parser.add_argument("--size", type=int, default=256)
    given = parser.parse_args(arguments)
    for images in given.images:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder, "data")
            data.mkdir()
            make_study(data, images, given.slices, given.size)
            opened, taken = measure(data, Path(folder, "table.csv"))
        middle, most = 1e3 * statistics.median(taken), 1e3 * max(taken)
        print(
            f"{given.slices} slices of {given.size} x {given.size} in {images} image(s): "
            f"open in {opened:.2f} s, a slice in {middle:.0f} ms (at most {most:.0f})"
        )


if __name__ == "__main__":
    main()
