from __future__ import annotations

import numpy as np
import pytest

from shapewise.data import promise12
from shapewise.data.cases import Case
from shapewise.data.layouts import find_cases
from shapewise.errors import DataError


def test_cases(tmp_path, write_image, texture):
    image = write_image(tmp_path / "Case00.mhd", texture)
    mask = write_image(tmp_path / "Case00_segmentation.mhd", np.zeros(texture.shape, np.int8))
    alone = write_image(tmp_path / "Case01.mhd", texture)
    assert promise12.find(tmp_path) == [
        Case("Case00", "Case00", 0, image, mask),
        Case("Case01", "Case01", 0, alone, None),
    ]


def test_one_folder_a_part(tmp_path, write_image, texture):
    write_image(tmp_path / "part2" / "Case01.mhd", texture)
    write_image(tmp_path / "part1" / "Case02.mhd", texture)
    assert [case.name for case in find_cases(tmp_path).cases] == ["Case01", "Case02"]


def test_a_name_in_two_folders(tmp_path, write_image, texture):
    write_image(tmp_path / "part1" / "Case00.mhd", texture)
    write_image(tmp_path / "part2" / "Case00.mhd", texture)
    with pytest.raises(
        DataError, match=r"Case00\.mhd: expected each case once, found another one at .*Case00\.mhd"
    ):
        promise12.find(tmp_path)


@pytest.mark.parametrize(("spacing", "known"), [((1.0, 1.0, 1.0), False), ((3.6, 0.6, 0.6), True)])
def test_spacing_of_one_everywhere_is_a_placeholder(tmp_path, write_image, texture, spacing, known):
    write_image(tmp_path / "Case00.mhd", texture, spacing)
    assert find_cases(tmp_path).cases[0].spacing_known is known


def test_finding_and_reading_images_opens_no_mask(tmp_path, write_image, texture):
    write_image(tmp_path / "Case00.mhd", texture)
    (tmp_path / "Case00_segmentation.mhd").write_text("not a mask")
    (case,) = promise12.find(tmp_path)
    assert case.mask is not None
    np.testing.assert_array_equal(case.read_image().image, texture)


def test_broken_header(tmp_path):
    (tmp_path / "Case00.mhd").write_text("no header")
    with pytest.raises(DataError, match=r"Case00\.mhd: expected a complete image"):
        find_cases(tmp_path)


def test_real_cases(real_promise12):
    study = find_cases(real_promise12)
    assert (study.layout, study.classes, len(study.cases)) == ("promise12", ("prostate",), 40)
    assert not study.spacing_known
    volume = study.cases[0].read_image()
    assert volume.image.shape == (32, 128, 128)
    assert study.cases[0].read_mask(study.classes, volume).max() == 1
