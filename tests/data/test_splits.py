from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapewise.data.splits import SPLITS, read_chosen_split, split_patients
from shapewise.errors import ArgumentError, DataError

names = st.lists(st.text(min_size=1, max_size=5), min_size=3, max_size=40, unique=True)
shares = st.tuples(*[st.integers(1, 40)] * 3)


def sizes(split):
    return [len(split[name]) for name in SPLITS]


@settings(max_examples=50, deadline=None)
@given(patients=names, counts=shares, seed=st.integers(0, 9))
def test_no_patient_is_in_two_splits_and_none_is_empty(patients, counts, seed):
    split = split_patients(patients, counts=counts, seed=seed)
    shared = [patient for name in SPLITS for patient in split[name]]
    assert tuple(split) == SPLITS
    assert len(shared) == len(set(shared)) == min(len(patients), sum(counts))
    assert set(shared) <= set(patients)
    assert min(sizes(split)) >= 1


@settings(max_examples=50, deadline=None)
@given(patients=names, counts=shares, seed=st.integers(0, 9), order=st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(patients, counts, seed, order):
    shuffled = patients * 2
    order.shuffle(shuffled)
    again = split_patients(shuffled, counts=counts, seed=seed)
    assert again == split_patients(patients, counts=counts, seed=seed)


@settings(max_examples=50, deadline=None)
@given(patients=names, counts=shares)
def test_sizes_are_exact_or_in_proportion(patients, counts):
    found = sizes(split_patients(patients, counts=counts, seed=0))
    whole = sum(counts)
    if len(patients) >= whole:
        assert tuple(found) == counts
    elif min(found) > 1:
        shares = [count * len(patients) / whole for count in counts]
        assert all(abs(size - share) < 1 for size, share in zip(found, shares, strict=True))


@pytest.mark.parametrize(
    ("total", "counts", "expected"),
    [
        (100, (70, 10, 20), [70, 10, 20]),
        (120, (70, 10, 20), [70, 10, 20]),
        (80, (70, 10, 20), [56, 8, 16]),
        (80, (35, 5, 10), [35, 5, 10]),
        (40, (35, 5, 10), [28, 4, 8]),
        (10, (35, 5, 10), [7, 1, 2]),
        (3, (70, 10, 20), [1, 1, 1]),
        (4, (70, 10, 20), [2, 1, 1]),
    ],
)
def test_sizes(total, counts, expected):
    assert sizes(split_patients(map(str, range(total)), counts=counts, seed=1)) == expected


def test_a_fixed_answer():
    # Another answer here would share out the patients of every existing experiment anew.
    split = split_patients([f"patient{index:03d}" for index in range(1, 9)], counts=(5, 1, 2), seed=0)
    assert split == {
        "train": ["patient001", "patient003", "patient004", "patient005", "patient008"],
        "validation": ["patient007"],
        "test": ["patient002", "patient006"],
    }


def test_seeds_differ():
    patients = [str(index) for index in range(30)]
    splits = [split_patients(patients, counts=(20, 4, 6), seed=seed)["test"] for seed in range(5)]
    assert len({tuple(split) for split in splits}) == 5


def test_every_patient_gets_everywhere():
    patients = [str(index) for index in range(10)]
    tested = [
        name for seed in range(400) for name in split_patients(patients, counts=(7, 1, 2), seed=seed)["test"]
    ]
    assert all(
        50 < tested.count(patient) < 110 for patient in patients
    )  # 80 expected, 8 a standard deviation


@pytest.mark.parametrize("patients", [[], ["a"], ["a", "b"], ["a", "b", "a"]])
def test_too_few_patients(patients):
    with pytest.raises(
        DataError, match="split: expected at least 3 patients, one each for train, validation, test"
    ):
        split_patients(patients, seed=0)


@pytest.mark.parametrize("counts", [(7, 2), (7, 0, 2), (7, -1, 2)])
def test_bad_counts(counts):
    with pytest.raises(ArgumentError, match="`counts` to be three positive whole numbers"):
        split_patients(["a", "b", "c"], counts=counts, seed=0)


WHOLE = "patient,split\nb,train\na,train\nNA,validation\nc,test\n"


def test_a_split_may_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text(WHOLE)
    found = read_chosen_split(path, ["a", "b", "c", "d", "NA"])
    assert found == {"train": ["a", "b"], "validation": ["NA"], "test": ["c"]}


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (None, "a table of patients and splits"),
        ("", "a table of patients and splits"),
        ("name,split\na,train\n", r"columns patient and split, found \['name', 'split'\]"),
        (WHOLE + "a,test\n", "every patient once, found a twice"),
        (WHOLE + "d,val\n", "splits among train, validation, test, found 'val' of d"),
        (WHOLE + "e,test\n", "patients of the data folder, found 'e'"),
        (WHOLE.replace("validation", "test"), "a patient of the split validation, found none"),
    ],
)
def test_a_split_that_cannot_be_is_named(tmp_path: Path, content: str | None, hint: str) -> None:
    path = tmp_path / "split.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=rf"split\.csv: expected {hint}"):
        read_chosen_split(path, ["a", "b", "c", "d", "NA"])
