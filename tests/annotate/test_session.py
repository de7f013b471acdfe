"""A sitting from the command line: what it says, what it refuses, and what it leaves behind."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import SimpleITK

from shapewise.annotate.numbers import Grid
from shapewise.annotate.schema import Edit
from shapewise.annotate.session import LOOPBACK, names_of, open_session
from shapewise.annotate.store import Place, Store
from shapewise.data.describe import describe
from shapewise.data.layouts import find_cases
from shapewise.data.table import write_table
from shapewise.errors import ShapewiseError

Command = Callable[..., tuple[int, str, str]]
CLASSES = ("RV", "Myo", "LV")


def other_classes(hearts: Path, folder: Path) -> list[object]:
    write_table(describe(find_cases(hearts)).assign(**{"class": "prostate"}), folder / "t.csv")
    return [hearts, "--classes", "RV,Myo,LV", "--out", folder / "t.csv"]


def other_log(hearts: Path, folder: Path) -> list[object]:
    Store(folder / "t.clicks.sqlite", ["LV"]).close()
    return [hearts, "--classes", "RV,Myo,LV", "--out", folder / "t.csv"]


def taken_port(hearts: Path, folder: Path) -> list[object]:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    other_log.keep = taken  # type: ignore[attr-defined]
    return [hearts, "--out", folder / "t.csv", "--port", taken.getsockname()[1]]


def unknown_spacing(hearts: Path, folder: Path) -> list[object]:
    shutil.copytree(hearts, folder / "data")
    image = SimpleITK.GetImageFromArray([[1, 2], [3, 4]])
    (folder / "pictures").mkdir()
    SimpleITK.WriteImage(SimpleITK.Cast(image, SimpleITK.sitkUInt8), str(folder / "pictures" / "a.png"))
    return [folder / "pictures", "--classes", "LV", "--unit", "mm", "--out", folder / "t.csv"]


BAD = {
    "no data": (lambda h, f: ["--out", f / "t.csv"], "data: expected a study"),
    "gone": (lambda h, f: [f / "gone", "--classes", "LV", "--out", f / "t.csv"], "gone"),
    "no images": (lambda h, f: [f, "--classes", "LV", "--out", f / "t.csv"], "expected images"),
    "other ending": (lambda h, f: [h, "--out", f / "t.txt"], "t.txt"),
    "other unit": (lambda h, f: [h, "--out", f / "t.csv", "--unit", "cm"], "'cm'"),
    "unknown class": (lambda h, f: [h, "--classes", "RV,Aorta", "--out", f / "t.csv"], "found Aorta"),
    "unknown layout": (lambda h, f: [h, "--layout", "zip", "--out", f / "t.csv"], "'zip'"),
    "choices of layouts": (
        lambda h, f: [h, "--layout", "zip", "--out", f / "t.csv"],
        "auto or one of acdc, promise12, nnunet, folder",
    ),
    "table of other classes": (
        other_classes,
        "row 2: expected class to be one of RV, Myo, LV, found 'prostate'",
    ),
    "log of other classes": (other_log, "expected classes RV, Myo, LV, as asked for, found LV"),
    "no run": (lambda h, f: [h, "--run", f, "--out", f / "t.csv"], "run.json"),
    "port taken": (taken_port, "expected an address and port that are free here"),
    "bad port": (lambda h, f: [h, "--out", f / "t.csv", "--port", "99999"], "--port"),
    "bad host": (lambda h, f: [h, "--out", f / "t.csv", "--host", "256.1.1.1"], "256.1.1.1"),
    "mm without spacing": (unknown_spacing, "expected a known spacing"),
    "out in a file": (lambda h, f: [h, "--out", h / "phantom.json" / "t.csv"], "t.clicks.sqlite"),
    "no log": (lambda h, f: ["--summary", "--out", f / "t.csv"], "t.clicks.sqlite"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_status_2(
    name: str, command: Command, hearts: Path, tmp_path: Path
) -> None:
    make, hint = BAD[name]
    status, screen, errors = command("annotate", *make(hearts, tmp_path))
    assert status == 2
    assert screen == ""
    assert len(errors.strip().splitlines()) == 1, errors
    assert hint in errors


def test_the_summary_says_what_an_object_cost(command: Command, tmp_path: Path, draw) -> None:
    store = Store(tmp_path / "t.clicks.sqlite", CLASSES)
    grid = Grid((128, 128), None)
    for slice_, spent in enumerate([(2.0, 1), (4.0, 3)]):
        made = draw.edit(draw.heart(), LV=spent, Myo=(1.0, 1))
        store.save(Place("p", 1, slice_), Edit.model_validate(made), grid)
    mended = draw.edit(draw.heart(1), 1, LV=(6.0, 2))
    store.save(Place("p", 1, 0), Edit.model_validate(mended), grid)
    store.close()
    status, screen, _ = command("annotate", "--summary", "--out", tmp_path / "t.csv")
    assert status == 0
    (line,) = [line for line in screen.splitlines() if "LV" in line]
    assert [word for word in line.split() if word[0].isdigit()] == ["2.0", "6.0", "6.0", "3.0", "3.0"]


def test_it_says_which_package_is_missing(
    command: Command, hearts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    status, _, errors = command("annotate", hearts, "--out", tmp_path / "t.csv")
    assert status == 2
    assert "expected the package uvicorn: pip install '.[annotate]' in shapewise's folder" in errors


def test_it_binds_loopback_and_prints_a_secret(hearts: Path, tmp_path: Path) -> None:
    session = open_session(hearts, tmp_path / "t.csv")
    host, port = session.socket.getsockname()
    assert host == "127.0.0.1"
    assert session.url.startswith(f"http://127.0.0.1:{port}/?token=")
    assert len(session.url.partition("token=")[2]) >= 32
    session.socket.close()
    session.room.store.close()


@pytest.mark.parametrize(
    ("host", "more"), [("127.0.0.1", []), ("::1", []), ("Ward.example", ["ward.example"])]
)
def test_the_name_that_was_asked_for_is_answered_to(host: str, more: list[str]) -> None:
    assert set(names_of(host)) == {*LOOPBACK, *more}


def test_a_refusal_leaves_nothing_behind(hearts: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ShapewiseError, match=f"127.0.0.1:{port}"):
            open_session(hearts, tmp_path / "t.csv", port=port)
    with pytest.raises(ShapewiseError, match="found a folder"):
        open_session(hearts, tmp_path / "folder.csv")
    with pytest.raises(ShapewiseError, match="background"):
        open_session(hearts, tmp_path / "t.csv", classes="background,LV")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder.csv"]
