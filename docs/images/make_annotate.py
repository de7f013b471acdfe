"""Draw a phantom's heart on the annotation page, and take its picture.

python docs/images/make_annotate.py docs/images/annotate.png [light|dark]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Page, sync_playwright

from shapewise.annotate.sources import find_study
from shapewise.data.cases import Study
from shapewise.data.describe import describe
from shapewise.data.phantom import make_phantom

QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"


def main(out: Path, scheme: str) -> None:
    """Serve a phantom, draw, and photograph."""
    with tempfile.TemporaryDirectory() as folder:
        make_phantom(Path(folder, "phantom"), patients=1)
        study = find_study(Path(folder, "phantom"), ())
        numbers = describe(Study(study.cases[:1], study.classes, study.layout))
        command = [Path(sys.executable).with_name("shapewise"), "annotate", Path(folder, "phantom")]
        command += ["--out", Path(folder, "clicks.csv"), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as server:
            assert server.stdout is not None
            url = re.findall(r"http://\S+", server.stdout.readline())[0]
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET.split())
                page = browser.new_page(
                    viewport={"width": 1080, "height": 720},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                page.goto(url)
                draw(page, numbers)
                page.screenshot(path=out)
                browser.close()
            server.terminate()


def draw(page: Page, numbers: pd.DataFrame) -> None:
    """One slice: LV, Myo as a ring around it, RV as an ellipse that Myo is cut out of."""
    page.wait_for_selector('body[data-ready]:not([data-ready=""])')
    slice_ = page.evaluate("() => desk.slice")
    here = numbers[numbers["slice"] == slice_]
    found = {key: group["value"].to_numpy() for key, group in here.groupby(["class", "descriptor"])}
    for _ in range(3):
        page.keyboard.press("+")
    page.evaluate(
        "(p) => { desk.view.pan(desk.view.toScreen(p).map((x, i) => desk.view.box[i] / 2 - x)) }",
        found["Myo", "centroid"].tolist(),
    )
    page.keyboard.press("3")
    inner, spread = found["LV", "centroid"], found["LV", "spread"]
    drag(page, inner, inner + 2 * spread)
    page.keyboard.press("2")
    scale = np.sqrt(1 + found["Myo", "volume"] / found["LV", "volume"])
    drag(page, found["Myo", "centroid"], found["Myo", "centroid"] + 2 * scale * spread)
    for _ in range(3):
        page.keyboard.press(",")
    rr, rc, cc = found["RV", "covariance"]
    middle = found["RV", "centroid"]
    page.keyboard.press("1")
    page.keyboard.press("x")
    for reach in (2 * np.array([rr, rc]) / np.sqrt(rr), 2 * np.array([rc, cc]) / np.sqrt(cc)):
        for sign in (1, -1):
            page.mouse.click(*place(page, middle + sign * reach))
    page.keyboard.press("r")
    page.keyboard.press("2")
    page.keyboard.press("e")
    page.mouse.move(5, 5)
    page.locator("#numbers small").first.wait_for()
    page.wait_for_timeout(500)


def place(page: Page, point: np.ndarray) -> tuple[float, float]:
    """Where a point of the image is on the screen."""
    y, x = page.evaluate("(p) => desk.view.toScreen(p)", point.tolist())
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    return box["x"] + x, box["y"] + y


def drag(page: Page, start: np.ndarray, end: np.ndarray) -> None:
    """From one point of the image to another."""
    page.mouse.move(*place(page, start))
    page.mouse.down()
    page.mouse.move(*place(page, (start + end) / 2))
    page.mouse.move(*place(page, end))
    page.mouse.up()


main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "light")
