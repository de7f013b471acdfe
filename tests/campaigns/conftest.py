"""The campaigns' scripts, run as a person would."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "campaigns"
Script = Callable[..., tuple[int, str, str]]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Script:
    """Runs `python campaigns/NAME.py ARGUMENTS` in this process: status, standard output, standard error."""

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        path = FOLDER / f"{name}.py"
        monkeypatch.syspath_prepend(str(FOLDER))
        monkeypatch.setattr("sys.argv", [str(path), *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        finally:
            for path in FOLDER.glob("*.py"):
                sys.modules.pop(path.stem, None)
        return (status, *capfd.readouterr())

    return run
