from __future__ import annotations

import pytest
import torch

from shapewise.descriptors import get, names, register
from shapewise.errors import ArgumentError

BUILT_IN = {
    # name: components and unit power in 2-D, the same in 3-D, scale of a residual
    "volume": (1, 2, 1, 3, "value"),
    "centroid": (2, 1, 3, 1, "spread"),
    "spread": (2, 1, 3, 1, "value"),
    "covariance": (3, 2, 6, 2, "spread_power"),
    "third_moments": (4, 3, 10, 3, "spread_power"),
    "fourth_moments": (5, 4, 15, 4, "spread_power"),
    "orientation": (1, 0, 3, 0, "one"),
    "elongation": (1, 0, 1, 0, "one"),
    "hu_moments": (7, 0, 7, 0, "one"),
    "convexity": (1, 0, 1, 0, "one"),
    "length": (1, 1, 1, 2, "value"),
    "potts_length": (1, 1, 1, 2, "value"),
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_the_registry_says_of_each_descriptor(name):
    entry = get(name)
    plane, solid = ((entry.components(ndim), entry.unit_power(ndim)) for ndim in (2, 3))
    assert (*plane, *solid, entry.scale) == BUILT_IN[name]
    assert name in names()


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("space", [(4, 5), (3, 4, 5)])
def test_components_are_what_the_function_returns(name, space):
    if name == "hu_moments" and len(space) == 3:
        pytest.skip("Hu's invariants are 2-D")
    values = get(name).function(torch.rand(2, 3, *space))
    assert values.shape == (2, 3, get(name).components(len(space)))


def test_a_function_registers_once_and_again_after_an_edit():
    def register_mean(scale):
        @register("test_mean", components=2, unit_power=lambda ndim: -ndim, scale=scale)
        def mean(probs, *, spacing=None):
            return probs.flatten(2)[..., :2]

        return mean

    register_mean("value")
    newer = register_mean("one")
    assert get("test_mean").function is newer
    assert (get("test_mean").components(3), get("test_mean").unit_power(3)) == (2, -3)
    assert get("test_mean").scale == "one"


@pytest.mark.parametrize("per_axis", ["position", "extent", "product"])
def test_what_is_registered_along_the_axes_has_a_component_for_each(per_axis):
    with pytest.raises(ArgumentError, match=r"`components` to be \d in 2-D"):

        @register("test_short", components=1, unit_power=2, per_axis=per_axis)
        def short(probs, *, spacing=None):
            return probs.flatten(2).sum(-1, keepdim=True)


def test_a_name_means_one_thing():
    with pytest.raises(ArgumentError, match=r"`name`.*no other descriptor has.*volume"):

        @register("volume")
        def other(probs, *, spacing=None):
            return probs.flatten(2).sum(-1, keepdim=True)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ArgumentError, match=r"did you mean 'covariance'.*covarience"):
        get("covarience")


def test_a_name_like_none_is_answered_with_all():
    with pytest.raises(ArgumentError, match=r"one of .*volume.*centroid"):
        get("xyzzy")
