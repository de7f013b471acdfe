from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from shapewise.constraints import Bounds
from shapewise.data.describe import describe_labels
from shapewise.data.frames import Frame, resample_mask, rescale_values
from shapewise.data.table import COLUMNS as TABLE
from shapewise.errors import TableError
from shapewise.evaluation.values import (
    COLUMNS,
    Margins,
    annotation_from_labels,
    annotation_from_table,
    compare_values,
)
from shapewise.losses import ShapeConstraintLoss

CLASSES = ("RV", "LV")
SHAPE = (2, 24, 20)
IDENTITY = Frame((1.0, 1.0), (0.0, 0.0), SHAPE[1:])
DESCRIPTORS = ("volume", "centroid", "spread", "covariance", "length")


def two_objects(shift: int = 0) -> np.ndarray:
    """An RV of 3 x 4 on both slices, an LV of 6 x 6 on the second only."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 2:5, 3 + shift : 7 + shift] = 1
    labels[1, 10:16, 8 + shift : 14 + shift] = 2
    return labels


def compare(predicted: np.ndarray, annotated: np.ndarray, **options: object) -> pd.DataFrame:
    names = options.pop("descriptors", ("volume", "centroid"))
    annotation = annotation_from_labels(annotated, CLASSES, names)
    arguments = {"key": ("p1", 1), "frame": IDENTITY, "classes": CLASSES, "descriptors": names} | options
    rows = compare_values(predicted, annotation, **arguments)
    return rows.set_index(["slice", "class", "descriptor", "component"], drop=False).sort_index()


def table(
    annotated: np.ndarray, descriptors: tuple[str, ...] = DESCRIPTORS, unit: str = "px"
) -> pd.DataFrame:
    rows = [
        ("p1", 1, index, CLASSES[k], name, c, value, np.nan, np.nan, unit, "mask")
        for name, values in describe_labels(annotated, 2, descriptors).items()
        for (index, k, c), value in np.ndenumerate(values)
    ]
    return pd.DataFrame(rows, columns=list(TABLE)).astype({"slice": "Int64"})


def look_up(frame: pd.DataFrame, **options: object) -> object:
    arguments = {"key": ("p1", 1), "shape": SHAPE, "spacing": None, "classes": CLASSES} | options
    return annotation_from_table(frame, **({"descriptors": DESCRIPTORS} | arguments))


def test_by_hand() -> None:
    rows = compare(two_objects(shift=1), two_objects())
    assert list(rows.columns) == list(COLUMNS)
    assert len(rows) == 2 * 2 * 3
    volume = rows.loc[(1, "LV", "volume", 0)]
    assert volume[["predicted", "annotated"]].tolist() == [36, 36]
    assert volume[["lower", "upper"]].tolist() == pytest.approx([32.4, 39.6])
    column = rows.loc[(1, "LV", "centroid", 1)]
    spread = np.sqrt(35 / 12)  # of six pixels in a row
    assert column[["predicted", "annotated"]].tolist() == [11.5, 10.5]
    assert column[["lower", "upper"]].tolist() == pytest.approx([10.5 - 0.1 * spread, 10.5 + 0.1 * spread])
    assert not column["satisfied"]
    assert rows.loc[(1, "LV", "centroid", 0), "satisfied"]


def test_the_papers_margin_is_a_share_of_the_coordinate() -> None:
    rows = compare(two_objects(shift=1), two_objects(), margins=Margins(0.1, raw=True))
    column = rows.loc[(1, "LV", "centroid", 1)]
    assert column[["lower", "upper"]].tolist() == pytest.approx([9.45, 11.55])
    assert column["satisfied"]


def test_absolute_margins_are_in_prepared_pixels() -> None:
    frame = Frame.resize(SHAPE[1:], (12, 20))  # two native rows a prepared one
    rows = compare(two_objects(), two_objects(), frame=frame, margins=Margins(absolute={"centroid": 3.0}))
    row, column = (rows.loc[(1, "LV", "centroid", axis)] for axis in (0, 1))
    assert row[["lower", "upper"]].tolist() == pytest.approx([12.5 - 6, 12.5 + 6])
    assert column[["lower", "upper"]].tolist() == pytest.approx([10.5 - 3, 10.5 + 3])


def test_an_absent_class_may_be_a_pixel_and_nothing_else_is_asked_of_it() -> None:
    invented = two_objects()
    invented[0, 20, 15:17] = 2
    rows = compare(invented, two_objects())
    volume = rows.loc[(0, "LV", "volume", 0)]
    assert volume[["predicted", "annotated", "upper"]].tolist() == [2, 0, 1]
    assert np.isnan(volume["lower"])
    assert not volume["satisfied"]
    centroid = rows.loc[(0, "LV", "centroid")]
    assert centroid[["annotated", "lower", "upper", "satisfied"]].isna().all(axis=None)
    assert centroid["predicted"].tolist() == [20, 15.5]
    assert compare(two_objects(), two_objects()).loc[(0, "LV", "volume", 0), "satisfied"]


def test_without_a_volume_to_keep_an_absent_class_still_has_one() -> None:
    """As in the loss, which then calls that one constraint `absent_volume`."""
    invented = two_objects()
    invented[0, 20, 15:17] = 2
    rows = compare(invented, two_objects(), descriptors=("centroid", "length"))
    absent = rows[rows["descriptor"] == "absent_volume"]
    assert absent[["slice", "class"]].to_numpy().tolist() == [[0, "LV"]]
    assert absent[["predicted", "annotated", "upper"]].iloc[0].tolist() == [2, 0, 1]
    assert absent["lower"].isna().all()
    names = ("centroid", "length")
    annotation = annotation_from_labels(two_objects(), CLASSES, ("volume", *names))
    report = ShapeConstraintLoss(names, penalty="hinge").report(one_hot(invented), target(annotation.numbers))
    assert absent["satisfied"].astype(float).mean() == report.satisfied["absent_volume"].item() == 0
    assert set(compare(invented, two_objects())["descriptor"]) == {"volume", "centroid"}


def test_relations_alone_list_no_values() -> None:
    assert list(compare(two_objects(), two_objects(), descriptors=()).columns) == list(COLUMNS)


def test_a_missed_object_violates_all_that_is_known_of_it() -> None:
    missed = two_objects()
    missed[missed == 2] = 0
    lv = compare(missed, two_objects(), descriptors=DESCRIPTORS).loc[(1, "LV")]
    assert not lv["satisfied"].any()
    assert lv["satisfied"].notna().all()
    assert lv.loc["volume", "predicted"].tolist() == [0]
    assert lv.loc["centroid", "predicted"].isna().all()


@pytest.mark.parametrize(
    "margins", [Margins(0.1), Margins(0.2, raw=True), Margins(absolute={"centroid": 0.6})]
)
@pytest.mark.parametrize("bounds", ["none", "own"])
def test_satisfied_agrees_with_the_loss(margins: Margins, bounds: str) -> None:
    """On any pair of masks, and for tables that leave values, bounds or both open."""
    generator = np.random.default_rng(0)
    annotated, predicted = two_objects(), two_objects()
    annotated[0, 15, 4] = 2  # one pixel, which has no spread to measure by
    predicted[0, 15, 4] = 2
    predicted[generator.random(SHAPE) < 0.05] = 1
    annotation = annotation_from_labels(annotated, CLASSES, DESCRIPTORS)
    if bounds == "own":
        open_some_sides(annotation.numbers, generator)
    rows = compare_values(
        predicted,
        annotation,
        key=("p1", 1),
        frame=IDENTITY,
        classes=CLASSES,
        descriptors=DESCRIPTORS,
        margins=margins,
    )
    satisfied = loss(margins).report(one_hot(predicted), target(annotation.numbers)).satisfied
    below = (rows["predicted"] >= rows["lower"]).where(rows["lower"].notna())
    above = (rows["predicted"] <= rows["upper"]).where(rows["upper"].notna())
    sides = pd.concat([below, above]).astype(float).groupby(pd.concat([rows["descriptor"]] * 2)).mean()
    assert sides.to_dict() == pytest.approx({name: satisfied[name].item() for name in DESCRIPTORS})


def open_some_sides(numbers: dict[str, np.ndarray], generator: np.random.Generator) -> None:
    """Give half of the numbers a bound or two of their own, on either side of them, and take values away."""
    for values in numbers.values():
        low, high = (values[..., 0] + sign * generator.uniform(-4, 5, values.shape[:-1]) for sign in (-1, 1))
        high = high.clip(min=0)  # no variance is less
        ordered = low <= high
        for side, bound in ((1, low), (2, high)):
            chosen = ordered & (generator.random(ordered.shape) < 0.5)
            values[..., side][chosen] = bound[chosen]
        values[..., 0][generator.random(ordered.shape) < 0.3] = np.nan
        values[0, 0, :, 0] = np.nan  # an object of which nothing but ranges is known


def loss(margins: Margins) -> ShapeConstraintLoss:
    return ShapeConstraintLoss(
        DESCRIPTORS,
        penalty="hinge",
        margin=margins.relative,
        absolute_margins=margins.absolute,
        residual_scale="raw" if margins.raw else "relative",
    )


def one_hot(labels: np.ndarray) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(labels).long(), 3).movedim(-1, 1).double()


def target(numbers: dict[str, np.ndarray]) -> dict[str, Bounds]:
    """Bounds as training makes them of a table's numbers."""
    sides = {name: torch.from_numpy(values).unbind(-1) for name, values in numbers.items()}
    return {name: Bounds(lower, upper, value) for name, (value, lower, upper) in sides.items()}


@pytest.mark.parametrize(
    ("given", "bounds", "satisfied"),
    [
        ((np.nan, 90, 110), (90, 110), False),  # a range without a value, as from a report
        ((np.nan, np.nan, np.nan), (np.nan, np.nan), None),  # unknown, which is not absent
        ((100, np.nan, 80), (80, 80), False),  # the margin never passes a bound of the table's own
        ((0, np.nan, np.nan), (np.nan, 1), False),
        ((36, 30, np.inf), (30, np.nan), True),
    ],
)
def test_what_a_table_leaves_open(given: tuple, bounds: tuple, satisfied: bool | None) -> None:
    """The prediction has 36 px."""
    rows = table(two_objects(), ("volume",))
    chosen = (rows["class"] == "LV") & (rows["slice"] == 1)
    rows.loc[chosen, ["value", "lower", "upper"]] = given
    found = compare_values(
        two_objects(),
        look_up(rows, descriptors=("volume",)),
        key=("p1", 1),
        frame=IDENTITY,
        classes=CLASSES,
        descriptors=("volume",),
    )
    volume = found[(found["class"] == "LV") & (found["slice"] == 1)].iloc[0]
    assert volume[["lower", "upper"]].tolist() == pytest.approx(list(bounds), nan_ok=True)
    assert (None if pd.isna(volume["satisfied"]) else bool(volume["satisfied"])) is satisfied


def test_bounds_are_those_of_the_prepared_slice() -> None:
    """Mapped into the frame, the bounds are what the rule gives there."""
    frame = Frame.resize(SHAPE[1:], (48, 10))
    rows = compare(two_objects(), two_objects(), frame=frame, descriptors=("covariance", "spread"))
    annotation = annotation_from_labels(two_objects(), CLASSES, ("covariance", "spread"))
    spread = rescale_values("spread", annotation.numbers["spread"][1, 1, :, 0], frame)
    for component, (i, j) in enumerate(((0, 0), (0, 1), (1, 1))):
        native = rows.loc[(1, "LV", "covariance", component), ["annotated", "upper"]].astype(float).to_numpy()
        covariance = np.zeros((2, 3))
        covariance[:, component] = native
        annotated, upper = rescale_values("covariance", covariance, frame)[:, component]
        assert upper - annotated == pytest.approx(0.1 * spread[i] * spread[j])


def test_a_table_says_what_its_mask_says() -> None:
    from_table, from_mask = (
        look_up(table(two_objects())),
        annotation_from_labels(two_objects(), CLASSES, DESCRIPTORS),
    )
    for name in DESCRIPTORS:
        np.testing.assert_allclose(from_table.numbers[name], from_mask.numbers[name], rtol=1e-6)


def test_millimetres_come_back_as_pixels() -> None:
    rows = table(two_objects(), ("volume", "centroid"), unit="mm")
    rows.loc[rows["descriptor"] == "volume", "value"] *= 1.5 * 2
    rows.loc[(rows["descriptor"] == "centroid") & (rows["component"] == 0), "value"] *= 1.5
    rows.loc[(rows["descriptor"] == "centroid") & (rows["component"] == 1), "value"] *= 2
    found = look_up(rows, spacing=(1.5, 2.0), descriptors=("volume", "centroid"))
    expected = annotation_from_labels(two_objects(), CLASSES, ("volume", "centroid"))
    for name in ("volume", "centroid"):
        np.testing.assert_allclose(found.numbers[name], expected.numbers[name], rtol=1e-6)


def test_a_tables_own_bounds_win_over_the_margin() -> None:
    rows = table(two_objects())
    chosen = (rows["class"] == "LV") & (rows["descriptor"] == "volume") & (rows["slice"] == 1)
    rows.loc[chosen, "upper"] = 100.0
    found = compare_values(
        two_objects(), look_up(rows), key=("p1", 1), frame=IDENTITY, classes=CLASSES, descriptors=DESCRIPTORS
    )
    volume = found[(found["class"] == "LV") & (found["descriptor"] == "volume") & (found["slice"] == 1)]
    assert volume[["lower", "upper"]].iloc[0].tolist() == pytest.approx([32.4, 100])


def test_slices_that_the_table_leaves_out_are_not_listed() -> None:
    rows = table(two_objects())
    found = compare_values(
        two_objects(),
        look_up(rows[rows["slice"] == 1]),
        key=("p1", 1),
        frame=IDENTITY,
        classes=CLASSES,
        descriptors=DESCRIPTORS,
    )
    assert set(found["slice"]) == {1}


def test_a_scan_that_the_table_lacks_is_unknown() -> None:
    assert look_up(table(two_objects()), key=("p1", 7)) is None


@pytest.mark.parametrize("whole", [False, True])
def test_what_the_table_does_not_say_of_a_scan_is_unknown(whole: bool) -> None:
    objects = two_objects()[None] if whole else two_objects()
    rows = table(objects)
    rows = rows[
        (rows["descriptor"] != "length") & ((rows["class"] != "LV") | (rows["descriptor"] != "spread"))
    ]
    rows = rows.assign(slice=pd.array([pd.NA] * len(rows), "Int64")) if whole else rows
    annotation = look_up(rows, whole=whole)
    found = compare_values(
        two_objects(), annotation, key=("p1", 1), frame=IDENTITY, classes=CLASSES, descriptors=DESCRIPTORS
    )
    unknown = (found["descriptor"] == "length") | (
        (found["class"] == "LV") & (found["descriptor"] == "spread")
    )
    assert found[unknown]["predicted"].notna().any()
    assert found[unknown][["annotated", "satisfied"]].isna().all(axis=None)
    there = found["slice"].isna() | (found["slice"] == 1)
    assert found[~unknown & there]["satisfied"].all()


def test_a_slice_that_the_scan_has_not_is_an_error() -> None:
    rows = table(two_objects())
    with pytest.raises(TableError, match="slices from 0 to 1, found slice 2"):
        look_up(rows.assign(slice=rows["slice"] + 1))


def test_a_mask_in_another_frame_keeps_its_margins() -> None:
    """A prediction that is right on the prepared grid satisfies a wide margin on the native one."""
    frame = Frame.resize(SHAPE[1:], (48, 40))
    back = resample_mask(resample_mask(two_objects(), frame), frame.inverse(SHAPE[1:]))
    assert compare(back, two_objects(), frame=frame)["satisfied"].dropna().all()


def test_whole_volumes_are_compared_as_volumes() -> None:
    """One row a number of the 3-D object, with the bounds that a loss on volumes gives it."""
    annotated, predicted = two_objects(), two_objects(shift=1)
    predicted[:, 20:22, 2:5] = 2
    names = ("volume", "centroid", "covariance")
    annotation = annotation_from_labels(annotated, CLASSES, names, whole=True)
    rows = compare_values(
        predicted, annotation, key=("p1", 1), frame=IDENTITY, classes=CLASSES, descriptors=names
    )
    assert rows["slice"].isna().all()
    assert len(rows) == 2 * (1 + 3 + 6)
    loss = ShapeConstraintLoss(names, penalty="hinge")
    given = {name: values[None, 0] for name, values in annotation.numbers.items()}
    volume = one_hot(predicted).movedim(1, 0)[None]
    satisfied = loss.report(volume, target(given)).satisfied
    below, above = rows["predicted"] >= rows["lower"], rows["predicted"] <= rows["upper"]
    sides = pd.concat([below, above]).astype(float).groupby(pd.concat([rows["descriptor"]] * 2)).mean()
    assert sides.to_dict() == pytest.approx({name: satisfied[name].item() for name in names})
    assert 0 < sides.mean() < 1


def test_a_table_of_whole_volumes_is_looked_up_as_one() -> None:
    rows = table(two_objects()[None]).assign(slice=pd.array([pd.NA] * 2 * (1 + 3 + 3 + 6 + 1), "Int64"))
    found = look_up(rows, whole=True)
    expected = annotation_from_labels(two_objects(), CLASSES, DESCRIPTORS, whole=True)
    for name in DESCRIPTORS:
        np.testing.assert_allclose(found.numbers[name], expected.numbers[name], rtol=1e-6)
    assert look_up(rows) is None


def test_a_frames_volume_leaves_slices_as_they_are() -> None:
    """Numbers of a volume in a prepared grid of half the rows: bounds come back to native pixels."""
    annotation = annotation_from_labels(two_objects(), CLASSES, ("volume", "centroid"), whole=True)
    rows = compare_values(
        two_objects(),
        annotation,
        key=("p1", 1),
        frame=Frame.resize(SHAPE[1:], (12, 20)),
        classes=CLASSES,
        descriptors=("volume", "centroid"),
        margins=Margins(absolute={"centroid": 1.0}),
    )
    centroids = rows[(rows["class"] == "RV") & (rows["descriptor"] == "centroid")]
    assert (centroids["upper"] - centroids["lower"]).tolist() == pytest.approx([2.0, 4.0, 2.0])
