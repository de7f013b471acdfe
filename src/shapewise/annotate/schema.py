"""What the page may send, checked to the last number before anything else sees it.

Points are (row, column) in pixels of the image as it was acquired; pixel centres lie at whole numbers.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

FARTHEST = 1e5
"""Pixels; no image is larger, and no hand reaches farther."""

MOST_POINTS = 256
MOST_CLASSES = 64
LONGEST_NAME = 200
LARGEST_BODY = 2 * 1024 * 1024
"""Bytes of a request: all classes of a slice as polygons of all their points fit in."""

Coordinate = Annotated[float, Field(strict=True, ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class Message(BaseModel):
    """An unknown key, or a number written as text, is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ellipse(Message):
    """All points centre + x first + y second with x² + y² ≤ 1.

    Two half-axes, in pixels, that are conjugate: they stay so where rows and columns have different spacings,
    which perpendicular ones would not.
    """

    kind: Literal["ellipse"] = "ellipse"
    centre: Point
    first: Point
    second: Point


class Polygon(Message):
    """A closed outline, its last point joined to the first."""

    kind: Literal["polygon"] = "polygon"
    points: Annotated[tuple[Point, ...], Field(min_length=3, max_length=MOST_POINTS)]


class Absent(Message):
    """The class is not on this slice."""

    kind: Literal["absent"] = "absent"


Shape = Annotated[Ellipse | Polygon | Absent, Field(discriminator="kind")]


class Drawn(Message):
    """One class on one slice.

    Attributes:
        shape: its outer outline.
        around: the class whose own outline is cut out of it, as LV's is of Myo's.
        doubt: the outline is sure to so many pixels; 0 where the person did not say.
        origin: how it came to be.
    """

    shape: Shape
    around: Name | None = None
    doubt: Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)] = 0.0
    origin: Literal["drawn", "copied", "interpolated", "suggested"] = "drawn"


Objects = Annotated[dict[Name, Drawn], Field(max_length=MOST_CLASSES)]


class Cost(Message):
    """What a person spent on one object since the last edit: seconds, and drags, clicks or keys."""

    seconds: Annotated[float, Field(strict=True, ge=0, le=86400, allow_inf_nan=False)]
    gestures: Annotated[int, Field(strict=True, ge=0, le=10000)]


class Edit(Message):
    """Everything on a slice after an edit of it.

    Attributes:
        uid: of this edit; sent twice, it is made once.
        base: version of the slice that was edited; 0 before its first edit.
        objects: all classes that are annotated now.
        costs: of the classes that the edit touched.
    """

    uid: Annotated[str, Field(pattern=r"^[0-9a-f-]{32,36}$")]
    base: Annotated[int, Field(strict=True, ge=0, le=2**31)]
    objects: Objects
    costs: Annotated[dict[Name, Cost], Field(max_length=MOST_CLASSES)]


class Picture(Message):
    """A slice's objects, to be measured."""

    objects: Objects
