from __future__ import annotations

import math

import torch

from shapewise.constraints import (
    Bounds,
    Relation,
    Rule,
    constrain,
    constrain_together,
    present_classes,
    relate,
)
from shapewise.projection import annotated_moments

NAN, INF = math.nan, math.inf
SIZES = {"volume": 1, "centroid": 2, "covariance": 3, "length": 1}
SPREAD = torch.tensor([[[10.0, 5.0]]])
THERE, ABSENT = torch.tensor([[True]]), torch.tensor([[False]])


def interval(given: list[float] | Bounds, rule: Rule, present: torch.Tensor = THERE) -> list[list[float]]:
    known = given if isinstance(given, Bounds) else torch.tensor([[given]])
    value = torch.zeros_like(known.lower if isinstance(known, Bounds) else known)
    found = constrain(value, known, rule, spread=SPREAD, present=present)
    return [[round(float(x), 4) for x in side.flatten()] for side in (found.lower, found.upper, found.scale)]


def test_margins_are_shares_of_the_objects_size() -> None:
    assert interval([200.0], Rule("value", 0.5)) == [[180.0], [220.0], [200.0]]
    assert interval([80.0, 90.0], Rule("spread", 0.5)) == [[79.0, 89.5], [81.0, 90.5], [10.0, 5.0]]
    assert interval([99.0, 0.0, 25.0], Rule("spread_power", 0.25)) == [
        [89.0, -5.0, 22.5],
        [109.0, 5.0, 27.5],
        [100.0, 50.0, 25.0],
    ]
    assert interval([0.3], Rule("one", 0.5, margin=0.2)) == [[0.1], [0.5], [1.0]]


def test_the_papers_margins_are_shares_of_the_value_and_divide_nothing() -> None:
    assert interval([80.0, 90.0], Rule("spread", 0.5, raw=True)) == [[72.0, 81.0], [88.0, 99.0], [1.0, 1.0]]
    # A covariance off the diagonal may be 0, and ±10% of that is nothing.
    assert interval([99.0, 0.0, 25.0], Rule("spread_power", 0.5, raw=True))[1] == [109.0, 5.0, 27.5]


def test_an_absolute_margin_replaces_the_share() -> None:
    assert interval([80.0, 90.0], Rule("spread", 0.5, absolute=20.0))[0] == [60.0, 70.0]


def test_given_sides_stay_and_the_others_get_the_margin() -> None:
    given = Bounds(torch.tensor([[[150.0]]]), torch.tensor([[[NAN]]]), torch.tensor([[[200.0]]]))
    assert interval(given, Rule("value", 0.5)) == [[150.0], [220.0], [200.0]]


def test_bounds_without_a_reference_are_measured_by_their_middle() -> None:
    assert interval(Bounds(torch.tensor([[[10.0]]]), torch.tensor([[[30.0]]])), Rule("value", 0.5))[2] == [
        20.0
    ]


def test_what_is_not_there_keeps_an_upper_bound_or_none() -> None:
    assert interval([9.0], Rule("value", 0.5), ABSENT)[:2] == [[-INF], [INF]]
    rule = Rule("value", 0.5, absent_upper=1.0, absent_scale=40.0)
    assert interval([0.0], rule, ABSENT) == [[-INF], [1.0], [40.0]]
    unknown = torch.tensor([[[NAN]]])
    assert interval(Bounds(unknown, unknown, torch.zeros(1, 1, 1)), rule, ABSENT) == [[-INF], [1.0], [40.0]]
    assert interval(Bounds(unknown, unknown + INF, torch.zeros(1, 1, 1)), rule, ABSENT)[1] == [1.0]
    given = Bounds(unknown, torch.tensor([[[7.0]]]), torch.zeros(1, 1, 1))
    assert interval(given, rule, ABSENT) == [[-INF], [7.0], [40.0]]


def test_what_is_not_known_is_free() -> None:
    rule = Rule("value", 0.5, absent_upper=1.0)
    given = torch.tensor([[[NAN]]])
    for known in (given, Bounds(given, given, given)):
        found = constrain(torch.zeros(1, 1, 1), known, rule, spread=SPREAD, present=ABSENT)
        assert not Bounds(found.lower, found.upper).active.any()


def test_classes_are_there_if_they_have_a_volume_or_at_least_a_value() -> None:
    volume = torch.tensor([[[5.0], [0.0], [NAN], [NAN], [5.0]]])
    centroid = torch.tensor([[[NAN, NAN], [NAN, NAN], [NAN, 3.0], [NAN, NAN], [1.0, 1.0]]])
    both = present_classes({"volume": volume, "centroid": centroid})
    assert both.tolist() == [[True, False, True, False, True]]
    assert present_classes({"centroid": centroid}).tolist() == [[False, False, True, False, True]]


def test_a_volume_that_may_be_0_need_not_be() -> None:
    lower, upper = torch.tensor([0.0, 0.0, 0.0, NAN, 4.0, NAN]), torch.tensor([NAN, INF, 9.0, 0.0, INF, 5.0])
    reference = torch.tensor([NAN, NAN, NAN, NAN, NAN, 0.0])
    volume = Bounds(*(each.reshape(1, -1, 1) for each in (lower, upper, reference)))
    there = [[True, True, True, False, True, False]]
    assert present_classes({"volume": volume}).tolist() == there
    assert annotated_moments({"volume": volume}, 2).present.tolist() == there
    contradicted = Bounds(torch.full((1, 1, 1), NAN), torch.zeros(1, 1, 1), torch.full((1, 1, 1), 9.0))
    assert not present_classes({"volume": contradicted}).any()


def test_a_relation_is_dropped_where_a_class_is_absent() -> None:
    value = torch.tensor([[2.5], [2.5]])
    found = relate(value, Relation("ratio", (1, 2), lower=2.0, scale=4.0), torch.tensor([[False], [True]]))
    assert str(found.lower.tolist()) == "[[2.0], [nan]]"
    assert str(found.upper.tolist()) == "[[inf], [nan]]"
    assert found.scale.tolist() == [[4.0], [4.0]]


def test_several_descriptors_at_once_are_bounded_as_one_by_one() -> None:
    random = torch.Generator().manual_seed(0)
    numbers = {name: 50 * torch.rand(2, 3, size, generator=random) for name, size in SIZES.items()}
    numbers["volume"][0, 1] = 0
    numbers["centroid"][0, 1] = NAN
    spread, present = 1 + torch.rand(2, 3, 2, generator=random), numbers["volume"][..., 0] > 0
    partly = Bounds(numbers["length"] - 1, torch.full_like(numbers["length"], NAN), numbers["length"])
    explicit = Bounds(torch.full_like(numbers["volume"], -INF), numbers["volume"] + 3)
    for raw in (False, True):
        rules = {
            "volume": Rule("value", 0.5, raw=raw, absent_upper=1.0, absent_scale=40.0),
            "centroid": Rule("spread", 0.5, margin=0.2, raw=raw, absent_scale=40.0),
            "covariance": Rule("spread_power", 0.25, raw=raw, absent_scale=40.0),
            "length": Rule("value", 0.5, absolute=3.0, raw=raw, absent_scale=40.0),
        }
        for given in (numbers, numbers | {"length": partly}, numbers | {"volume": explicit}):
            together = constrain_together(numbers, given, rules, spread=spread, present=present)
            single = [
                constrain(numbers[name], given[name], rules[name], spread=spread, present=present)
                for name in rules
            ]
            for found, parts in zip(together, zip(*single, strict=True), strict=True):
                torch.testing.assert_close(found, torch.cat(parts, -1), equal_nan=True)
