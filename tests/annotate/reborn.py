"""Serve, be killed, and serve again: for each line on standard input a server is forked and its pid printed.

python reborn.py DATA LOG TOKEN    (the first line printed is the port)
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import uvicorn

from shapewise.annotate.guard import Guard
from shapewise.annotate.server import Room, build_app
from shapewise.annotate.sources import find_study
from shapewise.annotate.store import Store
from shapewise.annotate.volumes import Volumes


class Late:
    """A store that each server opens for itself; all else is made once, so that a server starts quickly."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def __getattr__(self, name: str) -> object:
        store = Store(self._log)
        self.__dict__.update({each: getattr(store, each) for each in ("path", "save", "read_all", "token")})
        return self.__dict__[name]


def main(data: Path, log: Path, token: str) -> None:
    study = find_study(data, ())
    volumes = Volumes(study.cases)
    volumes.scan(0)
    log.unlink(missing_ok=True)
    Store(log, study.classes).close()
    room = Room(study, Late(log), volumes, "px", log.with_suffix(".csv"))
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = Guard(build_app(room), token=token, names=("127.0.0.1",), port=port)
    config = uvicorn.Config(app, log_level="error", loop="asyncio", http="h11", ws="none")
    config.load()
    print(port, flush=True)
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            uvicorn.Server(config).run(sockets=[listening])
        print(pid, flush=True)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
