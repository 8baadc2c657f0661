from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from edgekit.data.images import preprocess
from edgekit.distillation.augment import AUGMENTATIONS, PARAMETERS, Augmentation, apply, canvas, draw, evaluate
from edgekit.recipe import InputSpec
from tests.distillation.conftest import Photos

NEUTRAL = (0.5, 0.5, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0)
SEEDS = st.integers(0, 2**32 - 1)
ROWS = st.lists(st.tuples(st.integers(0, 2**31), st.integers(0, 1023)), min_size=1, max_size=8)


def photo(height: int, width: int, index: int = 0) -> np.ndarray:
    return Photos(8).read(index, (height, width))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def as_read(image: np.ndarray, size: tuple[int, int]) -> Tensor:
    """An image as every data set reads it."""
    return torch.from_numpy(preprocess(image, InputSpec(size=size, crop_pct=1.0)))[None]


def view(images: Tensor, size: tuple[int, int], **changes: float) -> Tensor:
    names = ("y", "x", "height", "width", "mirror", "brightness", "contrast", "saturation")
    values = dict(zip(names, NEUTRAL, strict=True)) | changes
    return apply(images, torch.tensor([list(values.values())]).expand(len(images), -1), size)


# -- what evaluation sees ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 64), (96, 96), (224, 224), (96, 64)])
@pytest.mark.parametrize("crop_pct", [0.8, 0.875, 0.9, 0.95, 1.0])
def test_without_parameters_a_photo_is_cropped_as_at_evaluation(size: tuple[int, int], crop_pct: float) -> None:
    spec = InputSpec(size=size, crop_pct=crop_pct)
    # of the canvas' own proportions: where both sides are cropped twice, each rounds for itself (see below)
    height, width = canvas(spec, size)
    image = noise(2 * height, 2 * width)
    expected = preprocess(image, spec)
    got = apply(as_read(image, canvas(spec, size)), None, size)
    assert got.dtype == torch.float32
    np.testing.assert_array_equal(got[0].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("shape", [(301, 200), (200, 333), (224, 500), (97, 101)])
@pytest.mark.parametrize(("size", "crop_pct"), [(64, 0.875), (64, 0.95), (224, 0.875), (160, 0.95)])
def test_a_long_photo_s_crop_is_that_of_evaluation_within_a_pixel(
    shape: tuple[int, int], size: int, crop_pct: float
) -> None:
    spec = InputSpec(size=(size, size), crop_pct=crop_pct)
    image = noise(*shape)
    expected = preprocess(image, spec).astype(int)
    got = apply(as_read(image, canvas(spec, spec.size)), None, spec.size)[0].permute(1, 2, 0).numpy().astype(int)
    along = int(shape[1] > shape[0])
    shifts = [np.roll(got, by, along) - expected for by in (-1, 0, 1)]
    inner = (slice(1, -1), slice(1, -1))
    assert min(np.abs(shift[inner]).max() for shift in shifts) == 0


def test_the_evaluation_crop_lies_in_the_middle() -> None:
    pixels = torch.arange(10 * 12).float().view(1, 1, 10, 12)
    assert evaluate(pixels, (4, 6)).equal(pixels[:, :, 3:7, 3:9])
    assert evaluate(pixels, (10, 12)).equal(pixels)


# -- views ------------------------------------------------------------------------------------------------------------


def test_neutral_parameters_change_nothing() -> None:
    image = torch.from_numpy(np.stack([noise(48, 40), photo(48, 40)]))
    got = view(image, (48, 40))
    np.testing.assert_allclose(got.numpy(), image.permute(0, 3, 1, 2).numpy(), atol=0.05)


def test_mirroring_mirrors_left_and_right() -> None:
    image = torch.from_numpy(noise(40, 48))[None]
    np.testing.assert_allclose(
        view(image, (40, 48), mirror=1.0).numpy(), view(image, (40, 48)).flip(3).numpy(), atol=0.05
    )


def test_the_crop_is_where_the_parameters_say() -> None:
    image = torch.from_numpy(noise(40, 80))[None]
    got = view(image, (20, 20), y=0.75, x=0.125, height=0.5, width=0.25)
    np.testing.assert_allclose(got.numpy(), image.permute(0, 3, 1, 2)[:, :, 20:, :20].numpy(), atol=0.05)


def test_colour_parameters_by_hand() -> None:
    image = torch.zeros(1, 16, 16, 3, dtype=torch.uint8)
    image[..., 0], image[..., 1], image[..., 2] = 40, 80, 120
    middle = (0, slice(None), 8, 8)
    assert view(image, (16, 16), brightness=1.5)[middle].tolist() == pytest.approx([60, 120, 180], abs=0.01)
    assert view(image, (16, 16), saturation=0.5)[middle].tolist() == pytest.approx([60, 80, 100], abs=0.01)
    # grey 80 is also the photo's mean level, which contrast turns around
    assert view(image, (16, 16), contrast=2.0)[middle].tolist() == pytest.approx([0, 80, 160], abs=0.01)
    assert view(image, (16, 16), brightness=9.0).max() == 255
    flat = torch.full((1, 16, 16, 3), 100, dtype=torch.uint8)
    np.testing.assert_allclose(view(flat, (8, 8), contrast=0.2, saturation=3.0).numpy(), 100, atol=0.01)


def test_each_photo_has_its_own_view() -> None:
    images = torch.from_numpy(np.stack([noise(32, 32)] * 3))
    parameters = torch.from_numpy(draw(AUGMENTATIONS["strong"], 0, np.arange(3), np.zeros(3, int)))
    together = apply(images, parameters, (24, 24))
    alone = torch.cat([apply(images[i : i + 1], parameters[i : i + 1], (24, 24)) for i in range(3)])
    np.testing.assert_allclose(together.numpy(), alone.numpy(), atol=1e-3)
    assert (together[0] - together[1]).abs().mean() > 5


@settings(max_examples=60, deadline=None)
@given(SEEDS, ROWS, st.sampled_from(["light", "strong"]), st.randoms(use_true_random=False))
def test_parameters_depend_on_seed_row_and_view_alone_and_keep_their_ranges(
    seed: int, numbers: Any, kind: Any, random: Any
) -> None:
    augmentation = AUGMENTATIONS[kind]
    rows, views = (np.array(values) for values in zip(*numbers, strict=True))
    drawn = draw(augmentation, seed, rows, views)
    assert augmentation is not None
    assert drawn is not None
    assert drawn.shape == (len(rows), PARAMETERS)
    assert drawn.dtype == np.float32
    order = random.sample(range(len(rows)), len(rows))
    np.testing.assert_array_equal(draw(augmentation, seed, rows[order], views[order]), drawn[order])
    y, x, height, width, mirror, *colour = drawn.astype(np.float64).T
    for centre, extent in ((y, height), (x, width)):
        assert ((centre - extent / 2 > -1e-6) & (centre + extent / 2 < 1 + 1e-6)).all()
        assert ((extent > 0) & (extent <= 1)).all()
    # a side that would pass the photo's edge is cut, so an extreme crop can be smaller than the area drawn
    assert (height * width >= augmentation.area / augmentation.aspect - 1e-6).all()
    assert (np.maximum(height / width, width / height) <= augmentation.aspect + 1e-5).all()
    assert set(mirror) <= {0, 1}
    assert all((np.abs(values - 1) <= augmentation.jitter + 1e-6).all() for values in colour)


def test_seed_row_and_view_each_change_the_view() -> None:
    def one(seed: int, row: int, view: int) -> list[float]:
        drawn = draw(AUGMENTATIONS["light"], seed, np.array([row]), np.array([view]))
        return [] if drawn is None else drawn[0].tolist()

    assert len({tuple(one(*key)) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]}) == 4


def test_half_of_the_views_are_mirrored_and_crops_use_the_whole_range() -> None:
    drawn = draw(AUGMENTATIONS["strong"], 0, np.arange(2000), np.zeros(2000, int))
    assert drawn is not None
    area = drawn[:, 2] * drawn[:, 3]
    assert abs(drawn[:, 4].mean() - 0.5) < 0.05
    assert area.min() < 0.4
    assert area.max() > 0.9
    drawn = draw(Augmentation(1.0, 1.0, False, 0.0), 0, np.arange(9), np.zeros(9, int))
    assert drawn is not None
    assert (drawn == np.array(NEUTRAL)).all()


def test_no_augmentation_has_no_parameters() -> None:
    assert draw(AUGMENTATIONS["none"], 0, np.arange(3), np.zeros(3, int)) is None


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(["none", "light", "strong"]), st.tuples(st.integers(8, 40), st.integers(8, 40)))
def test_views_are_float32_between_0_and_255(seed: int, kind: str, size: tuple[int, int]) -> None:
    images = torch.from_numpy(np.stack([noise(40, 40), np.full((40, 40, 3), 255, np.uint8)]))
    drawn = draw(AUGMENTATIONS[kind], seed, np.arange(2), np.zeros(2, int))
    got = apply(images, None if drawn is None else torch.from_numpy(drawn), size)
    assert got.shape == (2, 3, *size)
    assert got.dtype == torch.float32
    assert got.min() >= 0
    assert got.max() <= 255


@pytest.mark.parametrize("kind", ["none", "light", "strong"])
def test_a_teacher_with_a_larger_input_sees_the_same_view(kind: str) -> None:
    source, count = Photos(12), 12
    drawn = draw(AUGMENTATIONS[kind], 7, np.arange(count), np.zeros(count, int))
    parameters = None if drawn is None else torch.from_numpy(drawn)
    seen = []
    for size in (128, 64):
        read = torch.from_numpy(
            np.stack([source.read(i, canvas(InputSpec(crop_pct=0.875), (size, size))) for i in range(count)])
        )
        seen.append(apply(read, parameters, (size, size)))
    difference = (F.avg_pool2d(seen[0], 2) - seen[1]).abs().mean((1, 2, 3))
    others = (seen[1] - seen[1].roll(1, 0)).abs().mean((1, 2, 3))
    assert difference.max() < 6  # half a pixel of the smaller one
    assert others.min() > 20
