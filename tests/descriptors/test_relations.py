from __future__ import annotations

import math

import pytest
import torch

from shapewise.descriptors import centroid, contact, difference, length, ratio, spread, volume
from shapewise.errors import ArgumentError


@pytest.fixture
def probs() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 4, 6, 7, dtype=torch.float64).softmax(1)


def halves() -> torch.Tensor:
    """Class 0 fills the two left columns of a 3 x 4 image, class 1 the two right ones."""
    mask = torch.zeros(1, 2, 3, 4)
    mask[0, 0, :, :2] = 1
    mask[0, 1, :, 2:] = 1
    return mask


@pytest.mark.parametrize("descriptor", [volume, centroid, spread, length])
def test_ratio_and_difference_of_any_descriptor(probs, descriptor):
    values = descriptor(probs, spacing=(2.0, 1.0))
    first, second = values[:, 3], values[:, 1]
    for given in (descriptor, descriptor.__name__):
        options = {"descriptor": given, "spacing": (2.0, 1.0)}
        torch.testing.assert_close(ratio(probs, (3, 1), **options), first / second)
        torch.testing.assert_close(difference(probs, (3, 1), **options), first - second)


def test_options_reach_the_descriptor(probs):
    values = length(probs, connectivity=4, weights="potts")
    found = ratio(probs, (0, 1), descriptor="length", connectivity=4, weights="potts")
    torch.testing.assert_close(found, values[:, 0] / values[:, 1])


def test_a_ratio_to_an_absent_class_is_finite():
    probs = torch.zeros(1, 2, 4, 4)
    probs[:, 0] = 1
    probs.requires_grad_()
    value = ratio(probs, (0, 1))
    value.sum().backward()
    assert value.item() == 16
    assert probs.grad.isfinite().all()


@pytest.mark.parametrize("given", ["volume", volume, "spread", length])
@pytest.mark.parametrize("step", [1e-4, 1e3])
def test_the_unit_of_length_does_not_matter_to_a_ratio(given, step):
    probs = torch.zeros(1, 3, 12, 12)
    probs[:, 0, 1:11, 1:11], probs[:, 1, 1:6, 1:11] = 1, 1
    for pair in ((0, 1), (0, 2)):
        expected = ratio(probs, pair, descriptor=given)
        found = ratio(probs, pair, descriptor=given, spacing=(step, step))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_contact_worked_by_hand():
    """Three straight pairs cross the border of the halves, and four diagonal ones."""
    assert contact(halves(), (0, 1), connectivity=4).item() == 3
    assert contact(halves(), (0, 1)).item() == 7
    assert contact(halves(), (0, 1), connectivity=4, weights="crofton").item() == pytest.approx(
        3 * math.pi / 4
    )


def test_classes_apart_do_not_touch():
    mask = torch.zeros(1, 2, 3, 5)
    mask[0, 0, :, :2] = 1
    mask[0, 1, :, 3:] = 1
    assert contact(mask, (0, 1)).item() == 0


def test_contact_is_symmetric(probs):
    torch.testing.assert_close(contact(probs, (1, 2)), contact(probs, (2, 1)))


@pytest.mark.parametrize("weights", ["potts", "crofton"])
def test_two_hard_classes_touch_along_the_length_of_either(weights):
    torch.manual_seed(0)
    first = (torch.rand(1, 1, 4, 5, 6) > 0.5).double()
    mask = torch.cat([first, 1 - first], dim=1)
    expected = length(first, weights=weights)[:, 0]
    torch.testing.assert_close(contact(mask, (0, 1), weights=weights), expected)


@pytest.mark.parametrize("relation", [ratio, difference, contact])
def test_gradients(probs, relation):
    probs = probs[:1, :3, :4, :4].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: relation(p, (1, 2)), probs, fast_mode=True)


@pytest.mark.parametrize("relation", [ratio, difference, contact])
@pytest.mark.parametrize("pair", [(1, 1), (0, 4), (-1, 0)])
def test_a_pair_of_no_two_classes_is_refused(probs, relation, pair):
    with pytest.raises(ArgumentError, match=r"`pair`.*two different classes below 4"):
        relation(probs, pair)


def test_an_unknown_descriptor_is_refused(probs):
    with pytest.raises(ArgumentError, match=r"did you mean 'centroid'"):
        ratio(probs, (0, 1), descriptor="centroids")
