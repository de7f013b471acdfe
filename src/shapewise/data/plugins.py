"""Other people's files, which register more descriptors."""

from __future__ import annotations

import runpy
from pathlib import Path

from shapewise.errors import ConfigError


def load_plugin(path: Path) -> None:
    """Run a Python file that registers descriptors.

    Raises:
        ConfigError: the file is missing, or fails.
    """
    if not path.is_file():
        raise ConfigError("plugins", expected="an existing Python file", found=path)
    try:
        runpy.run_path(str(path))
    except (Exception, SystemExit) as error:  # somebody else's code may raise anything
        raise ConfigError(path, expected="a Python file that runs", found=repr(error)) from error
