"""The whole of it, as a person would: open, draw, reload, lose the server, go on, write the table, train."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from shapewise.annotate.session import costs_of
from shapewise.annotate.sources import find_study
from shapewise.data.describe import describe
from shapewise.data.splits import split_patients
from shapewise.data.table import read_table

CLASSES = ("RV", "Myo", "LV")
SLICES = (2, 3, 4)


class Servers:
    """`shapewise annotate` in processes of its own."""

    def __init__(self, *arguments: object) -> None:
        self.command = [str(Path(sys.executable).with_name("shapewise")), "annotate", *map(str, arguments)]
        self.process: subprocess.Popen[str] | None = None

    def start(self, *more: object) -> str:
        """Start one, and return the address that it prints."""
        self.process = subprocess.Popen(
            [*self.command, *map(str, more)], stdout=subprocess.PIPE, encoding="utf-8"
        )
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found is not None
        return found[0]

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; status and what was printed."""
        assert self.process is not None
        self.process.send_signal(number)
        screen, _ = self.process.communicate(timeout=60)
        return self.process.returncode, screen


@pytest.fixture
def servers(hearts: Path, tmp_path: Path) -> Iterator[Servers]:
    servers = Servers(hearts, "--classes", "RV,Myo,LV", "--out", tmp_path / "clicks.csv")
    yield servers
    if servers.process is not None and servers.process.poll() is None:
        servers.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def truth(hearts: Path) -> pd.DataFrame:
    """What the masks say: where a careful person would draw."""
    return describe(find_study(hearts, CLASSES))


def looked_up(truth: pd.DataFrame, slice_: int, name: str) -> dict[str, np.ndarray]:
    rows = truth[(truth["case"] == "patient001") & (truth["frame"] == 1)]
    rows = rows[(rows["slice"] == slice_) & (rows["class"] == name)]
    return {key: group["value"].to_numpy() for key, group in rows.groupby("descriptor")}


def draw_with_the_mouse(hand, truth: pd.DataFrame, slice_: int) -> None:
    """LV and Myo by centre and drag, RV by four points."""
    inner, wall = looked_up(truth, slice_, "LV"), looked_up(truth, slice_, "Myo")
    hand.press("3", "e")
    hand.drag(tuple(inner["centroid"]), tuple(inner["centroid"] + 2 * inner["spread"]))
    scale = np.sqrt((inner["volume"] + wall["volume"]) / inner["volume"])
    hand.press("2")
    hand.drag(tuple(wall["centroid"]), tuple(wall["centroid"] + 2 * scale * inner["spread"]))
    right = looked_up(truth, slice_, "RV")
    hand.press("1", "x")
    steps = 2 * right["spread"] * np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])
    hand.click(*(tuple(right["centroid"] + step) for step in steps))
    hand.saved()


def draw_with_the_keyboard(hand) -> None:
    """Three classes about the middle of the slice, then two slices more from the one above."""
    hand.press("3", "e", "Enter", "2", "Enter", *["Shift+ArrowUp", "Shift+ArrowRight"] * 7)
    hand.press("1", "p", *["ArrowLeft"] * 20)
    for moves in (["ArrowUp"] * 12, ["ArrowLeft"] * 12, ["ArrowDown"] * 24, ["ArrowRight"] * 10):
        hand.press(*moves, "Enter")
    hand.press("Shift+Enter", "PageDown", "c", "3", "Shift+ArrowUp", "ArrowLeft", "PageDown", "c", "1", "a")
    hand.saved()


def kill_it_and_go_on(hand, servers: Servers) -> None:
    """An edit made while no server is there reaches the next one, and nothing before is lost."""
    assert servers.end(signal.SIGKILL)[0] == -signal.SIGKILL
    hand.press("3", "ArrowUp")
    hand.says("1 edit kept here, trying again")
    url = servers.start("--port", hand.page.url.partition("?")[0].rpartition(":")[2].strip("/"))
    assert url.partition("?")[2] == hand.page.url.partition("?")[2].partition("#")[0]
    hand.saved()


def drawn(hand) -> dict[str, object]:
    return hand.value("Object.fromEntries(Object.entries(desk.states).map(([k, s]) => [k, s.objects]))")


def test_the_whole_walk(
    servers: Servers, new_hand, truth: pd.DataFrame, hearts: Path, tmp_path: Path, shell: Callable
) -> None:
    hand = new_hand()
    hand.open(servers.start("--port", "0"))
    hand.press("PageUp")
    for slice_ in SLICES:
        hand.page.wait_for_selector(f'body[data-ready="0/{slice_}"]')
        draw_with_the_mouse(hand, truth, slice_)
        hand.press("PageDown")
    before = drawn(hand)
    assert sorted(before) == [str(slice_) for slice_ in SLICES]
    hand.page.reload()
    hand.shown()
    assert drawn(hand) == before
    hand.press("n", "n")
    hand.page.wait_for_selector('body[data-ready^="2/"]')
    draw_with_the_keyboard(hand)
    kill_it_and_go_on(hand, servers)
    hand.page.get_by_role("button", name="Write table").click()
    hand.page.locator("#notice", has_text="numbers of 6 slices in clicks.csv").wait_for()
    written = read_table(tmp_path / "clicks.csv", CLASSES)
    check_against_the_masks(written, truth)
    status, screen = servers.end(signal.SIGTERM if os.name == "posix" else signal.SIGINT)
    assert (status, "numbers in" in screen) == (0, True)
    assert read_table(tmp_path / "clicks.csv", CLASSES).equals(written)
    assert costs_of(tmp_path / "clicks.csv").loc["all", "objects"] == 18
    train_two_epochs(written, hearts, tmp_path, shell)


def check_against_the_masks(written: pd.DataFrame, truth: pd.DataFrame) -> None:
    """A careful person's numbers are nearly those of the masks, and all six slices are whole."""
    assert written.groupby(["case", "slice"])["class"].nunique().tolist() == [3] * 6
    both = written.merge(truth, on=["case", "frame", "slice", "class", "descriptor", "component"])
    both = both[both["case"] == "patient001"]
    sizes = both[both["descriptor"] == "volume"]
    assert (sizes["value_x"] / sizes["value_y"]).between(0.75, 1.35).all()
    places = both[both["descriptor"] == "centroid"]
    assert (places["value_x"] - places["value_y"]).abs().max() < 3


def train_two_epochs(written: pd.DataFrame, hearts: Path, tmp_path: Path, shell: Callable) -> None:
    """From the table alone: the patients who are annotated are those of training and validation."""
    patients = ["patient001", "patient002", "patient003"]
    splits = [split_patients(patients, counts=(1, 1, 1), seed=seed) for seed in range(20)]
    seed = next(seed for seed, split in enumerate(splits) if split["test"] == ["patient003"])
    settings = {
        "data": {
            "table": str(tmp_path / "clicks.csv"),
            "preprocessing": {"spacing": 6.0, "size": [40, 40]},
            "split": {"train": 1, "validation": 1, "test": 1, "seed": seed},
        },
        "network": {"name": "residual_unet", "options": {"channels": 4, "levels": 3}},
        "training": {"epochs": 2, "accelerator": "cpu"},
        "supervision": "barrier",
    }
    (tmp_path / "clicks.yaml").write_text(yaml.safe_dump(settings))
    trained = shell("train", tmp_path / "clicks.yaml", "--data", hearts, "--out", tmp_path / "run")
    assert trained.returncode == 0, trained.stderr
    assert len(pd.read_csv(tmp_path / "run" / "log.csv")) == 2
    assert len(read_table(tmp_path / "run" / "descriptors.csv")) == len(written)
