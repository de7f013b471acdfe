from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from shapewise.data.degrade import perturb, presence_only, thin
from shapewise.data.table import KEY, read_table, write_table
from shapewise.descriptors import exponents, registry
from shapewise.errors import ArgumentError, TableError

DESCRIPTORS = ("volume", "centroid", "spread", "covariance", "third_moments", "fourth_moments", "length")
NAN = float("nan")


def about(label: str, index: int | None, **values: list[float]) -> list[dict[str, object]]:
    where = {"case": "anna", "frame": 1, "slice": index, "class": label, "unit": "px", "source": "mask"}
    return [
        {**where, "descriptor": name, "component": component, "value": value, "lower": NAN, "upper": NAN}
        for name, numbers in values.items()
        for component, value in enumerate(numbers)
    ]


def frame(*parts: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame([row for part in parts for row in part]).astype({"slice": "Int64"})


def numbers(label: str = "LV", index: int | None = 0, seed: int = 0) -> list[dict[str, object]]:
    ndim = 3 if index is None else 2
    probs = torch.rand(1, 1, *[7] * ndim, generator=torch.Generator().manual_seed(seed)).double() ** 4
    described = {name: registry.get(name).function(probs)[0, 0].tolist() for name in DESCRIPTORS}
    return about(label, index, **described)


def value(table: pd.DataFrame, descriptor: str, component: int = 0) -> float:
    found = table[(table["descriptor"] == descriptor) & (table["component"] == component)]["value"]
    return float(found.item())


def many(count: int) -> pd.DataFrame:
    """As many objects, all alike, on slices of their own."""
    one = about("LV", 0, volume=[100.0], centroid=[50.0, 60.0], spread=[5.0, 8.0], covariance=[25, 12, 64])
    return frame(*[[{**row, "slice": index} for row in one] for index in range(count)])


def test_amounts_are_off_by_the_error_and_centroids_by_two_errors_of_a_spread() -> None:
    found = perturb(many(4000), 0.1, seed=3).groupby(["descriptor", "component"])["value"]
    mean, deviation = found.mean(), found.std()
    for key, expected, off in [
        (("volume", 0), 100.0, 10.0),
        (("spread", 0), 5.0, 0.5),
        (("spread", 1), 8.0, 0.8),
        (("centroid", 0), 50.0, 1.0),
        (("centroid", 1), 60.0, 1.6),
    ]:
        assert mean[key] == pytest.approx(expected, abs=0.06 * off)
        assert deviation[key] == pytest.approx(off, rel=0.04)


def test_the_draws_of_different_numbers_are_independent() -> None:
    found = perturb(many(4000), 0.1, seed=3)
    wide = found.pivot(index="slice", columns=["descriptor", "component"], values="value")
    correlation = np.corrcoef(wide[["volume", "centroid", "spread"]].to_numpy().T)
    assert np.abs(correlation - np.eye(5)).max() < 0.06


@pytest.mark.parametrize("index", [4, None])
def test_moments_stay_those_of_one_stretched_object(index: int | None) -> None:
    """Correlations and the shape's standardised moments stay; the covariance's diagonal is the spread's."""
    before = frame(numbers(index=index))
    after = perturb(before, 0.3, seed=1)
    ndim = 3 if index is None else 2
    factors = [value(after, "spread", axis) / value(before, "spread", axis) for axis in range(ndim)]
    assert max(abs(factor - 1) for factor in factors) > 0.05
    for name in ("covariance", "third_moments", "fourth_moments"):
        for component, powers in enumerate(exponents(registry.get(name).unit_power(ndim), ndim)):
            expected = value(before, name, component) * np.prod(np.power(factors, powers))
            assert value(after, name, component) == pytest.approx(expected)


def test_the_covariance_stays_positive_definite_and_amounts_positive_whatever_the_error() -> None:
    found = perturb(many(300), 5.0, seed=0)
    wide = found.pivot(index="slice", columns=["descriptor", "component"], values="value").to_numpy()
    volume, spread, covariance = wide[:, 0], wide[:, 3:5], wide[:, 5:]
    assert (volume > 0).all()
    assert (spread > 0).all()
    assert (covariance[:, 0] * covariance[:, 2] > covariance[:, 1] ** 2).all()


def test_the_order_of_the_rows_and_their_company_do_not_matter() -> None:
    table = frame(numbers("LV", 0), numbers("LV", 1, 1), numbers("RV", 0, 2), numbers("RV", None, 3))
    expected = perturb(table, 0.2, seed=5)
    shuffled = perturb(table.sample(frac=1, random_state=0), 0.2, seed=5)
    pd.testing.assert_frame_equal(shuffled.sort_index(), expected)
    fewer = table[table["class"] == "RV"]
    pd.testing.assert_frame_equal(perturb(fewer, 0.2, seed=5), expected.loc[fewer.index])


def test_seeds_differ_and_no_error_changes_nothing() -> None:
    table = frame(numbers())
    one, other = (perturb(table, 0.1, seed=seed)["value"] for seed in (0, 1))
    assert not np.isclose(one, other).any()
    pd.testing.assert_frame_equal(perturb(table, 0.0, seed=0), table)


def test_a_draw_is_the_same_for_ever() -> None:
    """A table that somebody perturbed last year can be made again."""
    table = frame(about("LV", 4, volume=[100.0]))
    assert value(perturb(table, 0.1, seed=0), "volume") == pytest.approx(83.27001342392771, abs=1e-9)


def test_absent_classes_and_empty_cells_stay() -> None:
    gone = about("RV", 0, volume=[0.0], centroid=[NAN, NAN])
    gone[0]["upper"] = 3.0
    unknown = about("LV", 0, volume=[50.0], centroid=[NAN, NAN], spread=[4.0, NAN])
    table = frame(gone, unknown)
    found = perturb(table, 0.1, seed=0)
    pd.testing.assert_frame_equal(found[:3], table[:3])
    assert found["value"].isna().tolist() == table["value"].isna().tolist()


def test_bounds_move_with_their_value() -> None:
    rows = about("LV", 0, volume=[100.0], centroid=[50.0, 60.0], spread=[5.0, 8.0])
    rows[0] |= {"lower": 80.0, "upper": 150.0}
    rows[1] |= {"lower": 49.0, "upper": float("inf")}
    found = perturb(frame(rows), 0.1, seed=0)
    volume, centroid = found.iloc[0], found.iloc[1]
    assert volume["lower"] / volume["value"] == pytest.approx(0.8)
    assert volume["upper"] / volume["value"] == pytest.approx(1.5)
    assert centroid["value"] - centroid["lower"] == pytest.approx(1)
    assert centroid["upper"] == float("inf")


def test_a_centroid_needs_a_spread() -> None:
    lonely = frame(about("LV", 7, volume=[100.0], centroid=[50.0, 60.0]))
    with pytest.raises(TableError, match=r"case anna frame 1 slice 7.*spread of LV in px beside"):
        perturb(lonely, 0.1, seed=0)


@pytest.mark.parametrize("error", [-0.1, NAN, float("inf")])
def test_a_bad_error_is_refused(error: float) -> None:
    with pytest.raises(ArgumentError, match="`error`"):
        perturb(many(1), error, seed=0)


def test_every_second_slice_of_every_case_and_whole_volumes() -> None:
    table = frame(*[about("LV", index, volume=[1.0, 2.0]) for index in (2, 3, 4, 7, None)])
    other = table.assign(case="bert", slice=table["slice"] + 1)
    both = pd.concat([table, other])
    found = thin(both, 2)
    kept = found.groupby("case")["slice"].unique().map(lambda values: [v for v in values if v is not pd.NA])
    assert kept["anna"] == [2, 4]
    assert kept["bert"] == [3, 5]
    assert found["slice"].isna().sum() == 4
    pd.testing.assert_frame_equal(thin(table, 1), table)
    with pytest.raises(ArgumentError, match="`every`"):
        thin(table, 0)


def test_presence_is_a_volume_of_at_least_a_pixel(tmp_path) -> None:
    there, gone = numbers("LV", 3), about("RV", 3, volume=[0.0], centroid=[NAN, NAN])
    unknown = about("Myo", 3, volume=[NAN], centroid=[NAN, NAN])
    found = presence_only(frame(gone, there, unknown, numbers("LV", None)))
    assert not found.duplicated(KEY).any()
    assert found[["slice", "class", "descriptor", "component"]].values.tolist() == [
        [3, "LV", "volume", 0],
        [3, "RV", "volume", 0],
        [pd.NA, "LV", "volume", 0],
    ]
    assert found["value"].fillna(-1).tolist() == [-1, 0, -1]
    assert found["lower"].fillna(-1).tolist() == [1, -1, 1]
    assert found["upper"].isna().all()
    write_table(found, tmp_path / "presence.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "presence.csv"), found)
    pd.testing.assert_frame_equal(presence_only(found), found)
