from __future__ import annotations

import math
from typing import Any

import pytest

from shapewise.constraints import Relation
from shapewise.errors import ArgumentError


def test_a_side_that_is_not_given_is_open() -> None:
    assert Relation("ratio", (2, 3), "length", lower=2.0, upper=3.0).interval == (2.0, 3.0)
    assert Relation("contact", (1, 3), upper=0.0).interval == (-math.inf, 0.0)


def test_keys_tell_relations_apart() -> None:
    keys = {
        Relation(kind, pair, descriptor, upper=1.0).key
        for kind in ("ratio", "difference", "contact")
        for pair in ((1, 2), (2, 1))
        for descriptor in ("volume", "length")
    }
    assert keys >= {"ratio_volume_1_2", "difference_length_2_1", "contact_1_2"}
    assert len(keys) == 10
    assert Relation("value", (3,), "convexity", lower=0.95).key == "value_convexity_3"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"kind": "ratio", "pair": (1, 1), "upper": 1.0}, "pair"),
        ({"kind": "ratio", "pair": (-1, 1), "upper": 1.0}, "pair"),
        ({"kind": "ratio", "pair": (1,), "upper": 1.0}, "pair"),
        ({"kind": "value", "pair": (1, 2), "upper": 1.0}, "pair"),
        ({"kind": "value", "pair": (), "upper": 1.0}, "pair"),
        ({"kind": "ratio", "pair": (1, 2)}, "lower"),
        ({"kind": "ratio", "pair": (1, 2), "lower": 3.0, "upper": 2.0}, "lower"),
        ({"kind": "ratio", "pair": (1, 2), "lower": 3.0, "scale": 0.0}, "scale"),
    ],
)
def test_refuses_what_relates_nothing(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(ArgumentError, match=f"`{name}`"):
        Relation(**arguments)


def test_refuses_an_unknown_kind() -> None:
    # A TypeError where the run-time type checker comes first.
    with pytest.raises((ArgumentError, TypeError), match="quotient"):
        Relation("quotient", (1, 2), upper=1.0)  # type: ignore[arg-type]
