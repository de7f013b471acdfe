from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shapewise.data.cases import Case
from shapewise.data.frames import resample_image, resample_mask
from shapewise.data.layouts import find_cases
from shapewise.data.prepare import Preprocessing, Sample, normalise, prepare_images, prepare_masks
from shapewise.errors import ArgumentError, DataError

FullDisk = Callable[[int], AbstractContextManager[None]]
WriteImage = Callable[..., Path]
SMALL = Preprocessing((4, 5))
CLASSES = ("inner", "outer")


@pytest.fixture
def cases(tmp_path: Path, write_image: WriteImage) -> list[Case]:
    """Two frames of one patient and one of another, of different shapes and depths, with masks."""
    random = np.random.default_rng(0)
    shapes = {("anna", 1): (3, 8, 6), ("anna", 7): (3, 8, 6), ("bert", 1): (2, 7, 9)}
    found = []
    for (name, frame), shape in shapes.items():
        image, mask = (tmp_path / "data" / f"{name}{frame}{kind}.nii.gz" for kind in ("", "_gt"))
        write_image(image, random.normal(size=shape).astype(np.float32))
        write_image(mask, random.integers(0, 3, shape).astype(np.uint8))
        found.append(Case(name, name, frame, image, mask))
    return found


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def written(cache: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in cache.glob("*")}


def test_intensities_get_zero_mean_and_unit_deviation_whatever_their_range() -> None:
    image = np.random.default_rng(0).gamma(2, size=(10, 20, 20)).astype(np.float32)
    plain = normalise(image)
    assert plain.dtype == np.float32
    assert plain.mean() == pytest.approx(0, abs=1e-5)
    assert plain.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(normalise(40000 * image - 700), plain, atol=1e-3)


def test_a_few_outliers_do_not_flatten_the_rest() -> None:
    image = np.random.default_rng(0).uniform(size=(10, 20, 20)).astype(np.float32)
    spoilt = image.copy()
    spoilt[0, 0, :3] = 1e6
    np.testing.assert_allclose(normalise(spoilt)[1:], normalise(image)[1:], atol=0.05)


def test_an_image_that_varies_in_few_pixels_only_stays_finite() -> None:
    image = np.zeros((1, 40, 40), np.float32)
    image[0, 0, 0] = 1
    assert np.isfinite(normalise(image)).all()


def test_every_slice_is_prepared_in_order(cases: list[Case], cache: Path) -> None:
    prepared = prepare_images(cases, SMALL, cache)
    assert prepared.samples[:4] == [("anna", 1, 0), ("anna", 1, 1), ("anna", 1, 2), ("anna", 7, 0)]
    assert prepared.samples[-1] == Sample("bert", 1, 1)
    assert prepared.cases == [0, 0, 0, 1, 1, 1, 2, 2]
    assert prepared.images.shape == (8, 4, 5)
    assert prepared.images.dtype == np.float32
    assert prepared.spacings == [(5.0, 2.0, 1.5)] * 8
    for case, rows in zip(cases, (slice(0, 3), slice(3, 6), slice(6, 8)), strict=True):
        image = case.read_image().image
        frame = SMALL.frame(image.shape[1:], None)
        assert prepared.frames[rows] == [frame] * len(image)
        np.testing.assert_array_equal(prepared.images[rows], resample_image(normalise(image), frame))


def test_masks_are_aligned_with_the_images(cases: list[Case], cache: Path) -> None:
    masks = prepare_masks(cases, CLASSES, SMALL, cache)
    assert masks.dtype == np.uint8
    frames = prepare_images(cases, SMALL, cache).frames
    volumes = [case.read_image() for case in cases]
    native = [
        mask for case, volume in zip(cases, volumes, strict=True) for mask in case.read_mask(CLASSES, volume)
    ]
    wanted = [resample_mask(mask, frame) for mask, frame in zip(native, frames, strict=True)]
    np.testing.assert_array_equal(masks, wanted)


def test_images_are_prepared_once_and_stay_on_disk(cases: list[Case], cache: Path) -> None:
    first = prepare_images(cases, SMALL, cache)
    before = written(cache)
    second = prepare_images(cases, SMALL, cache)
    assert written(cache) == before
    assert isinstance(second.images, np.memmap)
    assert not second.images.flags.writeable
    np.testing.assert_array_equal(first.images, second.images)
    assert (first.samples, first.frames, first.spacings) == (second.samples, second.frames, second.spacings)


def test_images_need_no_mask(cases: list[Case], cache: Path) -> None:
    with_masks = np.array(prepare_images(cases, SMALL, cache).images)
    for case in cases:
        case.mask.unlink()
    before = written(cache)
    np.testing.assert_array_equal(prepare_images(cases, SMALL, cache).images, with_masks)
    bare = [replace(case, mask=None) for case in cases]
    np.testing.assert_array_equal(prepare_images(bare, SMALL, cache).images, with_masks)
    assert written(cache) == before


@pytest.mark.parametrize("ending", [".npy", ".json"])
@pytest.mark.parametrize("damage", ["cut", "emptied", "changed", "removed"])
def test_a_damaged_cache_is_made_again(cases: list[Case], cache: Path, ending: str, damage: str) -> None:
    images = np.array(prepare_images(cases, SMALL, cache).images)
    (file,) = cache.glob(f"*{ending}")
    content = bytearray(file.read_bytes())
    match damage:
        case "cut":
            file.write_bytes(content[: len(content) // 2])
        case "emptied":
            file.write_bytes(b"")
        case "changed":
            content[-2] ^= 0xFF
            file.write_bytes(content)
        case "removed":
            file.unlink()
    again = prepare_images(cases, SMALL, cache)
    np.testing.assert_array_equal(again.images, images)
    assert len(again.samples) == len(images)


def test_another_file_or_option_is_another_cache(
    cases: list[Case], cache: Path, write_image: WriteImage
) -> None:
    prepare_images(cases, SMALL, cache)
    prepare_images(cases[:2], SMALL, cache)
    prepare_images(cases, Preprocessing((5, 5), crop=(4, 5)), cache)
    assert len(list(cache.glob("*.npy"))) == 3
    write_image(cases[0].image, np.arange(144, dtype=np.float32).reshape(3, 8, 6))
    changed = prepare_images(cases, SMALL, cache)
    assert len(list(cache.glob("*.npy"))) == 4
    assert changed.images[0, 0, 0] < changed.images[0, -1, -1] < changed.images[2, -1, -1]


def test_the_data_beside_a_metaimage_header_count(
    tmp_path: Path, cache: Path, write_image: WriteImage
) -> None:
    image = write_image(tmp_path / "Case[00].mhd", np.random.default_rng(0).normal(size=(2, 4, 4)))
    case = Case("Case00", "Case00", 0, image, None)
    prepare_images([case], SMALL, cache)
    data = tmp_path / "Case[00].zraw"
    os.utime(data, ns=(data.stat().st_atime_ns, data.stat().st_mtime_ns + 10**9))
    prepare_images([case], SMALL, cache)
    assert len(list(cache.glob("*.npy"))) == 2


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, cache: Path, write_image: WriteImage, full_disk: FullDisk
) -> None:
    image = write_image(tmp_path / "a.nii.gz", np.random.default_rng(0).normal(size=(9, 8, 8)))
    case = Case("a", "a", 0, image, None)
    large = Preprocessing((256, 256))
    named = rf"^{cache}/\w+-images\.npy: expected a file that can be written"
    with full_disk(1 << 20), pytest.raises(DataError, match=named):
        prepare_images([case], large, cache)
    assert list(cache.iterdir()) == []
    assert prepare_images([case], large, cache).images.shape == (9, 256, 256)


@pytest.mark.parametrize("ending", ["hdr", "img"])
def test_either_half_of_a_pair_is_part_of_the_key(
    tmp_path: Path, cache: Path, write_image: WriteImage, ending: str
) -> None:
    texture = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)
    case = Case("a", "a", 0, write_image(tmp_path / f"a [1].{ending}", texture), None)
    before = prepare_images([case], SMALL, cache).images.copy()
    (tmp_path / "a [1].img").write_bytes((texture**2).tobytes())
    os.utime(tmp_path / "a [1].img", (1, 1))
    assert (prepare_images([case], SMALL, cache).images != before).any()


def test_a_bad_case_leaves_nothing(cases: list[Case], cache: Path) -> None:
    cases[-1].image.write_bytes(b"not an image")
    with pytest.raises(DataError, match="bert1"):
        prepare_images(cases, SMALL, cache)
    assert list(cache.iterdir()) == []


def test_a_cache_folder_that_cannot_be_is_named(cases: list[Case], cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(DataError, match=str(cache)):
        prepare_images(cases, SMALL, cache)


def test_missing_and_wrong_masks_are_refused(cases: list[Case], cache: Path) -> None:
    with pytest.raises(DataError, match=r"bert1\.nii\.gz: expected a mask"):
        prepare_masks([*cases[:2], replace(cases[2], mask=None)], CLASSES, SMALL, cache)
    with pytest.raises(DataError, match="label 2"):
        prepare_masks(cases, CLASSES[:1], SMALL, cache)
    with pytest.raises(DataError, match="shape"):
        prepare_masks([replace(cases[0], mask=cases[2].mask)], CLASSES, SMALL, cache)
    cases[0].mask.unlink()
    with pytest.raises(DataError, match="anna1_gt"):
        prepare_masks(cases, CLASSES, SMALL, cache)
    assert list(cache.iterdir()) == []


def test_millimetres_need_a_known_spacing(cases: list[Case], cache: Path) -> None:
    in_mm = Preprocessing((8, 8), spacing=1.0)
    unknown = [replace(case, spacing_known=False) for case in cases]
    with pytest.raises(DataError, match="spacing"):
        prepare_images(unknown, in_mm, cache)
    assert prepare_images(unknown, SMALL, cache).spacings == [None] * 8
    prepared = prepare_images(cases, in_mm, cache)
    assert prepared.frames[0].step == pytest.approx((1 / 2.0, 1 / 1.5))
    with pytest.raises(ArgumentError, match="spacing"):
        in_mm.frame((8, 8), None)


def test_no_case_is_refused(cache: Path) -> None:
    with pytest.raises(ArgumentError, match="cases"):
        prepare_images([], SMALL, cache)


def test_options_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ArgumentError, match="size"):
        Preprocessing((0, 4))
    with pytest.raises(ArgumentError, match="spacing"):
        Preprocessing((4, 4), spacing=0.0)
    with pytest.raises(ArgumentError, match="crop"):
        Preprocessing((4, 4), crop=(4, 5))


def test_real_hearts_stay_inside_the_frame(real_acdc: Path, cache: Path) -> None:
    study = find_cases(real_acdc)
    cases = study.cases[:4]
    options = Preprocessing((128, 128), spacing=2.0)
    prepared = prepare_images(cases, options, cache)
    masks = prepare_masks(cases, study.classes, options, cache)
    assert prepared.images.shape == masks.shape == (len(prepared.samples), 128, 128)
    area = {
        case: volume.spacing[1] * volume.spacing[2] * (case.read_mask(study.classes, volume) == 3).sum()
        for case, volume in ((case, case.read_image()) for case in cases)
    }
    numbers = np.array(prepared.cases)
    for number, case in enumerate(cases):
        assert (masks[numbers == number] == 3).sum() * 4 == pytest.approx(area[case], rel=0.02)


def test_real_prostates_are_prepared_without_a_spacing(real_promise12: Path, cache: Path) -> None:
    study = find_cases(real_promise12)
    prepared = prepare_images(study.cases[:2], Preprocessing((64, 64)), cache)
    assert prepared.spacings == [None] * len(prepared.samples)
    assert 0.8 < prepared.images.std() < 1.1
