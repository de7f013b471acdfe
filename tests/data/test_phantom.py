from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from shapewise.data.layouts import find_cases
from shapewise.data.phantom import draw_mask, make_phantom
from shapewise.data.phantom_anatomy import GROUPS, draw_patient
from shapewise.data.phantom_scanner import SCANNERS, draw_examination
from shapewise.errors import ArgumentError, DataError

RV, MYO, LV = 1, 2, 3
COLUMNS = [
    "patient",
    "group",
    "n_frames",
    "ed_frame",
    "es_frame",
    "n_slices",
    "height_cm",
    "weight_kg",
    "spacing_x_mm",
    "spacing_y_mm",
    "spacing_z_mm",
    "lv_edv_ml",
    "lv_esv_ml",
    "lv_ef",
    "rv_edv_ml",
    "rv_esv_ml",
    "rv_ef",
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom") / "A"
    make_phantom(out, patients=5)
    return out


@pytest.fixture(scope="module")
def other_scanner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom") / "B"
    make_phantom(out, patients=2, scanner="B")
    return out


@pytest.fixture(scope="module")
def masks() -> list[tuple[np.ndarray, np.ndarray, float]]:
    """End-diastole, end-systole and millilitres a voxel of 40 patients, without their pictures."""
    drawn = []
    for number in range(40):
        patient = draw_patient(np.random.default_rng([7, number]), GROUPS[number % len(GROUPS)])
        scanner = SCANNERS["AB"[number % 2]]
        examination = draw_examination(np.random.default_rng(number), scanner, patient.slices, None)
        both = (draw_mask(patient, examination, phase) for phase in (patient.heart.ed, patient.heart.es))
        drawn.append((*both, examination.pixel**2 * patient.slice_distance / 1000))
    return drawn


def rows(study: Path) -> list[dict[str, str]]:
    with (study / "reference_biomarkers.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def slices_of(masks) -> list[np.ndarray]:
    return [plane for ed, es, _ in masks for plane in (*ed, *es)]


def test_the_reader_of_acdc_reads_it(study: Path) -> None:
    found = find_cases(study)
    assert found.layout == "acdc"
    assert found.classes == ("RV", "Myo", "LV")
    assert len(found.cases) == 10
    assert {case.phase for case in found.cases} == {"ED", "ES"}
    for case in found.cases:
        volume = case.read_image()
        mask = case.read_mask(found.classes, volume)
        assert set(np.unique(mask)) == {0, RV, MYO, LV}
        assert volume.image.shape[0] in (7, 8, 9)
        assert 144 <= volume.image.shape[1] == volume.image.shape[2] <= 176
        assert 8 <= volume.spacing[0] <= 10
        assert 1.25 <= volume.spacing[1] == volume.spacing[2] <= 1.6


def test_files_are_named_as_in_acdc(study: Path) -> None:
    row = rows(study)[1]
    frame = int(row["es_frame"])
    assert sorted(path.name for path in (study / "training" / "patient002").iterdir()) == [
        "Info.cfg",
        "patient002_frame01.nii.gz",
        "patient002_frame01_gt.nii.gz",
        f"patient002_frame{frame:02d}.nii.gz",
        f"patient002_frame{frame:02d}_gt.nii.gz",
    ]
    info = dict(
        line.split(": ") for line in (study / "training/patient002/Info.cfg").read_text().splitlines()
    )
    assert list(info) == ["ED", "ES", "Group", "Height", "NbFrame", "Weight"]
    assert (info["ED"], info["ES"], info["Group"]) == ("1", str(frame), row["group"])
    assert frame < int(info["NbFrame"])


def test_images_are_magnitudes_in_the_geometry_of_their_masks(study: Path) -> None:
    folder = study / "training" / "patient001"
    image = SimpleITK.ReadImage(str(folder / "patient001_frame01.nii.gz"))
    mask = SimpleITK.ReadImage(str(folder / "patient001_frame01_gt.nii.gz"))
    assert image.GetPixelID() == SimpleITK.sitkInt16
    assert mask.GetPixelID() == SimpleITK.sitkUInt8
    assert SimpleITK.GetArrayViewFromImage(image).min() >= 0
    for geometry in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(image, geometry)() == getattr(mask, geometry)()


def test_biomarkers_are_those_of_the_masks(study: Path) -> None:
    assert list(rows(study)[0]) == COLUMNS
    for row in rows(study):
        volumes = {}
        for phase in ("ed", "es"):
            name = f"{row['patient']}_frame{int(row[f'{phase}_frame']):02d}_gt.nii.gz"
            mask = SimpleITK.ReadImage(str(study / "training" / row["patient"] / name))
            spacing = [float(row[f"spacing_{axis}_mm"]) for axis in "xyz"]
            assert mask.GetSpacing() == pytest.approx(spacing)
            counts = np.bincount(SimpleITK.GetArrayFromImage(mask).ravel())
            volumes[phase] = counts * np.prod(spacing) / 1000
        for name, label in (("lv", LV), ("rv", RV)):
            ed, es = volumes["ed"][label], volumes["es"][label]
            written = [float(row[f"{name}_{quantity}"]) for quantity in ("edv_ml", "esv_ml", "ef")]
            assert written == pytest.approx([ed, es, (ed - es) / ed], abs=1e-3)


def test_volumes_and_mass_are_those_of_people(masks) -> None:
    for ed, es, voxel_ml in masks:
        before, after = (np.bincount(mask.ravel(), minlength=4) * voxel_ml for mask in (ed, es))
        assert 75 < before[LV] < 230
        assert 0.22 < 1 - after[LV] / before[LV] < 0.72
        assert 75 < before[RV] < 230
        assert 0.15 < 1 - after[RV] / before[RV] < 0.65
        assert 60 < 1.05 * before[MYO] < 220
        assert after[MYO] == pytest.approx(before[MYO], rel=0.2)


def test_the_wall_thickens(masks) -> None:
    for ed, es, _ in masks:
        middle = len(ed) // 2
        thickness = []
        for plane in (ed[middle], es[middle]):
            cavity, ring = (plane == LV).sum(), (plane == MYO).sum()
            thickness.append(np.sqrt((cavity + ring) / np.pi) - np.sqrt(cavity / np.pi))
        assert thickness[1] > 1.1 * thickness[0]


def test_classes_are_absent_as_often_as_in_acdc(masks) -> None:
    planes = slices_of(masks)
    absent = [np.mean([not (plane == label).any() for plane in planes]) for label in (RV, MYO, LV)]
    assert 0.12 < absent[0] < 0.22
    assert 0.01 < absent[1] <= absent[2] < 0.09


def test_the_right_ventricle_vanishes_towards_the_apex(masks) -> None:
    for mask, _, _ in masks:
        present = np.flatnonzero((mask == RV).any((1, 2)))
        assert present[0] <= 1
        assert (np.diff(present) == 1).all()
        area = (mask == RV).sum((1, 2))
        assert area[present[-1]] < 0.5 * area.max()


def test_muscle_always_parts_the_cavities(masks) -> None:
    for plane in slices_of(masks):
        around = ndimage.binary_dilation(plane == LV, np.ones((3, 3)))
        assert not (around & ((plane == RV) | (plane == 0))).any()


def test_every_part_is_one_piece(masks) -> None:
    counts = [
        ndimage.label(plane == label, np.ones((3, 3)))[1]
        for plane in slices_of(masks)
        for label in (RV, MYO, LV)
    ]
    assert np.mean(np.array(counts) > 1) < 0.01


def test_hearts_lie_inside_the_image(masks) -> None:
    for plane in slices_of(masks):
        assert not plane[:3].any()
        assert not plane[-3:].any()
        assert not plane[:, :3].any()
        assert not plane[:, -3:].any()


def test_no_threshold_finds_the_left_ventricle(study: Path, other_scanner: Path) -> None:
    for root in (study, other_scanner):
        found = find_cases(root)
        best = []
        for case in found.cases:
            volume = case.read_image()
            truth = case.read_mask(found.classes, volume) == LV
            levels = np.percentile(volume.image, np.linspace(50, 99.8, 60))
            dice = [
                2 * (truth & (volume.image > t)).sum() / (truth.sum() + (volume.image > t).sum())
                for t in levels
            ]
            best.append(max(dice))
        assert np.mean(best) < 0.45
        assert max(best) < 0.6


def test_contrast_is_there_but_noisy(study: Path, other_scanner: Path) -> None:
    contrast = {}
    for name, root in (("A", study), ("B", other_scanner)):
        found = find_cases(root)
        ratios = []
        for case in found.cases[:4]:
            volume = case.read_image()
            mask = case.read_mask(found.classes, volume)
            blood, muscle = (np.median(volume.image[mask == label]) for label in (LV, MYO))
            ratios.append((blood - muscle) / volume.image[:, :8, :8].std())
            assert blood > 1.4 * muscle
        contrast[name] = np.median(ratios)
    assert contrast["A"] > 2 * contrast["B"] > 8


def test_a_patient_depends_on_its_number_and_the_seed_alone(study: Path, tmp_path: Path) -> None:
    make_phantom(tmp_path / "same", patients=2)
    make_phantom(tmp_path / "other", patients=1, seed=1)
    same, large, other = (files(root / "training") for root in (tmp_path / "same", study, tmp_path / "other"))
    assert all(content == large[name] for name, content in same.items())
    assert not set(other.values()) & set(large.values())


def test_the_same_hearts_lie_in_both_scanners(study: Path, other_scanner: Path) -> None:
    hearts, same = rows(study), rows(other_scanner)
    assert len(same) == 2  # of five patients
    for one, other in zip(hearts[:2], same, strict=True):
        assert [one[key] for key in COLUMNS[:8]] == [other[key] for key in COLUMNS[:8]]
        assert one["spacing_x_mm"] != other["spacing_x_mm"]
        for key in ("lv_edv_ml", "rv_esv_ml"):
            assert float(one[key]) == pytest.approx(float(other[key]), rel=0.03)


def test_size_may_be_chosen(tmp_path: Path) -> None:
    make_phantom(tmp_path, patients=1, size=(130, 150))
    assert find_cases(tmp_path).cases[0].read_image().image.shape[1:] == (130, 150)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"patients": 0}, "`patients`.*at least 1.*0"),
        ({"scanner": "C"}, "`scanner`.*one of A, B.*'C'"),
        ({"seed": -1}, "`seed`.*non-negative"),
        ({"size": (64, 160)}, "`size`.*at least 128"),
        ({"size": (160,)}, "`size`.*two numbers"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path: Path, arguments, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        make_phantom(tmp_path / "out", **arguments)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    real = tmp_path / "training" / "patient001" / "Info.cfg"
    real.parent.mkdir(parents=True)
    real.write_text("ED: 1\n")
    with pytest.raises(ArgumentError, match=r"`out`.*an empty folder.*which holds other files"):
        make_phantom(tmp_path, patients=1)
    assert files(tmp_path) == {"training/patient001/Info.cfg": b"ED: 1\n"}


def test_the_same_phantom_asked_for_again_is_left_as_it_is(tmp_path: Path) -> None:
    make_phantom(tmp_path, patients=1, seed=2, size=(128, 130))
    (tmp_path / "notes.txt").write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    make_phantom(tmp_path, patients=1, seed=2, size=(128, 130))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    made = json.loads((tmp_path / "phantom.json").read_text())
    assert made == {"patients": 1, "scanner": "A", "seed": 2, "size": [128, 130]}


@pytest.mark.parametrize(
    "other",
    [{"patients": 2}, {"scanner": "B"}, {"seed": 3}, {"size": (128, 128)}],
    ids=lambda other: next(iter(other)),
)
def test_another_phantom_is_never_replaced(tmp_path: Path, other: dict[str, object]) -> None:
    make_phantom(tmp_path, patients=1, seed=2)
    before = files(tmp_path)
    with pytest.raises(ArgumentError, match=r"`out`.*an empty folder.*patients 1, scanner A, seed 2$"):
        make_phantom(tmp_path, **{"patients": 1, "seed": 2, **other})
    assert files(tmp_path) == before


@pytest.mark.parametrize("mark", ["{", "[]", "\xff"])
def test_a_mark_that_says_nothing_is_no_phantom(tmp_path: Path, mark: str) -> None:
    (tmp_path / "phantom.json").write_bytes(mark.encode("latin-1"))
    with pytest.raises(ArgumentError, match=r"`out`.*an empty folder.*which holds other files"):
        make_phantom(tmp_path, patients=1)
    assert list(files(tmp_path)) == ["phantom.json"]


def test_a_phantom_with_a_patient_gone_is_not_taken_for_whole(tmp_path: Path) -> None:
    make_phantom(tmp_path, patients=2)
    shutil.rmtree(tmp_path / "training" / "patient002")
    with pytest.raises(ArgumentError, match=r"`out`.*without training/patient002"):
        make_phantom(tmp_path, patients=2)


@pytest.mark.parametrize("size", [0, 5000])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, full_disk, size: int) -> None:
    with full_disk(size), pytest.raises(DataError, match=rf"^{tmp_path}/out: expected a folder that can be"):
        make_phantom(tmp_path / "out", patients=1)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match=r"`out`.*a folder.*the file"):
        make_phantom(tmp_path / "file", patients=1)
    with pytest.raises(DataError, match="a folder that can be written"):
        make_phantom(tmp_path / "file" / "out", patients=1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
