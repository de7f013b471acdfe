"""What holds whatever the image: finite gradients, invariances, precisions, epochs, the compiler."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hearts import EVERYTHING, HEART, encoded, hearts, logits
from shapewise.constraints import PENALTIES, AugmentedLagrangian
from shapewise.losses import LossReport, Relation, ShapeConstraintLoss

NAN = math.nan


DEGENERATE = {
    "uniform": torch.zeros(2, 4, 16, 16),
    "empty": torch.stack([torch.full((2, 16, 16), x) for x in (100.0, -100.0, -100.0, -100.0)], 1),
    "full": torch.stack([torch.full((2, 16, 16), x) for x in (-100.0, 100.0, -100.0, -100.0)], 1),
    "one-hot": 200 * encoded(hearts(size=16)),
    "one pixel": 200
    * encoded(torch.zeros(2, 16, 16).index_put((torch.tensor(0),) * 3, torch.tensor(1.0)).long()),
    "tiny": 1e-30 * logits(size=16),
}


class TestFinite:
    @pytest.mark.parametrize("penalty", PENALTIES)
    @pytest.mark.parametrize("scale", ["relative", "raw"])
    @pytest.mark.parametrize("prediction", DEGENERATE)
    def test_gradients_at_degenerate_predictions(self, prediction: str, scale: Any, penalty: str) -> None:
        loss = ShapeConstraintLoss(
            EVERYTHING, penalty=penalty, softmax=True, relations=HEART, residual_scale=scale
        )
        one_pixel = torch.zeros(2, 16, 16, dtype=torch.long)
        one_pixel[:, 3, 4] = 1
        for mask in (hearts(size=16), torch.zeros_like(one_pixel), torch.ones_like(one_pixel), one_pixel):
            scores = DEGENERATE[prediction].clone().requires_grad_()
            total = loss(scores, mask)
            (gradient,) = torch.autograd.grad(total, scores)
            assert total.isfinite()
            assert gradient.isfinite().all()

    @pytest.mark.parametrize("penalty", PENALTIES)
    def test_gradients_are_those_of_the_loss(self, penalty: str) -> None:
        loss = ShapeConstraintLoss(
            ("volume", "centroid", "spread", "covariance", "length"),
            penalty=PENALTIES[penalty]().double().eval(),
            softmax=True,
            relations=HEART,
        )
        mask = hearts(size=12)[:1]
        scores = logits(1, 12, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x: loss(x, mask), scores, fast_mode=True)

    def test_volumes(self) -> None:
        mask = torch.zeros(1, 6, 7, 8, dtype=torch.long)
        mask[:, 2:4, 2:5, 3:6] = 1
        scores = torch.randn(1, 2, 6, 7, 8, requires_grad=True)
        loss = ShapeConstraintLoss(
            ("volume", "centroid", "spread", "covariance", "length"), softmax=True, spacing=(5.0, 1.5, 1.5)
        )
        total = loss(scores, mask)
        (gradient,) = torch.autograd.grad(total, scores)
        assert total.isfinite()
        assert gradient.isfinite().all()
        assert loss(encoded(mask, 2) * 1000, mask) < total


class TestLaws:
    @given(batch=st.integers(1, 4), seed=st.integers(0, 99))
    @settings(deadline=None, max_examples=10)
    def test_the_loss_is_the_mean_over_images(self, batch: int, seed: int) -> None:
        scores, mask = logits(batch, 16, seed=seed), hearts(batch, 16)
        for scale in ("relative", "raw"):
            make = {"softmax": True, "residual_scale": scale}
            loss = ShapeConstraintLoss(**make)
            alone = torch.stack([loss(scores[i : i + 1], mask[i : i + 1]) for i in range(batch)])
            torch.testing.assert_close(loss(scores, mask), alone.mean())
            torch.testing.assert_close(ShapeConstraintLoss(**make, reduction="none")(scores, mask), alone)
            torch.testing.assert_close(
                ShapeConstraintLoss(**make, reduction="sum")(scores, mask), alone.sum()
            )

    @given(order=st.permutations([1, 2, 3]), seed=st.integers(0, 99))
    @settings(deadline=None, max_examples=10)
    def test_the_names_of_classes_do_not_matter(self, order: list[int], seed: int) -> None:
        scores, mask = logits(size=16, seed=seed), hearts(size=16)
        renamed = torch.tensor([0, *order])
        expected = ShapeConstraintLoss(softmax=True, relations=HEART)(scores, mask)
        relations = [
            Relation(
                r.kind, (order[r.pair[0] - 1], order[r.pair[1] - 1]), r.descriptor, r.lower, r.upper, r.scale
            )
            for r in HEART
        ]
        loss = ShapeConstraintLoss(softmax=True, relations=relations)
        found = loss(scores[:, renamed.argsort()], renamed[mask])
        torch.testing.assert_close(found, expected)

    @given(rows=st.integers(-5, 5), columns=st.integers(-5, 5))
    @settings(deadline=None, max_examples=10)
    def test_it_does_not_matter_where_the_image_begins(self, rows: int, columns: int) -> None:
        field = torch.zeros(1, 32, 32)
        field[:, 8:24, 8:24] = 1
        prediction, mask = logits(1, 32).softmax(1) * field, hearts(1, 32) * field.long()
        loss = ShapeConstraintLoss(EVERYTHING)
        moved = loss(prediction.roll((rows, columns), (2, 3)), mask.roll((rows, columns), (1, 2)))
        torch.testing.assert_close(moved, loss(prediction, mask), rtol=1e-4, atol=1e-5)

    @given(step=st.floats(0.2, 5.0))
    @settings(deadline=None, max_examples=10)
    def test_the_unit_of_length_does_not_matter(self, step: float) -> None:
        expected = ShapeConstraintLoss(EVERYTHING, softmax=True)(logits(), hearts())
        in_mm = ShapeConstraintLoss(EVERYTHING, softmax=True, spacing=(step, step))(logits(), hearts())
        torch.testing.assert_close(in_mm, expected, rtol=1e-4, atol=1e-5)

    def test_a_report_counts_the_bounds_that_apply(self) -> None:
        mask = hearts()
        mask[0][mask[0] == 1] = 0
        report = ShapeConstraintLoss(softmax=True, relations=HEART).report(logits(), mask)
        counts = {name: count.item() for name, count in report.active.items()}
        # Five objects are there; the sixth keeps the upper bound of its volume.
        bounds = {"volume": 5 * 2 + 1, "centroid": 5 * 4, "spread": 5 * 4, "length": 5 * 2}
        relations = {"ratio_length_2_3": 2 * 2, "difference_centroid_2_3": 2 * 4, "contact_1_3": 2}
        assert counts == bounds | relations

    def test_a_perfect_prediction_satisfies_everything(self) -> None:
        report = ShapeConstraintLoss(EVERYTHING).report(encoded(hearts()), hearts())
        assert all(fraction == 1 for fraction in report.satisfied.values())

    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    @pytest.mark.parametrize("scale", ["relative", "raw"])
    def test_a_report_adds_up(self, scale: Any, reduction: Any) -> None:
        loss = ShapeConstraintLoss(softmax=True, relations=HEART, residual_scale=scale, reduction=reduction)
        report = loss.report(logits(), hearts())
        assert isinstance(report, LossReport)
        assert torch.equal(report.total, loss(logits(), hearts()))
        torch.testing.assert_close(sum(report.contributions.values()), report.total.mean())
        names = ["volume", "centroid", "spread", "length", *(r.key for r in HEART)]
        assert list(report.contributions) == list(report.satisfied) == list(report.active) == names
        assert not any(part.requires_grad for part in report.contributions.values())


class TestPrecision:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_logits(self, dtype: torch.dtype) -> None:
        mask = torch.zeros(1, 300, 300, dtype=torch.long)
        mask[:, 5:295, 5:295] = 1  # more pixels than float16 can count
        scores = logits(1, 300, 2).to(dtype)
        loss = ShapeConstraintLoss(softmax=True)
        found = loss(scores, mask)
        assert found.dtype == torch.float32
        assert torch.equal(found, loss(scores.float(), mask))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_autocast_changes_nothing(self, dtype: torch.dtype) -> None:
        loss = ShapeConstraintLoss(EVERYTHING, softmax=True, relations=HEART)
        scores = logits(requires_grad=True)
        plain = torch.autograd.grad(loss(scores, hearts()), scores)[0]
        with torch.autocast("cpu", dtype):
            total = loss(scores, hearts())
        assert torch.equal(torch.autograd.grad(total, scores)[0], plain)

    def test_float64_stays(self) -> None:
        assert ShapeConstraintLoss(softmax=True)(logits().double(), hearts()).dtype == torch.float64


class TestEpochs:
    def test_the_barrier_steepens(self) -> None:
        loss = ShapeConstraintLoss(softmax=True)
        before = loss(logits(), hearts())
        loss.start_epoch(10)
        assert loss(logits(), hearts()) > before

    @pytest.mark.parametrize("penalty", PENALTIES)
    def test_a_saved_loss_goes_on_where_it_was(self, penalty: str) -> None:
        loss = ShapeConstraintLoss(penalty=penalty, softmax=True, relations=HEART)
        for epoch in (0, 1):
            loss.start_epoch(epoch)
            loss(logits(requires_grad=True), hearts())
        resumed = ShapeConstraintLoss(penalty=penalty, softmax=True, relations=HEART)
        resumed.load_state_dict(loss.state_dict())
        for each in (loss, resumed):
            each.start_epoch(2)
        assert torch.equal(resumed(logits(), hearts()), loss(logits(), hearts()))

    def test_there_is_a_multiplier_for_every_bound_of_every_class(self) -> None:
        penalty = AugmentedLagrangian()
        loss = ShapeConstraintLoss(["volume", "centroid"], penalty=penalty, softmax=True)
        loss(logits(), hearts())
        assert [tuple(buffer.shape) for buffer in penalty.buffers()] == [(3 + 3 * 2, 2)] * 3


COMPILED = """
import torch
from shapewise.losses import Relation, ShapeConstraintLoss
torch.manual_seed(0)
scores = torch.randn(2, 3, 12, 12, requires_grad=True)
mask = torch.zeros(2, 12, 12, dtype=torch.long)
mask[:, 2:6, 2:8], mask[:, 8:11, 3:9] = 1, 2
relations = [Relation("ratio", (1, 2), upper=3.0), Relation("contact", (1, 2), upper=0.0)]
for penalty, backend in (("log_barrier", "eager"), ("augmented_lagrangian", "aot_eager")):
    loss = ShapeConstraintLoss(penalty=penalty, softmax=True, relations=relations)
    compiled = torch.compile(loss, backend=backend, fullgraph=True)
    for epoch in range(3):
        loss.start_epoch(epoch)
        # The first call of an augmented Lagrangian makes its buffers; after that nothing changes but values.
        with torch._dynamo.config.patch(error_on_recompile=epoch > 1):
            (found,) = torch.autograd.grad(compiled(scores, mask), scores)
        (expected,) = torch.autograd.grad(loss(scores, mask), scores)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
"""


def test_compiles_into_one_graph_whatever_the_epoch() -> None:
    subprocess.run([sys.executable, "-c", COMPILED], check=True, timeout=100)
