"""Who the phantom's patients are: hearts and chests as numbers, and the signed distances that draw them.

Lengths are in mm. z runs along the slices from base to apex, with slice 0 at z = 0; y and x are the in-plane
axes, seen from the middle of the image. A signed distance is negative inside.

The left ventricle is a bullet of profile sqrt(1 - u^q) along its axis, so that its volume, length and radius
follow from each other in closed form: the ejection fraction is drawn, and the heart at end-systole has a
smaller cavity, a lower base and, because muscle keeps its volume, a thicker wall. The right ventricle is a
rounded triangle wrapped around the septum, which vanishes before the left one does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
Pair = tuple[float, float]
"""Two numbers: along rows and columns, or the least and the most."""

_POWER = 2.6  # of the ventricles' profile: 2 is an ellipsoid, infinity a cylinder
_FULLNESS = _POWER / (_POWER + 1.0)  # integral of the squared profile
_APEX_WALL = 3.0  # the wall is thin at the apex
_RV_WALL = 3.0


class Group(NamedTuple):
    """What ACDC's groups differ in."""

    name: str
    volume: Pair
    """Left ventricle at end-diastole, in mL."""
    ejection: Pair
    wall: Pair
    """Myocardium at end-diastole, in mm."""
    rv_width: Pair
    """Right ventricle at end-diastole, from septum to free wall, in mm."""
    rv_shortening: Pair
    """What share of that width goes at end-systole."""


GROUPS = (
    Group("NOR", (100, 150), (0.56, 0.66), (7.5, 9.0), (29, 37), (0.42, 0.54)),
    Group("DCM", (165, 215), (0.30, 0.40), (7.0, 8.5), (27, 36), (0.22, 0.40)),
    Group("HCM", (85, 130), (0.58, 0.66), (11.5, 15.0), (25, 31), (0.42, 0.54)),
    Group("MINF", (120, 180), (0.33, 0.48), (7.0, 9.5), (27, 35), (0.32, 0.48)),
    Group("RV", (85, 130), (0.50, 0.65), (7.0, 8.5), (42, 52), (0.16, 0.32)),
)


@dataclass(frozen=True)
class Phase:
    """The heart at one moment of its cycle."""

    base: float
    endo_radius: float
    epi_radius: float
    rv_width: float
    rv_height: float
    rv_base: float


@dataclass(frozen=True)
class Heart:
    """What stays the same between end-diastole and end-systole."""

    apex: float
    rv_apex: float
    septum_angle: float
    """Direction from the left to the right ventricle."""
    centre: Pair
    """Where slice 0 has the left ventricle (y, x)."""
    drift: Pair
    """How far the axis moves in-plane for each mm along z."""
    shifts: Field
    """Breath-hold misalignment of every slice, (slices, 2)."""
    oval: tuple[Pair, Pair]
    """Amplitude and direction of the second and of the third harmonic of the contour."""
    rv_corners: Pair
    """Amplitude and direction of what makes the right ventricle rather a triangle than an ellipse."""
    septal_bulge: float
    """How much thicker than the free wall the septum is, as a share."""
    papillary_angles: Pair
    papillary_radius: float
    ed: Phase
    es: Phase


@dataclass(frozen=True)
class Body:
    """The chest around the heart; positions are relative to the heart's centre."""

    centre: Pair
    semi_axes: Pair
    angle: float
    fat: float
    muscle: float
    dome: float
    """Height of the diaphragm's dome under the heart at slice 0."""
    dome_rise: float
    """How much higher the dome is for each mm towards the apex."""
    dome_place: float
    aorta: Pair
    aorta_radius: float
    spine: Pair
    stomach: Pair
    stomach_axes: Pair
    cava: Pair
    pericardial_fat: float


@dataclass(frozen=True)
class Patient:
    """One patient: the same whatever the scanner and whoever else is in the study."""

    group: str
    height_cm: float
    weight_kg: float
    frames: int
    es_frame: int
    slices: int
    slice_distance: float
    heart: Heart
    body: Body


class HeartDistances(NamedTuple):
    """Signed distances `(D, H, W)` of the heart's parts."""

    endo: Field
    epi: Field
    rv: Field
    papillaries: Field
    rv_wall: Field


def draw_patient(rng: np.random.Generator, group: Group) -> Patient:
    """Draw a patient of a group; everything comes from `rng`, in a fixed order."""
    slices = int(rng.integers(7, 10))
    distance = float(rng.choice({7: (9.0, 10.0), 8: (9.0, 10.0), 9: (8.0, 9.0)}[slices]))
    habitus = rng.uniform()
    height = rng.uniform(150, 192)
    frames = int(rng.integers(18, 33))
    return Patient(
        group=group.name,
        height_cm=round(height),
        weight_kg=round((19 + 13 * habitus) * (height / 100) ** 2),
        frames=frames,
        es_frame=round(frames * rng.uniform(0.32, 0.42)),
        slices=slices,
        slice_distance=distance,
        heart=_draw_heart(rng, group, slices, distance),
        body=_draw_body(rng, habitus),
    )


def _draw_heart(rng: np.random.Generator, group: Group, slices: int, distance: float) -> Heart:
    end = (slices - 1) * distance
    ed_base, apex = rng.uniform(-1.1, 0.08) * distance, end + rng.uniform(-0.12, 0.45) * distance
    ed, es = _draw_phases(rng, group, ed_base, apex)
    return Heart(
        apex=apex,
        rv_apex=ed_base + rng.uniform(0.84, 0.94) * (apex - ed_base),
        septum_angle=np.pi + rng.normal(0.3, 0.25),
        centre=(rng.normal(0, 6), rng.normal(0, 7)),
        drift=(rng.normal(0.12, 0.06), rng.normal(0.12, 0.06)),
        shifts=rng.normal(0, 0.8, (slices, 2)).astype(np.float32),
        oval=((rng.uniform(0, 0.06), rng.uniform(0, 6.3)), (rng.uniform(0, 0.025), rng.uniform(0, 6.3))),
        rv_corners=(rng.uniform(0.03, 0.11), rng.normal(0, 0.5)),
        septal_bulge=rng.uniform(0.0, 0.25),
        papillary_angles=(rng.normal(1.9, 0.2), rng.normal(-1.9, 0.2)),
        papillary_radius=rng.uniform(3.4, 5.0),
        ed=ed,
        es=es,
    )


def _draw_phases(rng: np.random.Generator, group: Group, ed_base: float, apex: float) -> tuple[Phase, Phase]:
    """Draw end-diastole, and what end-systole follows from it."""
    volume, ejection = rng.uniform(*group.volume) * 1000, rng.uniform(*group.ejection)
    es_base = ed_base + 8.0 * ejection * rng.uniform(0.7, 1.2)
    radius = _radius(volume, apex - ed_base)
    outer = radius + rng.uniform(*group.wall)
    muscle = _bullet(outer, apex - ed_base + _APEX_WALL) - volume
    es_volume = volume * (1 - ejection)
    es_outer = _radius(es_volume + muscle, apex - es_base + _APEX_WALL)
    width, tall = rng.uniform(*group.rv_width), outer * rng.uniform(1.02, 1.18)
    shortening = rng.uniform(*group.rv_shortening)
    rv_base = ed_base - rng.uniform(0, 5)
    ed = Phase(ed_base, radius, outer, width, tall, rv_base)
    es_base_rv = rv_base + (es_base - ed_base) * 1.3
    es = Phase(
        es_base,
        _radius(es_volume, apex - es_base),
        es_outer,
        width * (1 - shortening),
        tall * 0.92,
        es_base_rv,
    )
    return ed, es


def _draw_body(rng: np.random.Generator, habitus: float) -> Body:
    return Body(
        centre=(rng.uniform(42, 58), rng.uniform(36, 52)),
        semi_axes=(132 + 18 * habitus + rng.normal(0, 4), 168 + 20 * habitus + rng.normal(0, 4)),
        angle=rng.normal(-0.3, 0.12),
        fat=6 + 14 * habitus * rng.uniform(0.6, 1.1),
        muscle=rng.uniform(9, 15),
        dome=rng.uniform(48, 62),
        dome_rise=rng.uniform(0.1, 0.35),
        dome_place=rng.uniform(-40, 0),
        aorta=(rng.uniform(38, 52), rng.uniform(48, 62)),
        aorta_radius=rng.uniform(9.5, 13.5),
        spine=(rng.uniform(58, 72), rng.uniform(74, 88)),
        stomach=(rng.uniform(64, 82), rng.uniform(5, 30)),
        stomach_axes=(rng.uniform(12, 20), rng.uniform(18, 30)),
        cava=(rng.uniform(44, 56), rng.uniform(-34, -14)),
        pericardial_fat=3 + 8 * habitus * rng.uniform(0.5, 1.2),
    )


def _bullet(radius: float, length: float) -> float:
    """Volume of a bullet: pi r^2 l times the integral of the squared profile."""
    return float(np.pi * radius**2 * length * _FULLNESS)


def _radius(volume: float, length: float) -> float:
    return float(np.sqrt(volume / (np.pi * length * _FULLNESS)))


def profile(z: Field, base: float, apex: float) -> Field:
    """How wide a ventricle is at z, as a share of its base: 1 there, 0 at the apex, nothing beyond either."""
    u = (z - base) / (apex - base)
    inside = (u >= 0) & (u < 1)
    return np.where(inside, np.sqrt(1 - np.clip(u, 0, 1) ** _POWER), -1.0)


def heart_distances(heart: Heart, phase: Phase, z: Field, y: Field, x: Field) -> HeartDistances:
    """Signed distances of one phase; `z` is (D, 1, 1), `y` and `x` are relative to the axis, (D, H, W)."""
    along, across = _turned(y, x, heart.septum_angle)
    angle, away = np.arctan2(across, along), np.hypot(across, along)
    (second, towards), (third, aside) = heart.oval
    oval = 1 + second * np.cos(2 * angle - towards) + third * np.cos(3 * angle - aside)
    endo_radius = phase.endo_radius * profile(z, phase.base, heart.apex)
    epi_radius = phase.epi_radius * profile(z, phase.base, heart.apex + _APEX_WALL)
    wall = (epi_radius - np.maximum(endo_radius, 0)) * (1 + heart.septal_bulge * np.cos(angle))
    epi = away - np.where(epi_radius > 0, np.maximum(endo_radius, 0) * oval + wall, epi_radius)
    endo = away - endo_radius * np.where(endo_radius > 0, oval, 1)
    rv_outer = _rv_distance(heart, phase, z, along, across, np.maximum(epi_radius, 0))
    rv = np.maximum(rv_outer, -epi)
    papillaries = _papillaries(heart, z, endo_radius, along, across)
    return HeartDistances(endo, epi, rv, papillaries, np.maximum(rv_outer - _RV_WALL, -epi))


def _rv_distance(
    heart: Heart, phase: Phase, z: Field, along: Field, across: Field, epi_radius: Field
) -> Field:
    """The ellipse from the left ventricle's axis to the free wall of the right one."""
    share = profile(z, phase.rv_base, heart.rv_apex)
    present = share > 0
    reach = np.where(present, epi_radius + phase.rv_width * share, 2.0)
    half, tall = reach / 2, np.where(present, phase.rv_height * np.maximum(share, 0.1), 1.0)
    skewed = across - 0.2 * (along - half)
    a, b = (along - half) / half, skewed / tall
    corners, towards = heart.rv_corners
    bend = np.cos(3 * np.arctan2(b, a) - towards) - math.cos(towards)  # none where the free wall is widest
    scaled = np.hypot(a, b) * (1 + corners * bend)
    return np.where(present, (scaled - 1) * np.minimum(half, tall), 50.0)


def _papillaries(heart: Heart, z: Field, endo_radius: Field, along: Field, across: Field) -> Field:
    """Two columns at mid-ventricle; they keep their size, so that they crowd a small cavity."""
    length = heart.apex - heart.ed.base
    u = (z - heart.ed.base) / length
    radius = heart.papillary_radius * np.where(
        (u > 0.25) & (u < 0.85), np.sqrt(np.maximum(np.sin(np.pi * (u - 0.25) / 0.6), 0)), -1
    )
    place = np.maximum(endo_radius - 0.75 * heart.papillary_radius, 0)
    columns = [
        np.hypot(along - place * math.cos(angle), across - place * math.sin(angle)) - radius
        for angle in heart.papillary_angles
    ]
    nearest: Field = np.minimum(*columns)
    return nearest


def _turned(y: Field, x: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates along a direction and across it."""
    sine, cosine = math.sin(angle), math.cos(angle)
    return x * cosine + y * sine, y * cosine - x * sine


def ellipse(y: Field, x: Field, centre: Pair, semi_axes: Pair, angle: float = 0.0) -> Field:
    """Nearly the signed distance of an ellipse (y, x), turned by an angle."""
    along, across = _turned(y - centre[0], x - centre[1], angle)
    scaled: Field = np.hypot(across / semi_axes[0], along / semi_axes[1])
    return (scaled - 1) * min(semi_axes)


def labels(distances: HeartDistances) -> NDArray[np.uint8]:
    """ACDC's labels: 1 right ventricle, 2 myocardium, 3 left ventricle with its papillary muscles."""
    mask = np.zeros(np.broadcast_shapes(*(d.shape for d in distances)), np.uint8)
    mask[distances.rv < 0] = 1
    mask[distances.epi < 0] = 2
    mask[distances.endo < 0] = 3
    return mask
