"""One sitting: everything is opened and checked before the page is, and the table is written at the end."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from shapewise.annotate.sources import find_study
from shapewise.annotate.store import Store
from shapewise.annotate.summary import log_of, object_costs, summarise
from shapewise.data.cases import Study
from shapewise.data.table import UNITS, check_suffix, read_table
from shapewise.errors import ArgumentError, ConfigError, DataError

if TYPE_CHECKING:
    from shapewise.annotate.server import Room

PORT = 8471
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Session:
    """A server that is bound, and answers once it runs.

    Attributes:
        url: the page's address, its token included.
        room: what it serves.
        socket: where it listens.
        host: the name or address that it was asked to listen at.
    """

    url: str
    room: Room
    socket: socket.socket
    host: str

    def run(self) -> str:
        """Serve until Ctrl-C or SIGTERM, then write the table; returns what to say about that."""
        import uvicorn

        from shapewise.annotate.export import export
        from shapewise.annotate.guard import Guard
        from shapewise.annotate.server import build_app

        host, port = self.socket.getsockname()[:2]
        room, store = self.room, self.room.store
        names, beyond = names_of(self.host), host not in ("127.0.0.1", "::1")
        app = Guard(build_app(room), token=store.token(), names=names, port=port, addresses=beyond)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=3,
        )
        with suppress(KeyboardInterrupt):  # how a sitting ends
            uvicorn.Server(config).run(sockets=[self.socket])
        written = export(store, room.study.classes, room.unit, room.out)
        store.close()
        left_out = f"; {len(written.unfinished)} unfinished slices left out" if written.unfinished else ""
        table = (
            f"{written.numbers} numbers in {room.out}"
            if written.numbers
            else "no slice is finished, so no table"
        )
        return f"{table}{left_out}; every edit in {store.path}"


def open_session(
    data: Path,
    out: Path,
    *,
    classes: str = "",
    layout: str = "auto",
    unit: str = "px",
    run: Path | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
) -> Session:
    """Open the images, the table, the log of edits and the run, and bind the server.

    Args:
        data: images, see `sources.find_study`.
        out: the table; one that is there is added to.
        classes: comma-separated names; empty takes the layout's.
        layout: `auto`, `folder` or a layout's name.
        unit: of the table, px or mm.
        run: a trained run, to suggest.
        host: the address to bind.
        port: 8471, or any that is free if that is taken; one that is given is taken or refused.

    Raises:
        ShapewiseError: anything of this cannot be used.
    """
    check_suffix(out)
    if unit not in UNITS:
        raise ArgumentError("unit", expected=" or ".join(UNITS), found=repr(unit))
    study = find_study(data, tuple(name.strip() for name in classes.split(",") if name.strip()), layout)
    _check_spacings(study, unit)
    if out.is_dir():
        raise DataError(out, expected="a file, to write the table to", found="a folder")
    if out.exists():
        read_table(out, study.classes)
    bound = _bind(host, PORT if port is None else port, fall_back=port is None)
    try:
        room = _furnish(study, out, unit, run)
    except BaseException:
        bound.close()
        raise
    name = f"[{host}]" if ":" in host else host
    return Session(f"http://{name}:{bound.getsockname()[1]}/?token={room.store.token()}", room, bound, host)


def names_of(host: str) -> tuple[str, ...]:
    """Names that a server answers to: every machine's own, and the one that it was asked to listen at.

    >>> names_of("Ward.example")[-1]
    'ward.example'
    """
    asked = f"[{host}]" if ":" in host else host.lower()
    return (*LOOPBACK, asked)


def _furnish(study: Study, out: Path, unit: str, run: Path | None) -> Room:
    try:
        import uvicorn  # noqa: F401 (asked for before anybody waits)

        from shapewise.annotate.server import Room
        from shapewise.annotate.suggestion import Suggestions
        from shapewise.annotate.volumes import Volumes
    except ModuleNotFoundError as error:
        expected = f"the package {error.name}: pip install '.[annotate]' in shapewise's folder"
        raise ConfigError("annotate", expected=expected, found="none") from None
    suggestions = None if run is None else Suggestions(run, study.cases, study.classes)
    store = Store(log_of(out), study.classes)
    return Room(study, store, Volumes(study.cases), unit, out, suggestions)


def _check_spacings(study: Study, unit: str) -> None:
    for case in study.cases:
        if unit == "mm" and not case.spacing_known:
            raise DataError(case.image, expected="a known spacing, to measure in mm", found="none")


def _bind(host: str, port: int, *, fall_back: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for each in (port, 0) if fall_back else (port,):
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, each))
            bound.listen(128)  # from now on a page that is too early waits, and is not turned away
            return bound
        except OSError as error:
            bound.close()
            reason = error.strerror or str(error)
    raise DataError(f"{host}:{port}", expected="an address and port that are free here", found=reason)


def show(url: str) -> None:
    """Open the page in a browser, where somebody sits before one."""
    graphical = (
        sys.platform in ("darwin", "win32") or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    )
    if graphical and sys.stdout.isatty():
        webbrowser.open(url)


def costs_of(out: Path) -> pd.DataFrame:
    """What the objects behind a table cost: see `summarise`; raises `DataError` where none were drawn."""
    path = log_of(out)
    if not path.exists():
        raise DataError(path, expected="the log of edits behind the table", found="no such file")
    store = Store(path)
    costs, names = object_costs(store), store.classes
    store.close()
    if costs.empty:
        raise DataError(path, expected="at least one object", found="none")
    return summarise(costs, names)
