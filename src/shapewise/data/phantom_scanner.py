"""What a scanner makes of a phantom patient: tissue contrast, blur, shading and noise.

A painter's algorithm in mm: every tissue covers what lies below it, with soft edges one pixel wide (partial
volume); two sub-slices are averaged, as a thick slice averages them. On top come the receive coil's shading,
in-plane blur, and the noise of a magnitude image (Rician).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from shapewise.data.phantom_anatomy import (
    Body,
    Field,
    HeartDistances,
    Pair,
    Patient,
    Phase,
    ellipse,
    heart_distances,
)


@dataclass(frozen=True)
class Scanner:
    """Pairs from which each examination's settings are drawn; intensities are shares of the brightest fat."""

    pixels: tuple[float, ...]
    """In-plane spacings, in mm."""
    sizes: tuple[int, ...]
    blood: Pair
    muscle: Pair
    fat: Pair
    liver: Pair
    lung: Pair
    shading: Pair
    """How strongly the signal falls away from the coil on the chest."""
    blur: Pair
    """Standard deviation in pixels."""
    noise: Pair
    gain: Pair


SCANNERS = {
    "A": Scanner(
        pixels=(1.25, 1.3672, 1.4063),
        sizes=(160, 168, 176),
        blood=(0.72, 0.88),
        muscle=(0.20, 0.27),
        fat=(0.88, 1.0),
        liver=(0.24, 0.34),
        lung=(0.03, 0.07),
        shading=(0.2, 0.5),
        blur=(0.45, 0.65),
        noise=(0.02, 0.035),
        gain=(700, 1100),
    ),
    "B": Scanner(
        pixels=(1.4844, 1.5625, 1.6),
        sizes=(144, 152, 160),
        blood=(0.50, 0.66),
        muscle=(0.25, 0.33),
        fat=(0.90, 1.0),
        liver=(0.34, 0.46),
        lung=(0.06, 0.12),
        shading=(0.4, 0.8),
        blur=(0.65, 0.9),
        noise=(0.04, 0.065),
        gain=(180, 420),
    ),
}


class Tissues(NamedTuple):
    """Intensities of one examination."""

    blood: float
    rv_blood: float
    muscle: float
    fat: float
    liver: float
    lung: float


class Textures(NamedTuple):
    """Smooth random fields `(D, H, W)` of unit variance, the same at end-diastole and end-systole."""

    fine: Field
    medium: Field
    coarse: Field


@dataclass(frozen=True)
class Examination:
    """One patient on one scanner."""

    pixel: float
    size: tuple[int, int]
    tissues: Tissues
    textures: Textures
    shading: float
    shading_angle: float
    blur: float
    noise: float
    gain: float


def draw_examination(
    rng: np.random.Generator, scanner: Scanner, slices: int, size: tuple[int, int] | None
) -> Examination:
    """Draw the settings of an examination, and the textures of the tissues on its grid."""
    pixel, side = float(rng.choice(scanner.pixels)), int(rng.choice(scanner.sizes))
    blood = float(rng.uniform(*scanner.blood))
    ranges = (scanner.muscle, scanner.fat, scanner.liver, scanner.lung)
    muscle, fat, liver, lung = (float(rng.uniform(*bounds)) for bounds in ranges)
    tissues = Tissues(blood, blood * rng.uniform(0.82, 1.0), muscle, fat, liver, lung)
    settings = [
        float(rng.uniform(*bounds)) for bounds in (scanner.shading, scanner.blur, scanner.noise, scanner.gain)
    ]
    angle, size = rng.normal(-2.3, 0.3), size or (side, side)
    textures = Textures(*(_texture(rng, (slices, *size), scale / pixel) for scale in (1.6, 4.0, 14.0)))
    shading, blur, noise, gain = settings
    return Examination(pixel, size, tissues, textures, shading, angle, blur, noise, gain)


def _texture(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> Field:
    """Noise of unit variance, smooth in-plane; `scale` is the standard deviation of the blur in pixels."""
    white = rng.standard_normal(shape, np.float32)
    field: Field = gaussian_filter(white, (0, scale, scale), mode="wrap", truncate=3)
    return field / float(field.std())


class Grid(NamedTuple):
    """Coordinates in mm, ready to broadcast: `y`, `x` from the heart's axis, `y0`, `x0` from the middle."""

    z: Field
    y: Field
    x: Field
    y0: Field
    x0: Field


def grid(patient: Patient, examination: Examination, offset: float = 0.0) -> Grid:
    """Make the coordinates of all slices, moved by `offset` mm along z."""
    heart = patient.heart
    z = (np.arange(patient.slices, dtype=np.float32) * patient.slice_distance + offset)[:, None, None]
    rows, columns = (
        (np.arange(n, dtype=np.float32) - (n - 1) / 2) * examination.pixel for n in examination.size
    )
    y0, x0 = rows[None, :, None], columns[None, None, :]
    y = y0 - (heart.centre[0] + heart.drift[0] * z + heart.shifts[:, :1, None])
    x = x0 - (heart.centre[1] + heart.drift[1] * z + heart.shifts[:, 1:, None])
    return Grid(z, y, x, y0, x0)


def acquire(
    rng: np.random.Generator, patient: Patient, examination: Examination, phase: Phase, surroundings: Field
) -> Field:
    """Take the picture of one phase, `(D, H, W)` and non-negative, of a heart in its `surroundings`."""
    offsets = 0.12 * patient.slice_distance * np.array([-1, 1])
    painted = [paint_heart(patient, examination, phase, float(offset), surroundings) for offset in offsets]
    shaded = 0.5 * (painted[0] + painted[1]) * _shading(patient, examination)
    signal = gaussian_filter(shaded, (0, examination.blur, examination.blur), truncate=3)
    # scanners interpolate: the noise is not quite white
    real, imaginary = (_texture(rng, signal.shape, 0.4) * examination.noise for _ in range(2))
    magnitude: Field = np.hypot(signal + real, imaginary)
    return magnitude * examination.gain


def _shading(patient: Patient, examination: Examination) -> Field:
    """The coil lies on the chest, up and left of the heart; the signal decays with the distance from it."""
    points = grid(patient, examination)
    towards = points.x0 * math.cos(examination.shading_angle) + points.y0 * math.sin(
        examination.shading_angle
    )
    wobble = 0.06 * examination.textures.coarse[:1]
    shading: Field = np.exp(examination.shading * towards / 100 + wobble)
    return shading


def paint_surroundings(patient: Patient, examination: Examination) -> Field:
    """Paint everything that does not beat: `(D, H, W)`, the same in both phases."""
    points = grid(patient, examination)
    air = np.full((patient.slices, *examination.size), 0.005, np.float32)
    canvas = _Canvas(air, examination.pixel)
    _paint_chest(canvas, patient.body, examination, points)
    _paint_abdomen(canvas, patient.body, examination, points)
    return canvas.image


def paint_heart(
    patient: Patient, examination: Examination, phase: Phase, offset: float, surroundings: Field
) -> Field:
    """Paint the heart of one phase over its surroundings, `offset` mm below the middle of every slice."""
    middle, moved = (grid(patient, examination, distance) for distance in (0.0, offset))
    points = moved._replace(z=_on_one_side(moved.z, middle.z, phase.base))
    canvas = _Canvas(surroundings.copy(), examination.pixel)
    distances = heart_distances(patient.heart, phase, points.z, points.y, points.x)
    _paint_pericardium(canvas, patient.body, examination, distances)
    _paint_atria(canvas, phase, examination, points)
    _paint_ventricles(canvas, examination, distances)
    return canvas.image


def _on_one_side(moved: Field, middle: Field, base: float) -> Field:
    """Keep a slice's parts on its own side of the valves: no slice shows ventricles and atria at once."""
    return np.where(middle >= base, np.maximum(moved, base), np.minimum(moved, base - 0.01))


class _Canvas:
    """An image that tissues are laid on, the later ones over the earlier ones."""

    def __init__(self, image: Field, pixel: float) -> None:
        self.image = image
        self.pixel = pixel

    def lay(self, distance: Field, value: Field | float, softness: float = 1.0) -> None:
        """Cover the inside of a signed distance; the edge is `softness` pixels wide."""
        cover = np.clip(0.5 - distance / (self.pixel * softness), 0, 1)
        self.image += cover * (value - self.image)


def _paint_chest(canvas: _Canvas, body: Body, examination: Examination, points: Grid) -> None:
    """Skin and fat, chest wall with ribs, lungs with their vessels, fat between heart and wall, the spine."""
    tissues, (fine, medium, coarse) = examination.tissues, examination.textures
    y, x = points.y, points.x
    outline = ellipse(y, x, body.centre, body.semi_axes, body.angle) + 2.5 * coarse
    canvas.lay(outline, tissues.fat * (1 + 0.06 * medium))
    wall = outline + body.fat * (1 + 0.25 * coarse)
    canvas.lay(wall, tissues.muscle * (1 + 0.2 * medium + 0.1 * fine))
    canvas.lay(np.maximum(wall, 1.5 - 2.0 * medium), 0.75 * tissues.fat)
    cavity = wall + body.muscle + 2.0 * medium
    canvas.lay(cavity, tissues.lung * (1 + 0.3 * fine))
    canvas.lay(np.maximum(cavity, (1.9 - fine) * 2.5), 0.55 * tissues.blood)
    between = np.maximum(np.hypot(y, x + 12) - 50 + 6 * coarse, -cavity - 13)
    canvas.lay(np.maximum(cavity, between), tissues.fat * (0.7 + 0.12 * medium), 2)
    canvas.lay(ellipse(y, x, body.spine, (19, 22)) + 1.5 * medium, 0.55 * tissues.fat * (1 + 0.15 * medium))
    canal = (body.spine[0] + 12, body.spine[1] + 14)
    canvas.lay(ellipse(y, x, canal, (6, 8)), 0.9 * tissues.fat)


def _paint_abdomen(canvas: _Canvas, body: Body, examination: Examination, points: Grid) -> None:
    """Below the diaphragm: liver with vessels, fat, a stomach as bright as blood; beside it, two vessels."""
    tissues, (fine, medium, coarse) = examination.tissues, examination.textures
    y, x = points.y, points.x
    dome = body.dome - body.dome_rise * points.z + 0.004 * (x - body.dome_place) ** 2 - y + 1.5 * coarse
    canvas.lay(dome, 0.8 * tissues.muscle)
    canvas.lay(dome + 3, tissues.liver * (1 + 0.08 * medium + 0.04 * fine))
    canvas.lay(np.maximum(dome + 6, (1.6 - medium) * 4), 0.8 * tissues.blood)
    canvas.lay(
        np.maximum(dome + 2, 40 - x + 8 * coarse + 4 * medium + 0.3 * (y - 90)),
        tissues.fat * (0.75 + 0.12 * medium),
    )
    stomach = ellipse(y + 0.2 * points.z, x, body.stomach, body.stomach_axes) + 3 * coarse + medium
    canvas.lay(stomach - 3, tissues.muscle)
    canvas.lay(stomach, tissues.blood * (0.85 + 0.2 * coarse + 0.08 * medium))
    for place, radius in ((body.aorta, body.aorta_radius), (body.cava, 8.5)):
        vessel = ellipse(y, x, place, (radius, 1.1 * radius)) + 0.5 * medium
        canvas.lay(vessel - 2, tissues.muscle)
        canvas.lay(vessel, tissues.blood * (1 + 0.05 * medium))


def _paint_pericardium(
    canvas: _Canvas, body: Body, examination: Examination, distances: HeartDistances
) -> None:
    """Patches of fat on a thin dark sac."""
    tissues, (_, medium, coarse) = examination.tissues, examination.textures
    heart = np.minimum(distances.epi, distances.rv_wall)
    patches = heart - body.pericardial_fat * np.clip(0.6 + 0.8 * coarse, 0, 2)
    canvas.lay(patches, tissues.fat * (0.72 + 0.1 * medium), 2)
    canvas.lay(heart - 1.2, 0.7 * tissues.muscle)


def _paint_atria(canvas: _Canvas, phase: Phase, examination: Examination, points: Grid) -> None:
    """Above the valves: aortic root, left and right atrium, thin-walled and as bright as the ventricles."""
    tissues, (_, medium, _) = examination.tissues, examination.textures
    below = np.where(points.z < phase.base, np.float32(0), np.float32(60))
    rooms = (((-9, -12), (14, 15)), ((14, 8), (20, 25)), ((6, -42), (24, 19)))
    for place, semi_axes in rooms:
        room = ellipse(points.y, points.x, place, semi_axes) + below + 1.2 * medium
        canvas.lay(room - 2, tissues.muscle)
        canvas.lay(room, tissues.blood * (0.95 + 0.06 * medium))


def _paint_ventricles(canvas: _Canvas, examination: Examination, distances: HeartDistances) -> None:
    """The ventricles: trabeculae roughen the right one and the edge of the left one."""
    tissues, (fine, medium, coarse) = examination.tissues, examination.textures
    muscle = tissues.muscle * (1 + 0.06 * medium)
    canvas.lay(distances.rv_wall, muscle)
    canvas.lay(distances.rv, tissues.rv_blood * (1 + 0.06 * coarse))
    canvas.lay(np.maximum(distances.rv, (1.3 - medium) * 3 - 0.2 * (distances.rv + 8)), 1.3 * muscle, 1.5)
    canvas.lay(distances.epi, muscle)
    canvas.lay(distances.endo, tissues.blood * (1 + 0.05 * coarse))
    rough = np.maximum(distances.endo, -distances.endo - 2.5 + 1.5 * (1 - fine))
    canvas.lay(rough, 0.6 * tissues.blood, 1.5)
    canvas.lay(np.maximum(distances.papillaries + 0.5 * medium, distances.endo), 1.1 * muscle, 1.5)
