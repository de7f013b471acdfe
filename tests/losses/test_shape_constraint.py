from __future__ import annotations

import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from hearts import EVERYTHING, HEART, encoded, hearts, logits
from shapewise.constraints import Bounds, Constant, LogBarrier
from shapewise.descriptors import contact, describe_together
from shapewise.losses import Relation, ShapeConstraintLoss

NAN = math.nan


def square(probability: float = 1.0, shift: int = 0, size: int = 10) -> Tensor:
    """Probabilities (1, 2, 10, 10) of a square of 4 by 4 pixels."""
    foreground = torch.zeros(1, 1, size, size)
    foreground[..., 3 + shift : 7 + shift, 3:7] = probability
    return torch.cat((1 - foreground, foreground), 1)


def hinge(*descriptors: str, **options: Any) -> ShapeConstraintLoss:
    return ShapeConstraintLoss(descriptors, penalty="hinge", **options)


class TestWorkedByHand:
    def test_half_the_volume(self) -> None:
        # 8 pixels where 14.4 are asked for; two bounds, one of them broken.
        assert hinge("volume")(square(0.5), square()).item() == pytest.approx((14.4 - 8) / 16 / 2)

    def test_a_centroid_off_by_three_pixels(self) -> None:
        spread = math.sqrt(1.25)
        expected = (3 - 0.1 * spread) / spread / 4
        assert hinge("centroid")(square(shift=3), square()).item() == pytest.approx(expected, rel=1e-5)

    def test_the_papers_units(self) -> None:
        loss = hinge("volume", "centroid", residual_scale="raw")
        # The centroid is at 4.5; 10% of that is 0.45.
        assert loss(square(0.5, shift=3), square()).item() == pytest.approx(6.4 + 3 - 0.45, rel=1e-5)

    def test_an_absolute_margin(self) -> None:
        loss = hinge("volume", "centroid", residual_scale="raw", absolute_margins={"centroid": 1.0})
        assert loss(square(0.5, shift=3), square()).item() == pytest.approx(6.4 + 3 - 1.0, rel=1e-5)

    def test_spacing(self) -> None:
        loss = hinge("volume", "centroid", residual_scale="raw", spacing=(2.0, 3.0))
        expected = 6 * 6.4 + 2 * (3 - 0.45)
        assert loss(square(0.5, shift=3), square()).item() == pytest.approx(expected, rel=1e-5)

    def test_a_false_positive(self) -> None:
        absent = square(0.0)
        prediction = torch.full((1, 2, 10, 10), 0.1)
        # 10 pixels, one allowed, measured against 2% of the image; the only constraint that is left.
        assert hinge("volume", "centroid", "length")(prediction, absent).item() == pytest.approx(9 / 2)
        assert hinge("volume", absent_volume=4.0)(prediction, absent).item() == pytest.approx(6 / 4)
        assert hinge("volume", residual_scale="raw")(prediction, absent).item() == pytest.approx(9.0)

    def test_bounds_that_hold_cost_the_barrier_only(self) -> None:
        loss = ShapeConstraintLoss(["volume"], penalty=LogBarrier(Constant(5.0)))
        assert loss(square(), square()).item() == pytest.approx(-math.log(0.1) / 5, rel=1e-5)

    @pytest.mark.parametrize(
        ("relation", "expected"),
        [
            (Relation("ratio", (0, 1), upper=5.0), 100 / 12 - 5),
            (Relation("ratio", (1, 0), lower=0.2, scale=0.1), (0.2 - 0.12) / 0.1),
            (Relation("difference", (0, 1), lower=90.0, upper=95.0), (90 - 88) / 2),
            (Relation("difference", (1, 0), "centroid", upper=0.4), (0.1 + 0.6) / 2),
            (Relation("value", (1,), upper=10.0, scale=4.0), (12 - 10) / 4),
            (Relation("value", (0,), "centroid", lower=5.0), 0.5),
        ],
    )
    @pytest.mark.parametrize("background", [False, True])
    def test_relations(self, relation: Relation, expected: float, background: bool) -> None:
        prediction = torch.ones(1, 2, 10, 10)  # volume 100, centroid (4.5, 4.5)
        prediction[:, 1] = 0
        prediction[:, 1, 4:7, 4:8] = 1  # volume 12, centroid (5, 5.5)
        loss = hinge(relations=[relation], include_background=background)
        assert loss(prediction, {}).item() == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("constrained", [(), ("volume",)])
    def test_a_ratio_under_the_microscope(self, constrained: tuple[str, ...]) -> None:
        loss = hinge(*constrained, relations=[Relation("ratio", (0, 1), upper=5.0)], spacing=(1e-4, 1e-4))
        # 84 pixels to 16; with a constrained volume it is one of three bounds.
        bounds = 1 + 2 * len(constrained)
        assert loss(square(), square()).item() == pytest.approx((84 / 16 - 5) / bounds, rel=1e-4)

    def test_contact(self) -> None:
        halves = encoded((torch.arange(8) >= 4).long().expand(1, 8, 8), 2)
        touching = hinge(relations=[Relation("contact", (0, 1), upper=0.0, scale=4.0)])(halves, {})
        torch.testing.assert_close(touching, contact(halves, (0, 1), weights="crofton")[0, 0] / 4)
        assert touching.item() == pytest.approx(8 / 4, rel=0.15)  # the image's border cuts two diagonals off
        apart = encoded(torch.tensor([1, 1, 0, 0, 2, 2]).expand(1, 6, 6), 3)
        assert hinge(relations=[Relation("contact", (1, 2), upper=0.0)])(apart, {}).item() == 0.0


class TestTargets:
    def test_masks_of_every_kind_are_one_target(self) -> None:
        loss = ShapeConstraintLoss(EVERYTHING, softmax=True, relations=HEART)
        mask = hearts()
        expected = loss(logits(), mask)
        for same in (mask[:, None], encoded(mask), mask.byte(), mask.float()[:, None], encoded(mask).long()):
            assert torch.equal(loss(logits(), same), expected)

    @pytest.mark.parametrize("background", [False, True])
    @pytest.mark.parametrize("scale", ["relative", "raw"])
    def test_a_table_of_a_masks_values_is_the_mask(self, scale: Any, background: bool) -> None:
        loss = ShapeConstraintLoss(
            EVERYTHING, softmax=True, relations=HEART, residual_scale=scale, include_background=background
        )
        mask = hearts()
        mask[1][mask[1] == 1] = 0
        values = describe_together(encoded(mask)[:, 0 if background else 1 :], EVERYTHING)
        gone = (values["volume"] == 0).expand(-1, -1, 3)
        table = {
            name: value if name == "volume" else value.masked_fill(gone[..., : value.shape[-1]], NAN)
            for name, value in values.items()
        }
        expected = loss(logits(), mask)
        torch.testing.assert_close(loss(logits(), table), expected)
        unknown = {
            name: Bounds(torch.full_like(value, NAN), torch.full_like(value, NAN), value)
            for name, value in table.items()
        }
        torch.testing.assert_close(loss(logits(), unknown), expected)

    def test_explicit_bounds_are_kept(self) -> None:
        loss = hinge("volume", residual_scale="raw")
        prediction = square(0.5)  # 8 pixels
        for lower, upper, expected in [
            (9.0, 20.0, 1.0),
            (0.0, 7.5, 0.5),
            (-math.inf, 6.0, 2.0),
            (9.0, math.inf, 1.0),
        ]:
            bounds = Bounds(torch.full((1, 1, 1), lower), torch.full((1, 1, 1), upper))
            assert loss(prediction, {"volume": bounds}).item() == pytest.approx(expected)
        assert loss(prediction, {"volume": Bounds.constant(9.0, 20.0)}).item() == pytest.approx(1.0)

    @pytest.mark.parametrize("upper", [NAN, math.inf])
    def test_a_volume_from_0_on_says_of_no_class_that_it_is_absent(self, upper: float) -> None:
        free, click = torch.zeros(1, 1, 1), torch.tensor([[[4.5, 5.5]]])
        given = {"volume": Bounds(free, free + upper), "centroid": click}
        report = hinge("volume", "centroid").report(square(), given)
        # One pixel off, as with a click alone; a volume has no upper bound to break.
        assert report.total.item() == pytest.approx((1 - 0.1) / 5)
        assert report.satisfied["volume"] == 1

    def test_a_lower_bound_beside_a_known_value_leaves_the_upper_to_the_margin(self) -> None:
        known = torch.full((1, 1, 1), 5.0)
        bounds = Bounds(known - 4, torch.full((1, 1, 1), NAN), known)
        assert hinge("volume", residual_scale="raw")(square(0.5), {"volume": bounds}).item() == pytest.approx(
            2.5
        )

    def test_unknown_values_constrain_nothing(self) -> None:
        prediction = square(0.5).requires_grad_()
        loss = ShapeConstraintLoss(["volume", "centroid"])
        total = loss(
            prediction, {"volume": torch.full((1, 1, 1), NAN), "centroid": torch.full((1, 1, 2), NAN)}
        )
        total.backward()
        assert total.item() == 0.0
        assert prediction.grad is not None
        assert not prediction.grad.any()

    def test_a_click_says_where_an_object_is_and_nothing_else(self) -> None:
        report = hinge("centroid").report(square(), {"centroid": torch.tensor([[[4.5, 5.5]]])})
        # Nothing tells the object's size, so a tenth of the image's side does: 1 pixel.
        assert report.total.item() == pytest.approx((1 - 0.1) / 4)

    def test_the_scale_comes_from_the_best_size_in_the_table(self) -> None:
        prediction, centroid = square(), torch.tensor([[[4.5, 14.5]]])
        sizes = {
            "spread": torch.tensor([[[2.0, 5.0]]]),
            "covariance": torch.tensor([[[4.0, 0.0, 16.0]]]),
            "volume": torch.tensor([[[math.pi * 36]]]),
        }
        for name, expected in (("volume", 3.0), ("covariance", 4.0), ("spread", 5.0)):
            known = dict(list(sizes.items())[list(sizes).index(name) :]) | {"centroid": centroid}
            found = hinge("centroid")(prediction, known).item() * 4
            assert found == pytest.approx((10 - 0.1 * expected) / expected, rel=1e-5)

    def test_an_image_may_share_its_values_with_the_batch(self) -> None:
        loss = hinge("volume", softmax=True)
        shared = torch.tensor([[[50.0], [60.0], [70.0]]])
        torch.testing.assert_close(
            loss(logits(), {"volume": shared}), loss(logits(), {"volume": shared.expand(2, -1, -1)})
        )

    def test_float64_values_do_not_change_the_result_type(self) -> None:
        values = {"volume": torch.full((2, 3, 1), 50.0, dtype=torch.float64)}
        assert hinge("volume", softmax=True)(logits(), values).dtype == torch.float32

    def test_a_tensor_subclass_is_a_tensor(self) -> None:
        class Image(Tensor):
            """What MONAI's loaders return is a subclass too."""

        loss = ShapeConstraintLoss(softmax=True)
        found = loss(logits().as_subclass(Image), hearts().as_subclass(Image))
        assert type(found) is Tensor
        assert torch.equal(found, loss(logits(), hearts()))

    def test_a_single_channel_is_the_object(self) -> None:
        loss = ShapeConstraintLoss(sigmoid=True, include_background=True)
        scores = logits(classes=1)
        mask = (hearts() == 2).long()
        assert torch.equal(loss(scores, mask), loss(scores, mask[:, None].float()))
        expected = ShapeConstraintLoss()(torch.cat((scores, scores), 1).sigmoid(), mask)
        torch.testing.assert_close(loss(scores, mask), expected)


class TestAbsentClasses:
    def test_only_the_volume_of_an_absent_class_counts(self) -> None:
        loss = hinge(*EVERYTHING, softmax=True, relations=HEART[:2])
        report = loss.report(logits(), torch.zeros(2, 32, 32, dtype=torch.long))
        assert report.contributions["volume"] > 0
        assert report.satisfied["volume"] == 0
        for name in (*EVERYTHING[1:], HEART[0].key, HEART[1].key):
            assert report.contributions[name] == 0
            assert report.satisfied[name] == 1

    def test_an_absent_class_keeps_its_volume_bound_where_volumes_are_not_constrained(self) -> None:
        prediction = torch.full((1, 2, 10, 10), 0.36)
        loss = hinge("centroid", "spread")
        # 36 pixels, one allowed, measured against 2% of the image.
        unplaced = {name: torch.full((1, 1, 2), NAN) for name in ("centroid", "spread")}
        for absent in (square(0.0), unplaced | {"volume": torch.zeros(1, 1, 1)}):
            report = loss.report(prediction, absent)
            assert report.total.item() == pytest.approx(35 / 2)
            assert report.contributions["absent_volume"] == report.total
            assert report.satisfied["absent_volume"] == 0

    def test_that_bound_is_for_absent_classes_only(self) -> None:
        for target in (square(), {name: torch.full((1, 1, 2), NAN) for name in ("centroid", "spread")}):
            report = hinge("centroid", "spread").report(square(0.5), target)
            assert report.total == report.contributions["absent_volume"] == 0
            assert report.active["absent_volume"] == 0

    def test_a_relation_needs_both_of_its_classes(self) -> None:
        mask = hearts()
        mask[mask == 3] = 0
        report = hinge(softmax=True, relations=HEART).report(logits(), mask)
        assert report.satisfied["ratio_length_2_3"] == report.satisfied["difference_centroid_2_3"] == 1
        assert report.contributions["contact_1_3"] > 0

    def test_a_prior_on_a_class_leaves_it_alone_where_it_is_absent(self) -> None:
        prior = Relation("value", (1,), "convexity", lower=0.95, scale=0.1)
        apart = torch.zeros(1, 2, 10, 10)
        apart[:, 1, 2:8, 1:3] = apart[:, 1, 2:8, 6:8] = 1
        apart[:, 0] = 1 - apart[:, 1]
        for constrained in ((), ("volume",)):
            loss = hinge(*constrained, relations=[prior])
            for volume, broken in ((24.0, True), (0.0, False), (NAN, False)):
                report = loss.report(apart, {"volume": torch.full((1, 1, 1), volume)})
                assert (report.contributions[prior.key] > 0) == broken
                assert report.active[prior.key] == broken

    def test_a_false_positive_weighs_like_an_object_of_the_wrong_size(self) -> None:
        loss = ShapeConstraintLoss(["volume"])
        false_positive = torch.full((1, 2, 100, 100), 0.1)
        wrong = loss(false_positive, torch.zeros(1, 100, 100, dtype=torch.long)).item()
        mask = torch.zeros(1, 100, 100, dtype=torch.long)
        mask[:, 40:60, 40:60] = 1
        too_big = loss(false_positive, mask).item()
        assert 0.5 < wrong / too_big < 10


def test_a_loss_can_be_saved_whole_and_its_spacing_be_a_list() -> None:
    loss = ShapeConstraintLoss(("volume", "centroid"), softmax=True, spacing=[2.0, 1.5])
    again = pickle.loads(pickle.dumps(loss))
    mask = torch.zeros(1, 8, 8, dtype=torch.long)
    mask[:, 2:5, 3:6] = 1
    logits = torch.randn(1, 2, 8, 8)
    assert again(logits, mask) == loss(logits, mask)


def test_a_mask_that_asks_for_a_gradient_is_a_mask() -> None:
    mask = torch.zeros(1, 8, 8)
    mask[:, 2:5, 2:5] = 1
    loss = ShapeConstraintLoss(("volume", "centroid"), softmax=True)
    logits = torch.randn(1, 2, 8, 8)
    assert loss(logits, mask.clone().requires_grad_()) == loss(logits, mask)
