from __future__ import annotations

import torch
from torch import Tensor

from shapewise.losses import EdgeLengthLoss, MomentProjectionLoss, ShapeConstraintLoss
from shapewise.training import (
    CombinedSupervision,
    EdgeLengthSupervision,
    PixelSupervision,
    ProjectionSupervision,
    ShapeSupervision,
)
from shapewise.training.supervision import table_bounds
from shapewise.training.volumes import as_volume

NAN = float("nan")


def test_pixels_are_scored_by_cross_entropy_in_float32() -> None:
    logits, mask = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    loss = PixelSupervision()(logits.half(), {"mask": mask})
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits.half().float(), mask))


def test_a_batch_without_a_label_weighs_nothing() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = PixelSupervision()(logits, {"mask": torch.full((1, 4, 4), -100)})
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_a_table_scores_as_the_mask_that_it_describes() -> None:
    mask = torch.zeros(1, 16, 16, dtype=torch.long)
    mask[:, 4:10, 5:12] = 1
    loss = ShapeConstraintLoss(("volume", "centroid", "spread"), softmax=True)
    logits = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    hard = torch.nn.functional.one_hot(mask, 2).movedim(-1, 1).float()
    targets = {}
    for descriptor in loss.descriptors:
        values = descriptor.function(hard[:, 1:])
        targets[descriptor.name] = torch.stack([values, values * NAN, values * NAN], dim=-1)
    scored = ShapeSupervision(loss)(logits, {"targets": targets})
    torch.testing.assert_close(scored, loss(logits, mask))


def test_a_tables_own_bounds_win_over_the_margin() -> None:
    logits = torch.zeros(1, 2, 10, 10)  # half of a hundred pixels
    value = torch.tensor([[[20.0]]])
    wide = torch.stack([value, value * 0, value * 0 + 60], dim=-1)
    report = ShapeConstraintLoss(("volume",), penalty="hinge", softmax=True).report(
        logits, table_bounds({"volume": wide})
    )
    assert report.total.item() == 0
    assert report.satisfied["volume"].item() == 1


def test_a_projection_meets_values_exactly_and_bounds_within_them() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 16, 16, generator=generator)
    volume = logits.softmax(1)[:, 1:].sum((2, 3))[..., None]
    loss = MomentProjectionLoss(("volume",), softmax=True, sharpening=1.0)

    def scored(value: float, lower: float, upper: float) -> Tensor:
        rows = torch.cat([volume * factor for factor in (value, lower, upper)], -1)
        return ProjectionSupervision(loss)(
            logits, {"index": torch.tensor([0]), "targets": {"volume": rows.unsqueeze(-2)}}
        )

    rested = scored(1.0, NAN, NAN)
    torch.testing.assert_close(scored(NAN, 0.9, 1.2), rested)
    torch.testing.assert_close(scored(NAN, 1.2, 1.2), scored(1.2, NAN, NAN))
    assert scored(1.2, NAN, NAN) > rested
    torch.testing.assert_close(scored(NAN, NAN, NAN), rested)  # nothing is known


def test_a_new_epoch_moves_the_penalty_on() -> None:
    supervision = ShapeSupervision(ShapeConstraintLoss(("volume",), softmax=True))
    before = supervision.loss.penalty.state_dict()["t"].clone()
    supervision.start_epoch(10)
    assert supervision.loss.penalty.state_dict()["t"] > before


def test_a_search_goes_on_where_the_images_last_one_ended() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(3, 2, 24, 24, generator=generator)
    rows = torch.tensor([60.0, NAN, NAN]).expand(3, 1, 1, 3)
    centre = torch.tensor([[9.0, NAN, NAN], [13.0, NAN, NAN]]).expand(3, 1, 2, 3)
    targets = {"volume": rows, "centroid": centre, "spread": torch.full_like(centre, NAN)}
    targets["spread"][..., 0] = 4.0
    batch = {"targets": targets, "index": torch.tensor([4, 0, 7])}
    supervision = ProjectionSupervision(
        MomentProjectionLoss(("volume", "centroid", "spread"), softmax=True, iterations=2)
    )
    shares = []
    for _ in range(12):
        supervision(logits, batch)
        shares.append(supervision.measures["train_converged"].item())
    assert shares[0] == 0
    assert shares[-1] == 1
    # The places belong to the images, and to the checkpoint.
    resumed = ProjectionSupervision(supervision.loss)
    resumed.load_state_dict(supervision.state_dict())
    order = [2, 0, 1]
    shuffled = {name: each[order] for name, each in targets.items()}
    resumed(logits[order], {"targets": shuffled, "index": batch["index"][order]})
    assert resumed.measures["train_converged"].item() == 1


def test_a_price_on_boundaries_is_added_and_logged_by_its_name() -> None:
    logits, edges = torch.randn(2, 3, 8, 8), EdgeLengthLoss(0.5, softmax=True)
    batch = {"mask": torch.randint(0, 3, (2, 8, 8)), "image": torch.randn(2, 1, 8, 8)}
    along = EdgeLengthSupervision(edges)
    both = CombinedSupervision(PixelSupervision(), along, weight=0.1, name="train_edge_length")
    price = edges(logits, batch["image"])
    torch.testing.assert_close(both(logits, batch), PixelSupervision()(logits, batch) + 0.1 * price)
    torch.testing.assert_close(both.measures["train_edge_length"], price)


def test_a_volume_has_boundaries_between_slices_too() -> None:
    logits, images = torch.randn(4, 2, 8, 8), torch.randn(4, 1, 8, 8)
    supervision = EdgeLengthSupervision(EdgeLengthLoss(0.5, softmax=True))
    batch = {"image": images, "index": torch.arange(4), "targets": {}}
    volume = logits.movedim(0, 1)[None], images.movedim(0, 1)[None]
    torch.testing.assert_close(supervision(*as_volume(logits, batch)), supervision.loss(*volume))
