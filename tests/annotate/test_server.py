"""What the server answers, and whom it does not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from shapewise.annotate.guard import Guard
from shapewise.annotate.schema import LARGEST_BODY, MOST_CLASSES, MOST_POINTS
from shapewise.annotate.server import Room, build_app
from shapewise.annotate.session import LOOPBACK, names_of
from shapewise.annotate.store import Place, Store
from shapewise.data.table import read_table

SLICE = "/api/cases/0/slices/4"


def test_the_study_is_listed(client: TestClient) -> None:
    found = client.get("/api/study").json()
    assert found["classes"] == ["RV", "Myo", "LV"]
    assert found["around"] == {"Myo": "LV"}
    assert [(case["name"], case["phase"]) for case in found["cases"][:2]] == [
        ("patient001", "ED"),
        ("patient001", "ES"),
    ]
    assert found["out"] == "table.csv"
    assert not found["suggests"]


def test_a_slice_has_the_images_own_intensities(client: TestClient, room: Room) -> None:
    meta = client.get("/api/cases/1").json()
    sent = client.get("/api/cases/1/slices/2")
    shown = np.frombuffer(sent.content, "<u2").reshape(meta["size"][1:])
    volume = room.study.cases[1].read_image()
    back = meta["low"] + shown * (meta["high"] - meta["low"]) / 65535
    assert np.abs(back - volume.image[2]).max() <= (meta["high"] - meta["low"]) / 65535
    assert meta["spacing"] == list(volume.spacing)
    assert sent.headers["cache-control"] == "no-store"


def test_an_edit_is_kept_and_shown_and_told_to_the_later(client: TestClient, draw) -> None:
    assert client.put(SLICE, json=draw.edit(draw.heart(), LV=(1.5, 2))).json() == {"version": 1}
    state = client.get("/api/cases/0").json()["states"]["4"]
    assert state["version"] == 1
    assert state["objects"]["Myo"]["around"] == "LV"
    refused = client.put(SLICE, json=draw.edit(draw.heart(3)))
    assert refused.status_code == 409
    assert refused.json() == state
    assert client.get("/api/study").json()["cases"][0]["done"] == 1


def test_the_numbers_are_those_of_both_units(client: TestClient, draw) -> None:
    found = client.post("/api/cases/0/numbers", json={"objects": draw.heart()}).json()
    row, column = client.get("/api/cases/0").json()["spacing"][1:]
    for name in ("RV", "Myo", "LV"):
        (volume,), none, _ = found[name]["px"]["volume"]
        assert none == [None]
        assert found[name]["mm"]["volume"][0][0] == pytest.approx(volume * row * column, rel=1e-5)
    absent = {"RV": {"shape": {"kind": "absent"}}}
    found = client.post("/api/cases/0/numbers", json={"objects": absent}).json()
    assert found["RV"]["px"]["volume"][0] == [0]
    assert found["RV"]["px"]["centroid"][0] == [None, None]
    assert client.post("/api/cases/0/numbers", json={"objects": {}}).json() == {}


def test_the_numbers_alone_describe_nearly_the_same_region(client: TestClient, draw) -> None:
    sent = client.post("/api/cases/0/region", json={"objects": draw.heart()})
    assert sent.headers["x-converged"] == "true"
    labels = np.frombuffer(sent.content, np.uint8)
    numbers = client.post("/api/cases/0/numbers", json={"objects": draw.heart()}).json()
    for index, name in enumerate(("RV", "Myo", "LV"), 1):
        assert (labels == index).sum() == pytest.approx(numbers[name]["px"]["volume"][0][0], rel=0.03)
    empty = client.post("/api/cases/0/region", json={"objects": {"LV": {"shape": {"kind": "absent"}}}})
    assert not any(empty.content)


def test_the_table_is_written_when_asked(client: TestClient, room: Room, draw) -> None:
    client.put(SLICE, json=draw.edit(draw.heart()))
    client.put("/api/cases/0/slices/5", json=draw.edit({"LV": draw.heart()["LV"]}))
    found = client.post("/api/export").json()
    assert found == {"numbers": 27, "slices": 1, "unfinished": ["patient001 frame 1 slice 5"]}
    assert len(read_table(room.out, room.study.classes)) == 27
    summary = client.get("/api/summary").json()
    assert summary["rows"] == ["RV", "Myo", "LV", "all"]


def test_the_page_and_its_parts_are_served(client: TestClient) -> None:
    page = client.get("/")
    assert "static/main.js" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert client.get("/static/main.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/cases/99", 404),
        ("/api/cases/0/slices/99", 404),
        ("/api/cases/-1", 422),
        ("/api/cases/x", 422),
        ("/api/cases/0/slices/4/suggestion", 404),
        ("/static/../session.py", 404),
        ("/static/%2e%2e/session.py", 404),
        ("/static/..%2fsession.py", 404),
        ("/static//etc/passwd", 404),
        ("/docs", 404),
    ],
)
def test_no_path_leads_anywhere_else(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8471"}, 403),
        ({"Host": "127.0.0.1:80"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:8080"}, 403),
        ({"Origin": "null"}, 403),
        ({"X-Token": "another"}, 401),
        ({"X-Token": ""}, 401),
        ({"Origin": "http://127.0.0.1:8471"}, 200),
        ({"Host": "localhost:8471", "Origin": "http://localhost:8471"}, 200),
    ],
    ids=str,
)
def test_others_are_refused(client: TestClient, headers: dict[str, str], status: int) -> None:
    answer = client.get("/api/study", headers=headers)
    assert answer.status_code == status
    if status != 200:
        assert "expected" in answer.json()["message"]
        assert "cases" not in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("192.168.1.5:8471", 200),
        ("[fe80::1]:8471", 200),
        ("localhost:8471", 200),
        ("evil.example:8471", 403),
        ("192.168.1.5:80", 403),
        ("ward.example:8471", 200),
    ],
)
def test_beyond_loopback_any_address_will_do_and_the_name_asked_for(
    room: Room, host: str, status: int
) -> None:
    app = Guard(build_app(room), token="secret", names=names_of("Ward.example"), addresses=True, port=8471)
    with TestClient(app) as client:
        answer = client.get("/api/study", headers={"Host": host, "X-Token": "secret"})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1", "Origin": "http://127.0.0.1"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]"}, 200),
        ({"Host": "127.0.0.1:80"}, 200),
        ({"Host": "127.0.0.1:8471"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1", "Origin": "http://evil.example"}, 403),
        ({"Host": ""}, 403),
    ],
    ids=str,
)
def test_browsers_leave_out_port_80(room: Room, headers: dict[str, str], status: int) -> None:
    app = Guard(build_app(room), token="secret", names=LOOPBACK, port=80)
    with TestClient(app) as client:
        assert client.get("/api/study", headers={"X-Token": "secret", **headers}).status_code == status


def changed(**keys: object) -> object:
    return lambda edit: {**edit, **keys}


def with_shape(**shape: object) -> object:
    return lambda edit: {**edit, "objects": {"LV": {"shape": shape}}}


POINT = [1.0, 2.0]


@pytest.mark.parametrize(
    "change",
    [
        changed(uid="../../x"),
        changed(base=-1),
        changed(base="1"),
        changed(objects={"Aorta": {"shape": {"kind": "absent"}}}),
        changed(objects={"LV": {"shape": {"kind": "absent"}, "around": "Aorta"}}),
        changed(objects={"LV": {"shape": {"kind": "absent"}, "around": "LV"}}),
        changed(costs={"LV": {"seconds": -1, "gestures": 1}}),
        changed(path="/etc/passwd"),
        with_shape(kind="mask"),
        with_shape(kind="polygon", points=[POINT] * 2),
        with_shape(kind="polygon", points=[POINT] * 257),
        with_shape(kind="polygon", points=[[1.0, 2.0, 3.0]] * 3),
        with_shape(kind="ellipse", centre=["1", 2.0], first=POINT, second=POINT),
        with_shape(kind="ellipse", centre=[1e9, 2.0], first=POINT, second=POINT),
        with_shape(kind="ellipse", centre=POINT, first=POINT),
    ],
)
def test_what_does_not_fit_the_schema_is_refused_whole(client: TestClient, room: Room, draw, change) -> None:
    answer = client.put(SLICE, json=change(draw.edit(draw.heart())))
    assert answer.status_code == 422
    assert len(answer.json()["message"].splitlines()) == 1
    assert room.store.read_all() == {}


def test_numbers_that_are_none_are_refused(client: TestClient, draw, room: Room) -> None:
    for word in ("NaN", "Infinity", "1e999"):
        text = json.dumps({"objects": {"LV": draw.ellipse(77, 1, 2, 3)}}).replace("77", word)
        assert client.post("/api/cases/0/numbers", content=text).status_code == 422
    assert client.post("/api/cases/0/numbers", content="{").status_code == 422


def test_all_classes_with_all_their_points_fit(room: Room, tmp_path, draw) -> None:
    names = tuple(f"{index:04d}".rjust(200, "é") for index in range(MOST_CLASSES))
    points = [[-1.2345678901234567e-5, -1.2345678901234567e-100]] * MOST_POINTS
    plain = {name: {"shape": {"kind": "polygon", "points": points}} for name in names}
    store = Store(tmp_path / "all.sqlite", names)
    crowded = replace(room, study=replace(room.study, classes=names), store=store)
    app = Guard(build_app(crowded), token="secret", names=LOOPBACK, port=80)
    with TestClient(app, base_url="http://127.0.0.1", headers={"X-Token": "secret"}) as client:
        edit = draw.edit(plain, **dict.fromkeys(names, (0.1, 1)))
        assert client.put(SLICE, json=edit).json() == {"version": 1}
    store.close()


def test_a_body_that_is_too_long_is_not_read(client: TestClient, room: Room) -> None:
    assert client.put(SLICE, content=b"x" * (LARGEST_BODY + 1)).status_code == 413
    endless = (b"x" * 65536 for _ in range(64))
    assert client.put(SLICE, content=endless).status_code == 413
    assert room.store.read_all() == {}


def test_a_full_disk_is_said_to_the_page(client: TestClient, room: Room, draw, full_disk) -> None:
    assert client.put(SLICE, json=draw.edit(draw.heart())).status_code == 200
    with full_disk(room.store.path.with_name(f"{room.store.path.name}-wal").stat().st_size):
        answer = client.put(SLICE, json=draw.edit(draw.heart(3), 1))
        table = client.post("/api/export")
    assert answer.status_code == 507
    assert "table.clicks.sqlite: expected a log of edits that can be written" in answer.json()["message"]
    assert table.status_code in (200, 422)  # the table may be small enough
    assert client.put(SLICE, json=draw.edit(draw.heart(3), 1)).json() == {"version": 2}


def test_an_unreadable_image_is_said_and_the_others_stay(client: TestClient, room: Room, tmp_path) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no image")
    room.study.cases[0] = type(room.study.cases[0])("broken", "broken", 0, broken, None)
    answer = client.get("/api/cases/0")
    assert answer.status_code == 422
    assert "broken.nii.gz" in answer.json()["message"]
    assert client.get("/api/cases/1").status_code == 200


def test_what_is_saved_is_what_is_read(client: TestClient, room: Room, draw) -> None:
    client.put(SLICE, json=draw.edit(draw.heart(0.1 + 0.2)))
    assert room.store.read(Place("patient001", 1, 4)).objects == draw.objects(draw.heart(0.1 + 0.2))
