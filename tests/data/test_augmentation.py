from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from shapewise.data.augmentation import Augmentation, gaussian_blur, inverse, warp
from shapewise.descriptors import centroid, spread, volume
from shapewise.errors import ArgumentError

EVERYTHING = Augmentation(blur=1.5, shift=0.1, scale=0.2, rotation=25, flip=True)
GEOMETRIC = {
    "shift": Augmentation(shift=0.1),
    "scale": Augmentation(scale=0.2),
    "rotation": Augmentation(rotation=30),
    "flip": Augmentation(flip=True),
    "all": Augmentation(shift=0.1, scale=0.2, rotation=30, flip=True),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def disc(height: int, width: int, radius: float = 14) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    inside = (rows - 0.45 * height) ** 2 + (columns - 0.55 * width) ** 2 <= radius**2
    return F.one_hot(inside.long(), 2).movedim(-1, 0)[None].float()


def waves(height: int, width: int) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (torch.sin(rows / 9) + torch.cos(columns / 7)).float()[None, None]


def move(images: Tensor, augmentation: Augmentation, seed: int = 0) -> tuple[Tensor, Tensor | None]:
    source = generator(seed)
    theta = augmentation.sample(images, source)
    return augmentation.apply(images, theta, source), theta


def test_no_augmentation_is_the_identity_itself() -> None:
    images = torch.rand(2, 1, 8, 8)
    augmented, theta = move(images, Augmentation())
    assert theta is None
    assert augmented is images
    assert Augmentation.unwarp(images, theta) is images


def test_blur_alone_moves_no_pixel() -> None:
    images = torch.rand(2, 1, 8, 8)
    augmented, theta = move(images, Augmentation(blur=1.0))
    assert theta is None
    assert not torch.equal(augmented, images)


def test_the_same_generator_gives_the_same_batch_and_another_one_does_not() -> None:
    images = torch.rand(4, 1, 16, 12)
    torch.testing.assert_close(move(images, EVERYTHING, 3)[0], move(images, EVERYTHING, 3)[0], rtol=0, atol=0)
    assert not torch.equal(move(images, EVERYTHING, 3)[0], move(images, EVERYTHING, 4)[0])


def test_every_image_draws_its_own_change() -> None:
    augmented, theta = move(torch.rand(1, 1, 16, 12).expand(6, -1, -1, -1), EVERYTHING)
    assert len(theta.unique(dim=0)) == 6
    assert len(augmented.unique(dim=0)) == 6


@pytest.mark.parametrize("shape", [(96, 96), (80, 112)])
@pytest.mark.parametrize("name", GEOMETRIC)
def test_unwarping_undoes_warping_in_the_interior(name: str, shape: tuple[int, int]) -> None:
    images = waves(*shape).expand(8, -1, -1, -1)
    augmented, theta = move(images, GEOMETRIC[name])
    back = Augmentation.unwarp(augmented, theta)
    interior = (slice(None), slice(None), slice(28, -28), slice(28, -28))
    torch.testing.assert_close(back[interior], images[interior], atol=0.02, rtol=0)


@pytest.mark.parametrize("shape", [(96, 96), (80, 112)])
@pytest.mark.parametrize("name", GEOMETRIC)
def test_a_disc_is_described_alike_after_the_round_trip(name: str, shape: tuple[int, int]) -> None:
    original = disc(*shape).expand(8, -1, -1, -1)
    augmented, theta = move(original, GEOMETRIC[name])
    back = Augmentation.unwarp(augmented, theta)
    torch.testing.assert_close(volume(back), volume(original), rtol=0.015, atol=0)
    torch.testing.assert_close(centroid(back), centroid(original), rtol=0, atol=0.15)
    torch.testing.assert_close(spread(back), spread(original), rtol=0.02, atol=0)


@pytest.mark.parametrize("shape", [(96, 96), (80, 112)])
def test_ranges_are_what_they_say(shape: tuple[int, int]) -> None:
    original = disc(*shape).expand(200, -1, -1, -1)
    before, area = centroid(original)[:, 1], volume(original)[:, 1]

    shifted, _ = move(original, Augmentation(shift=0.1))
    moved = (centroid(shifted)[:, 1] - before) / torch.tensor(shape)
    assert 0.09 < moved.abs().max() < 0.102
    torch.testing.assert_close(volume(shifted)[:, 1], area, rtol=0.01, atol=0)

    scaled, _ = move(original, Augmentation(scale=0.2))
    factor = (volume(scaled)[:, 1] / area).sqrt()
    assert 0.79 < factor.min() < 0.83
    assert 1.17 < factor.max() < 1.21

    turned, _ = move(original, Augmentation(rotation=30))
    torch.testing.assert_close(volume(turned)[:, 1], area, rtol=0.01, atol=0)
    torch.testing.assert_close(spread(turned)[:, 1], spread(original)[:, 1], rtol=0.02, atol=0)
    middle = (torch.tensor(shape) - 1) / 2
    old, new = (torch.complex(*(c - middle).T) for c in (before, centroid(turned)[:, 1]))
    angles = (new / old).angle().rad2deg().abs()
    assert 28 < angles.max() < 30.5


def test_flips_mirror_each_axis_half_of_the_time() -> None:
    image = torch.rand(1, 1, 6, 9)
    augmented, _ = move(image.expand(400, -1, -1, -1), Augmentation(flip=True))
    kinds = [image, image.flip(2), image.flip(3), image.flip(2, 3)]
    shares = [sum(torch.allclose(one, kind[0], atol=1e-5) for one in augmented) / 400 for kind in kinds]
    assert sum(shares) == 1
    assert all(0.17 < share < 0.33 for share in shares)


def test_the_inverse_of_the_inverse_is_the_map_itself() -> None:
    theta = EVERYTHING.sample(torch.zeros(5, 1, 30, 40), generator())
    torch.testing.assert_close(inverse(inverse(theta)), theta)


def test_a_blur_is_a_gaussian_of_its_own_width_for_every_image() -> None:
    point = torch.zeros(3, 2, 41, 41, dtype=torch.float64)
    point[..., 20, 20] = 1
    sigma = torch.tensor([0.0, 1.0, 2.5], dtype=torch.float64)
    blurred = gaussian_blur(point, sigma, radius=15)
    torch.testing.assert_close(volume(blurred), volume(point))
    measured = spread(blurred)
    torch.testing.assert_close(measured, sigma[:, None, None].expand(3, 2, 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(blurred[0], point[0], rtol=0, atol=0)


def test_gradients_reach_the_logits_through_the_way_back() -> None:
    logits = torch.rand(2, 2, 7, 8, dtype=torch.float64, requires_grad=True)
    theta = Augmentation(shift=0.05, scale=0.1, rotation=10).sample(logits, generator())
    torch.autograd.gradcheck(lambda x: Augmentation.unwarp(x, theta.double()), (logits,))


def test_autocast_does_not_misplace_pixels() -> None:
    images = waves(64, 64).expand(2, -1, -1, -1)
    plain, theta = move(images, EVERYTHING)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, mixed_theta = move(images, EVERYTHING)
        back = Augmentation.unwarp(mixed, mixed_theta)
    torch.testing.assert_close(mixed, plain)
    torch.testing.assert_close(back, warp(plain, inverse(theta)))
    assert Augmentation.unwarp(images.bfloat16(), theta).dtype == torch.float32


@pytest.mark.parametrize(
    ("argument", "value"), [("blur", -1.0), ("shift", math.nan), ("scale", 1.0), ("rotation", math.inf)]
)
def test_ranges_that_mean_nothing_are_refused(argument: str, value: float) -> None:
    with pytest.raises(ArgumentError, match=argument):
        Augmentation(**{argument: value})
