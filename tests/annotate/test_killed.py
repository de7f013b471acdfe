"""The server is killed in the middle of writing, again and again: nothing that it acknowledged is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from shapewise.annotate.numbers import OBJECTS

KILLS, TOKEN, SLICES = 200, "token", 5


class Page:
    """Sends edits one after the other, each until it is acknowledged, as the page does."""

    def __init__(self, port: int, draw: Any) -> None:
        self.port, self.draw, self.stopped = port, draw, threading.Event()
        self.versions = dict.fromkeys(range(SLICES), 0)
        self.acknowledged: dict[str, tuple[int, int, dict[str, Any]]] = {}
        self.resent = 0
        self.failure: BaseException | None = None

    def wait_for_more(self) -> None:
        """Wait until another edit is acknowledged, or the page is at its end."""
        count, deadline = len(self.acknowledged), time.monotonic() + 30
        while len(self.acknowledged) == count and not self.over() and time.monotonic() < deadline:
            time.sleep(0.001)

    def over(self) -> bool:
        return self.stopped.is_set() or self.failure is not None

    def run(self) -> None:
        try:
            for number in range(10**9):
                if self.stopped.is_set():
                    return
                self.send(number % SLICES, self.draw.heart(number % 7))
        except BaseException as error:
            self.failure = error

    def send(self, slice_: int, objects: dict[str, Any]) -> None:
        edit = self.draw.edit(objects, self.versions[slice_], LV=(0.5, 1))
        while True:
            try:
                status, answer = self.ask(f"/api/cases/0/slices/{slice_}", edit)
                break
            except (OSError, HTTPException):
                self.resent += 1
                time.sleep(0.002)
        assert status == 200, answer
        assert answer["version"] == self.versions[slice_] + 1
        self.versions[slice_] = answer["version"]
        self.acknowledged[edit["uid"]] = (slice_, answer["version"], objects)

    def ask(self, path: str, edit: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"X-Token": TOKEN, "Content-Type": "application/json"}
            connection.request("PUT", path, json.dumps(edit), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="servers are forked, so that they start quickly")
def test_a_server_killed_many_times_loses_nothing_acknowledged(hearts: Path, tmp_path: Path, draw) -> None:
    log = tmp_path / "log.sqlite"
    command = [sys.executable, str(Path(__file__).with_name("reborn.py")), str(hearts), str(log), TOKEN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        page = Page(int(parent.stdout.readline()), draw)
        sending = threading.Thread(target=page.run)
        sending.start()
        chance = random.Random(0)
        for kill in range(KILLS + 1):
            parent.stdin.write("\n")
            parent.stdin.flush()
            server = int(parent.stdout.readline())
            if kill == KILLS:
                page.stopped.set()
                sending.join(60)
            if kill % 5:  # every fifth is killed while it starts
                page.wait_for_more()
            time.sleep(chance.uniform(0.0, 0.03))
            os.kill(server, signal.SIGKILL)
        parent.stdin.close()
    assert page.failure is None, page.failure
    assert len(page.acknowledged) > KILLS / 2
    assert page.resent > KILLS / 4, "hardly a request was cut off: the test shows nothing"
    check_log(log, page)


def check_log(log: Path, page: Page) -> None:
    database = sqlite3.connect(log)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    rows = {row[0]: row[1:] for row in database.execute("SELECT uid, slice, version, objects FROM edits")}
    database.close()
    assert rows.keys() == page.acknowledged.keys()
    for uid, (slice_, version, objects) in page.acknowledged.items():
        kept = rows[uid]
        assert kept[:2] == (slice_, version)
        assert OBJECTS.validate_json(kept[2]) == OBJECTS.validate_python(objects)
