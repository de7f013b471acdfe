from __future__ import annotations

import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from shapewise.data.images import read_image, read_spacing, read_voxels
from shapewise.errors import DataError


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "mhd", "nrrd", "hdr", "img", "img.gz"])
def test_voxels_and_spacing_come_in_array_order(tmp_path, write_image, texture, ending):
    path = write_image(tmp_path / f"image.{ending}", texture)
    image = read_image(path)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), texture)
    assert read_spacing(path) == (5.0, 2.0, 1.5)
    assert image.GetSpacing() == (1.5, 2.0, 5.0)


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "mhd", "hdr", "img", "img.gz", "nrrd", "mha"])
@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_truncated_file(tmp_path, write_image, texture, ending, kept, capfd):
    path = write_image(tmp_path / f"image.{ending}", texture)
    data = path.with_suffix({"mhd": ".zraw", "hdr": ".img"}.get(ending, path.suffix))
    data.write_bytes(data.read_bytes()[: int(kept * data.stat().st_size)])
    with pytest.raises(DataError, match=f"image.{ending}: expected a complete"):
        read_image(path)
    assert capfd.readouterr().err == ""


def test_corrupt_gzip(tmp_path, write_image, texture):
    path = write_image(tmp_path / "image.nii.gz", texture)
    data = bytearray(path.read_bytes())
    data[-8] ^= 0xFF  # the checksum
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"image\.nii\.gz: expected a complete"):
        read_image(path)


def test_gzip_that_ends_early_inside(tmp_path, write_image, texture):
    path = write_image(tmp_path / "image.nii", texture)
    shorter = tmp_path / "image.nii.gz"
    shorter.write_bytes(gzip.compress(path.read_bytes()[:-4]))
    with pytest.raises(DataError, match="expected a complete image of 928 bytes, found 924 bytes"):
        read_image(shorter)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.nii\.gz: expected an image, found no such file"):
        read_image(tmp_path / "nothing.nii.gz")


def test_name_that_is_no_text(tmp_path, write_image, texture):
    path = tmp_path / os.fsdecode(b"h\xe4rt.nii.gz")  # Latin-1, as old archives unpack
    path.write_bytes(write_image(tmp_path / "heart.nii.gz", texture).read_bytes())
    for read in (read_image, read_spacing):
        with pytest.raises(DataError, match=r"expected a name in UTF-8, found 'h\\udce4rt\.nii\.gz'"):
            read(path)


def test_name_that_is_too_long(tmp_path):
    with pytest.raises(DataError, match=r"x\.nii: expected an image, found File name too long"):
        read_image(tmp_path / f"{'x' * 300}.nii")


def test_no_voxels(tmp_path, write_image, texture):
    path = write_image(tmp_path / "image.mhd", texture)
    path.write_text(path.read_text().replace("DimSize = 6 8 3", "DimSize = 0 8 3"))
    with pytest.raises(DataError, match=r"image\.mhd: expected"):
        read_image(path)


def test_missing_voxels_of_a_header(tmp_path, write_image, texture, capfd):
    path = write_image(tmp_path / "image.mhd", texture)
    (tmp_path / "image.zraw").unlink()
    with pytest.raises(DataError, match=r"image\.mhd: expected a complete image"):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["text.nii.gz", "text.mhd", "text.txt"])
def test_foreign_file(tmp_path, name, capfd):
    (tmp_path / name).write_text("no image")
    with pytest.raises(DataError, match=rf"{name}: expected a complete image .* Unable to determine"):
        read_image(tmp_path / name)
    assert capfd.readouterr().err == ""


def test_not_3d(tmp_path, write_image, texture):
    path = write_image(tmp_path / "flat.nii.gz", texture[0])
    with pytest.raises(DataError, match=r"flat\.nii\.gz: expected a 3-D image, found 2 dimensions"):
        read_image(path)


def test_sequence_is_not_3d(tmp_path, texture):
    image = SimpleITK.GetImageFromArray(texture)
    SimpleITK.WriteImage(SimpleITK.JoinSeries([image, image]), str(tmp_path / "cine.nii.gz"))
    with pytest.raises(DataError, match="found 4 dimensions"):
        read_image(tmp_path / "cine.nii.gz")


def test_several_values_a_voxel(tmp_path, texture):
    image = SimpleITK.GetImageFromArray(np.stack([texture] * 3, -1), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "colour.nii.gz"))
    with pytest.raises(DataError, match="expected one value a voxel, found 3 values"):
        read_image(tmp_path / "colour.nii.gz")


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "mhd", "hdr", "img", "img.gz"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_values_that_are_not_finite(tmp_path, write_image, texture, ending, value, kind):
    texture[1, 2, 3] = value
    path = write_image(tmp_path / f"image.{ending}", texture.astype(kind))
    with pytest.raises(DataError, match=rf"image\.{ending}: expected finite voxels"):
        read_image(path)


@pytest.mark.parametrize("value", [1e300, -1e300, 1e20])
def test_values_too_large_for_single_precision(tmp_path, write_image, texture, value):
    voxels = texture.astype(np.float64)
    voxels[1, 2, 3] = value
    path = write_image(tmp_path / "image.nii.gz", voxels)
    with pytest.raises(DataError, match=r"image\.nii\.gz: expected intensities up to 1e\+15, found -?1e\+"):
        read_image(path)


@pytest.mark.parametrize(("scale", "shift"), [(1e-300, 0), (1, 1e12)])
def test_values_that_vary_too_little_for_single_precision(tmp_path, write_image, texture, scale, shift):
    path = write_image(tmp_path / "image.nii", texture.astype(np.float64) * scale + shift)
    with pytest.raises(DataError, match=r"image\.nii: expected intensities that vary"):
        read_image(path)


PIXEL_SIZE = slice(80, 84)
"""Where the first pixel size of a NIfTI-1 header is."""


@pytest.mark.parametrize("ending", ["nii", "hdr"])
@pytest.mark.parametrize("size", [0, -1.5, np.nan, np.inf, 1e30, 1e-30])
def test_absurd_spacing(tmp_path, write_image, texture, ending, size):
    path = write_image(tmp_path / f"image.{ending}", texture)
    stored = bytearray(path.read_bytes())
    stored[PIXEL_SIZE] = np.float32(size).tobytes()
    path.write_bytes(stored)
    with pytest.raises(DataError, match=rf"image\.{ending}: expected spacings from 1e-06 to 1e\+06 mm"):
        read_image(path)


@pytest.mark.parametrize("size", ["0", "-1.5", "nan", "1e30"])
def test_absurd_spacing_of_a_metaimage(tmp_path, write_image, texture, size):
    path = write_image(tmp_path / "image.mhd", texture)
    path.write_text(path.read_text().replace("ElementSpacing = 1.5", f"ElementSpacing = {size}"))
    for read in (read_image, read_spacing):
        with pytest.raises(DataError, match=r"image\.mhd: expected spacings from 1e-06 to 1e\+06 mm, found"):
            read(path)


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "hdr", "img"])
def test_capitals_in_the_ending(tmp_path, write_image, texture, ending):
    texture[0, 0, 0] = np.nan
    for value in (np.nan, 1):
        texture[0, 0, 0] = value
        write_image(tmp_path / f"image.{ending}", texture)
        for path in [*tmp_path.glob("image.*")]:
            path.rename(tmp_path / path.name.replace("image", "IMAGE").upper())
        path = tmp_path / f"IMAGE.{ending.upper()}"
        if np.isnan(value):
            with pytest.raises(DataError, match=r"IMAGE\..*: expected finite voxels"):
                read_image(path)
        else:
            np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(read_image(path)), texture)


def test_the_voxels_of_a_pair_are_missing(tmp_path, write_image, texture):
    path = write_image(tmp_path / "image.hdr", texture)
    path.with_suffix(".img").unlink()
    with pytest.raises(DataError, match=r"image\.img: expected the other half of an image"):
        read_image(path)


def test_complex_numbers(tmp_path, texture):
    image = SimpleITK.GetImageFromArray(texture + 1j * texture)
    SimpleITK.WriteImage(image, str(tmp_path / "image.nii.gz"))
    with pytest.raises(DataError, match=r"image\.nii\.gz: expected real voxels, found complex"):
        read_image(tmp_path / "image.nii.gz")


def test_nifti_in_the_other_byte_order(tmp_path, texture):
    header = np.zeros(352, np.uint8)
    header[:4] = np.frombuffer(np.array(348, ">i4").tobytes(), np.uint8)
    header[40:56] = np.frombuffer(np.array([3, 6, 8, 3, 1, 1, 1, 1], ">i2").tobytes(), np.uint8)
    header[70:74] = np.frombuffer(np.array([16, 32], ">i2").tobytes(), np.uint8)
    header[76:112] = np.frombuffer(np.array([1, 1, 1, 1, 0, 0, 0, 0, 352], ">f4").tobytes(), np.uint8)
    header[344:348] = np.frombuffer(b"n+1\0", np.uint8)
    path = tmp_path / "image.nii"
    path.write_bytes(header.tobytes() + texture.astype(">f4").tobytes())
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(read_image(path)), texture)


def test_constant_image(tmp_path, write_image):
    path = write_image(tmp_path / "image.nii.gz", np.full((3, 4, 5), 7, np.int16))
    with pytest.raises(DataError, match="expected intensities that vary, found the constant 7"):
        read_image(path)
    assert read_voxels(path).GetSize() == (5, 4, 3)


def write_series(folder: Path, voxels: np.ndarray, uid: str, distance: float = 5) -> None:
    folder.mkdir(exist_ok=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index, plane in enumerate(voxels):
        image = SimpleITK.GetImageFromArray(plane[None])
        image.SetSpacing((1.5, 2.0, 5.0))
        image.SetMetaData("0008|0060", "MR")
        image.SetMetaData("0020|000e", uid)
        image.SetMetaData("0020|0032", f"0\\0\\{distance * index}")
        image.SetMetaData("0020|0037", "1\\0\\0\\0\\1\\0")
        # File names run against the slices: positions must decide.
        writer.SetFileName(str(folder / f"{uid}_{len(voxels) - index}.dcm"))
        writer.Execute(image)


def test_dicom_series(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 1000, (4, 8, 6)).astype(np.int16)
    write_series(tmp_path / "series", voxels, "1.2.3")
    image = read_image(tmp_path / "series")
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), voxels)
    assert image.GetSpacing() == pytest.approx((1.5, 2.0, 5.0))


def test_dicom_series_with_a_slice_missing(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 1000, (4, 8, 6)).astype(np.int16)
    write_series(tmp_path / "series", voxels, "1.2.3")
    (tmp_path / "series" / "1.2.3_3.dcm").unlink()
    with pytest.raises(
        DataError, match=r"expected a series of slices at equal distances, found .* 5 to 10 mm"
    ):
        read_image(tmp_path / "series")


@pytest.mark.parametrize(
    ("distance", "message"),
    [
        (0, "series: expected a series of slices at equal distances, found .* 0 to 0"),  # a cine
        (1e30, "series: expected spacings from 1e-06"),
    ],
)
def test_dicom_slices_at_an_absurd_distance(tmp_path, distance, message):
    voxels = np.random.default_rng(0).integers(0, 1000, (4, 8, 6)).astype(np.int16)
    write_series(tmp_path / "series", voxels, "1.2.3", distance=distance)
    with pytest.raises(DataError, match=message):
        read_image(tmp_path / "series")


def test_other_files_beside_a_dicom_series(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 1000, (3, 8, 6)).astype(np.int16)
    write_series(tmp_path / "series é [1]", voxels, "1.2.3")
    (tmp_path / "series é [1]" / "Thumbs.db").write_bytes(b"no image")
    (tmp_path / "series é [1]" / "._1.2.3_1.dcm").write_bytes(b"of a Mac")
    assert read_image(tmp_path / "series é [1]").GetSize() == (6, 8, 3)


def test_a_dicom_slice_whose_name_is_no_text(tmp_path):
    write_series(tmp_path / "series", np.arange(96, dtype=np.int16).reshape(2, 8, 6), "1.2.3")
    path = tmp_path / "series" / "1.2.3_1.dcm"
    path.rename(path.with_name(os.fsdecode(b"B\xe4uml.dcm")))
    with pytest.raises(DataError, match="expected a name in UTF-8, found 'B"):
        read_image(tmp_path / "series")


@pytest.mark.parametrize("kept", [0, 0.9])
@pytest.mark.parametrize("ending", ["", ".dcm"])
def test_a_dicom_slice_cut_short(tmp_path, kept, ending, capfd):
    voxels = np.random.default_rng(0).integers(0, 1000, (3, 8, 6)).astype(np.int16)
    write_series(tmp_path / "series", voxels, "1.2.3")
    for number in (1, 2, 3):
        path = tmp_path / "series" / f"1.2.3_{number}.dcm"
        path = path.rename(path.with_name(f"{number}{ending}"))
    stored = path.read_bytes()
    path.write_bytes(stored[: int(kept * len(stored))] or stored[:140])
    with pytest.raises(DataError, match=rf"{path.name}: expected a complete DICOM slice, found one that"):
        read_image(tmp_path / "series")
    assert capfd.readouterr().err == ""


def test_dicom_slices_of_other_sizes(tmp_path):
    random = np.random.default_rng(0)
    write_series(tmp_path / "series", random.integers(0, 1000, (2, 8, 6)).astype(np.int16), "1.2.3")
    write_series(tmp_path / "other", random.integers(0, 1000, (4, 9, 6)).astype(np.int16), "1.2.3")
    (tmp_path / "other" / "1.2.3_1.dcm").rename(tmp_path / "series" / "1.2.3_4.dcm")
    (tmp_path / "other" / "1.2.3_2.dcm").rename(tmp_path / "series" / "1.2.3_3.dcm")
    with pytest.raises(DataError, match="series: expected"):
        read_image(tmp_path / "series")


def test_several_dicom_series(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 1000, (2, 8, 6)).astype(np.int16)
    write_series(tmp_path / "series", voxels, "1.2.3")
    write_series(tmp_path / "series", voxels, "1.2.4")
    with pytest.raises(DataError, match="series: expected a folder with one DICOM series, found 2 series"):
        read_image(tmp_path / "series")


def test_folder_without_dicom(tmp_path, capfd):
    with pytest.raises(DataError, match="expected a folder with one DICOM series, found 0 series"):
        read_image(tmp_path)
    assert capfd.readouterr().err == ""


def test_standard_error_survives_threads(tmp_path, write_image, texture, capfd):
    paths = [write_image(tmp_path / f"{index}.nii.gz", texture) for index in range(24)]
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(read_image, paths))
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"
    assert all(image.GetSize() == (6, 8, 3) for image in images)
