"""Leaf: files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shapewise.errors import DataError

UNFINISHED = ".unfinished-"
"""How the names of folders begin in which files are being written; a kill leaves them."""


@contextmanager
def whole_file(path: Path, error: type[DataError] = DataError) -> Iterator[Path]:
    """Lend a place to write a file to, and move what was written there into place once the block is done.

    The place has the file's own name in a folder beside it, of this call alone: threads and processes may
    write one file at once, and formats of two files (`.mhd` with `.zraw`) move together and still name each
    other. A block that fails leaves the older file as it was.

    Args:
        path: The file; folders above it are made.
        error: What to raise where the file system refuses.

    Raises:
        DataError: The block or the move met an error of the file system.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=path.parent) as folder:
            yield Path(folder, path.name)
            # The named file comes last: what it points at is there by then.
            for part in sorted(Path(folder).iterdir(), key=lambda part: part.name == path.name):
                os.replace(part, path.parent / part.name)
    except OSError as cause:
        raise error(path, expected="a file that can be written", found=cause.strerror or cause) from cause
