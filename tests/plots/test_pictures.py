from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from shapewise.errors import ArgumentError
from shapewise.plots import overlay, save
from shapewise.plots.pictures import box_around, middle_slice
from shapewise.plots.style import class_colour


def square(label: int = 1) -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((20, 40), dtype=np.uint8)
    labels[5:15, 10:30] = label
    image = np.linspace(0, 1, 800).reshape(20, 40)
    return image, labels


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=float) / 255


def test_pixels_keep_their_proportions(tmp_path: Path) -> None:
    image, labels = square()
    figure = overlay(image, labels, (2.0, 1.0))
    save(figure, tmp_path / "picture.png")
    box = figure.axes[0].get_window_extent()
    assert box.width / box.height == pytest.approx(1.0, rel=0.01)  # 40 mm by 40 mm


def test_each_label_has_its_colour(tmp_path: Path) -> None:
    image, labels = square(label=2)
    figure = overlay(image, labels, (1.0, 1.0), outline=True)
    save(figure, tmp_path / "picture.png")
    shown = pixels(tmp_path / "picture.png")
    near = [np.abs(shown - to_rgb(class_colour(label))).max(axis=-1).min() for label in (1, 2)]
    assert near[1] < 0.02
    assert near[0] > 0.2


def test_the_tint_covers_the_object_alone(tmp_path: Path) -> None:
    image, labels = np.linspace(0, 1, 800).reshape(20, 40), square()[1]
    figure = overlay(image, labels, (1.0, 1.0))
    save(figure, tmp_path / "picture.png")
    shown = pixels(tmp_path / "picture.png")
    height, width = shown.shape[:2]
    grey = shown.max(axis=-1) - shown.min(axis=-1) < 0.02
    assert grey[int(0.1 * height), width // 2]
    assert not grey[height // 2, width // 2]


def test_a_legend_names_the_classes() -> None:
    figure = overlay(*square(), (1.0, 1.0), classes=["RV", "Myo"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["RV", "Myo"]


def test_constant_images_and_empty_labels_are_drawn() -> None:
    figure = overlay(np.zeros((8, 8)), np.zeros((8, 8), dtype=int), (1.0, 1.0))
    assert len(figure.axes[0].images) == 1


def test_shapes_must_agree() -> None:
    with pytest.raises(ArgumentError, match="`labels` to be a 2-D array of the image's shape"):
        overlay(np.zeros((8, 8)), np.zeros((8, 9), dtype=int), (1.0, 1.0))


def test_box_is_square_in_mm_whatever_the_spacing() -> None:
    mask = np.zeros((30, 30))
    mask[10:20, 12:18] = 1
    left, right, bottom, top = box_around(mask, (2.0, 1.0), margin=0.0)
    assert (right - left, bottom - top) == (20.0, 20.0)
    assert ((left + right) / 2, (bottom + top) / 2) == (14.5, 29.0)


def test_box_around_nothing_shows_everything() -> None:
    assert box_around(np.zeros((10, 20)), (2.0, 1.0)) == (-0.5, 19.5, 19.0, -1.0)


def test_middle_slice_prefers_all_classes() -> None:
    labels = np.zeros((7, 4, 4), dtype=int)
    labels[1:6, 0, 0] = 1
    labels[2:5, 1, 1] = 2
    assert middle_slice(labels) == 3
    assert middle_slice(np.zeros((5, 4, 4), dtype=int)) == 2
