"""The questions that the page asks, and the answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from numpy.typing import NDArray

from shapewise.annotate.export import export
from shapewise.annotate.implied import implied_region
from shapewise.annotate.numbers import OBJECTS, Grid, measure
from shapewise.annotate.schema import MOST_POINTS, Edit, Objects, Picture
from shapewise.annotate.shapes import Mask
from shapewise.annotate.store import Conflict, Place, State, Store
from shapewise.annotate.suggestion import Suggestions
from shapewise.annotate.summary import object_costs, summarise
from shapewise.annotate.volumes import Volumes
from shapewise.data.cases import Study
from shapewise.data.describe import DESCRIPTORS, describe_labels
from shapewise.errors import DataError, ShapewiseError

STATIC = Path(__file__).parent / "static"
AROUND = {"Myo": "LV"}
"""Which class is a ring around which other, where both are annotated; the page can change it."""

Index = Annotated[int, InPath(ge=0, le=2**31)]


class NoSuchError(ShapewiseError):
    """There is no such case or slice."""


@dataclass(frozen=True)
class Room:
    """All that the answers come from."""

    study: Study
    store: Store
    volumes: Volumes
    unit: str
    out: Path
    suggestions: Suggestions | None = None

    @property
    def around(self) -> dict[str, str]:
        """The rings among the classes."""
        classes = self.study.classes
        return {outer: inner for outer, inner in AROUND.items() if {outer, inner} <= set(classes)}

    def place(self, case: int, slice_: int) -> tuple[Place, Grid]:
        """Name a slice, and say what its pixels are; raises `NoSuchError`."""
        grid = self.grid(case)
        depth = len(self.volumes.scan(case).voxels)
        if slice_ >= depth:
            raise NoSuchError(f"slice {slice_}: expected one below {depth}, found none")
        found = self.study.cases[case]
        return Place(found.name, found.frame, slice_), grid

    def grid(self, case: int) -> Grid:
        """The pixels of a case's slices; raises `NoSuchError`."""
        if case >= len(self.study.cases):
            raise NoSuchError(f"case {case}: expected one below {len(self.study.cases)}, found none")
        return self.volumes.scan(case).grid

    def check(self, objects: Objects) -> None:
        """Refuse classes that are not annotated here."""
        for name, drawn in objects.items():
            for each in (name, drawn.around):
                if each is not None and each not in self.study.classes:
                    expected = f"classes among {', '.join(self.study.classes)}"
                    raise DataError("objects", expected=expected, found=each)
            if drawn.around == name:
                raise DataError("objects", expected=f"{name} around another class", found=name)


def build_app(room: Room) -> FastAPI:
    """The application: the page, and what it asks for."""
    app = FastAPI(title="shapewise annotate", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(ShapewiseError, _explain)
    app.add_exception_handler(RequestValidationError, _explain_invalid)
    _add_looking(app, room)
    _add_drawing(app, room)
    _add_results(app, room)

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def _add_looking(app: FastAPI, room: Room) -> None:
    @app.get("/api/study")
    def study() -> dict[str, Any]:
        done = _done(room)
        cases = [
            {"name": case.name, "patient": case.patient, "frame": case.frame, "phase": case.phase}
            | {"done": done[case.name, case.frame]}
            for case in room.study.cases
        ]
        return {
            "cases": cases,
            "classes": room.study.classes,
            "around": room.around,
            "unit": room.unit,
            "out": room.out.name,
            "suggests": room.suggestions is not None,
            "most_points": MOST_POINTS,
        }

    @app.get("/api/cases/{case}")
    def case_(case: Index) -> dict[str, Any]:
        room.grid(case)
        scan, found = room.volumes.scan(case), room.study.cases[case]
        states = room.store.read_all(found.name, found.frame)
        return {
            "size": scan.voxels.shape,
            "spacing": scan.spacing,
            "window": scan.window,
            "low": scan.low,
            "high": scan.high,
            "states": {place.slice: _state(state) for place, state in states.items()},
        }

    @app.get("/api/cases/{case}/slices/{slice_}")
    def pixels(case: Index, slice_: Index) -> Response:
        room.place(case, slice_)
        return Response(
            room.volumes.scan(case).voxels[slice_].tobytes(), media_type="application/octet-stream"
        )


def _add_drawing(app: FastAPI, room: Room) -> None:
    @app.put("/api/cases/{case}/slices/{slice_}")
    def save(case: Index, slice_: Index, edit: Edit) -> Response:
        place, grid = room.place(case, slice_)
        room.check(edit.objects)
        try:
            version = room.store.save(place, edit, grid)
        except Conflict as conflict:
            return JSONResponse(_state(conflict.state), 409)
        except DataError as error:
            return JSONResponse({"message": str(error)}, 507)
        return JSONResponse({"version": version})

    @app.post("/api/cases/{case}/numbers")
    def numbers(case: Index, picture: Picture) -> dict[str, Any]:
        grid = room.grid(case)
        room.check(picture.objects)
        return _numbers(picture.objects, grid)

    @app.post("/api/cases/{case}/region")
    def region(case: Index, picture: Picture) -> Response:
        room.check(picture.objects)
        labels, met = implied_region(picture.objects, room.grid(case))
        headers = {"X-Converged": str(met).lower()}
        return Response(labels.tobytes(), media_type="application/octet-stream", headers=headers)


def _add_results(app: FastAPI, room: Room) -> None:
    @app.get("/api/cases/{case}/slices/{slice_}/suggestion")
    def suggestion(case: Index, slice_: Index) -> dict[str, Any]:
        if room.suggestions is None:
            raise NoSuchError("suggestion: expected a run, as in `--run RUN`, found none")
        _, grid = room.place(case, slice_)
        objects = room.suggestions.objects(case, slice_, room.around)
        return {"objects": _plain(objects), "numbers": _predicted(room.suggestions.masks(case, slice_), grid)}

    exporting = Lock()

    @app.post("/api/export")
    def write() -> dict[str, Any]:
        with exporting:  # of two at once the older state could be written last
            written = export(room.store, room.study.classes, room.unit, room.out)
        left_out = [f"{place.case} frame {place.frame} slice {place.slice}" for place in written.unfinished]
        return {"numbers": written.numbers, "slices": written.slices, "unfinished": left_out}

    @app.get("/api/summary")
    def summary() -> dict[str, Any]:
        table = summarise(object_costs(room.store), room.study.classes)
        return {"rows": list(table.index), "columns": list(table), "values": _finite(table.to_numpy(float))}


def _done(room: Room) -> Counter[tuple[str, int]]:
    """How many slices of every case and frame are annotated in full."""
    classes, states = set(room.study.classes), room.store.read_all()
    return Counter(
        (place.case, place.frame) for place, state in states.items() if classes <= state.objects.keys()
    )


def _state(state: State) -> dict[str, Any]:
    return {"version": state.version, "objects": _plain(state.objects)}


def _plain(objects: Objects) -> Any:
    return OBJECTS.dump_python(dict(objects), mode="json")


def _numbers(objects: Objects, grid: Grid) -> dict[str, Any]:
    """Class -> unit -> descriptor -> values, lower and upper, None where there are none."""
    found: dict[str, Any] = {name: {} for name in objects}
    for unit in ("px",) if grid.spacing is None else ("px", "mm"):
        for name, measured in measure(objects, grid, unit).items():
            parts = (measured.values, measured.lower, measured.upper)
            found[name][unit] = {key: [_finite(part[key]) for part in parts] for key in measured.values}
    return found


def _predicted(masks: dict[str, Mask], grid: Grid) -> dict[str, Any]:
    """The prediction's own numbers, as `_numbers` gives those of what is drawn."""
    found: dict[str, Any] = {name: {} for name in masks}
    labels = np.stack(list(masks.values())).astype(np.uint8)
    for unit, spacing in (("px", None), ("mm", grid.spacing)):
        if unit == "px" or spacing is not None:
            numbers = describe_labels(labels, 1, DESCRIPTORS, spacing=spacing)
            for index, name in enumerate(masks):
                found[name][unit] = {key: [_finite(values[index, 0])] for key, values in numbers.items()}
    return found


def _finite(numbers: NDArray[np.float64]) -> Any:
    """Lists, None where a number does not exist: JSON knows no NaN."""
    # NumPy's annotations do not know None, which an array of objects may hold.
    return np.where(np.isfinite(numbers), numbers.astype(object), None).tolist()  # type: ignore[call-overload]


def _explain(_: Request, error: Exception) -> Response:
    return JSONResponse({"message": str(error)}, 404 if isinstance(error, NoSuchError) else 422)


def _explain_invalid(_: Request, error: Exception) -> Response:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    where = ".".join(str(part) for part in first.get("loc", ()))
    return JSONResponse({"message": f"{where}: expected valid input, found: {first.get('msg', error)}"}, 422)
