"""The page's preprocessing in JavaScript is equal to Python's, to the last bit, on the same pixels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.data.images import MAX_PIXELS, preprocess
from edgekit.recipe import InputSpec
from tests.web.node import Node, node

pytestmark = pytest.mark.toolchain

FILTERS = ("bicubic", "bilinear", "nearest", "lanczos", "box", "hamming")
MODES = ("center", "squash", "border")
MEAN = (0.1, 0.5, 0.9)


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with node(tmp_path_factory.mktemp("node")) as running:
        yield running


def noise(height: int, width: int, seed: int, *, hard: bool) -> np.ndarray:
    """Noise, or hard edges, whose overshoot must be cut off at 0 and 255."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.where(pixels < 128, 0, 255).astype(np.uint8) if hard else pixels


@pytest.mark.parametrize(("filter_", "mode"), itertools.product(FILTERS, MODES))
def test_every_filter_and_crop_mode_is_equal(javascript: Node, filter_: str, mode: str) -> None:
    sizes = [(37, 53), (53, 37), (224, 224), (1, 1), (3, 200), (200, 3), (45, 45), (31, 301)]
    inputs = [((48, 48), 0.875), ((33, 45), 0.95), ((45, 32), 1.0), ((29, 29), 1.6)]
    for number, ((height, width), (size, crop)) in enumerate(itertools.product(sizes, inputs)):
        image = noise(height, width, number, hard=number % 2 == 0)
        spec = InputSpec(size=size, interpolation=filter_, crop_mode=mode, crop_pct=crop, mean=MEAN)
        np.testing.assert_array_equal(javascript.preprocess(image, spec), preprocess(image, spec), str((height, width)))


@settings(max_examples=300)
@given(data=st.data())
def test_any_size_is_equal(javascript: Node, data: st.DataObject) -> None:
    side = st.integers(1, 120)
    image = noise(data.draw(side), data.draw(side), data.draw(st.integers(0, 99)), hard=data.draw(st.booleans()))
    height = data.draw(st.integers(8, 64))
    spec = InputSpec(
        size=(height, data.draw(st.one_of(st.just(height), st.integers(8, 64)))),
        interpolation=data.draw(st.sampled_from(FILTERS)),
        crop_mode=data.draw(st.sampled_from(MODES)),
        crop_pct=data.draw(st.floats(0.3, 2)),
        mean=MEAN,
    )
    np.testing.assert_array_equal(javascript.preprocess(image, spec), preprocess(image, spec))


@settings(max_examples=200)
@given(data=st.data())
def test_a_resize_is_pillows(javascript: Node, data: st.DataObject) -> None:
    side = st.integers(1, 150)
    image = noise(data.draw(side), data.draw(side), data.draw(st.integers(0, 99)), hard=data.draw(st.booleans()))
    width, height, name = data.draw(side), data.draw(side), data.draw(st.sampled_from(FILTERS))
    wanted = Image.fromarray(image).resize((width, height), Image.Resampling[name.upper()])
    np.testing.assert_array_equal(javascript.call("resize", image, width, height, name), np.asarray(wanted))


def test_a_strip_is_cropped_in_the_same_step_as_it_is_scaled(javascript: Node) -> None:
    image, spec = noise(1, 20_000, 0, hard=False), InputSpec(size=(224, 224), crop_pct=0.875)
    assert MAX_PIXELS < (224 / 0.875) ** 2 * 20_000
    np.testing.assert_array_equal(javascript.preprocess(image, spec), preprocess(image, spec))


def test_a_filter_that_there_is_not_is_refused(javascript: Node) -> None:
    with pytest.raises(RuntimeError, match="interpolation toString is unknown"):
        javascript.call("resize", noise(4, 4, 0, hard=False), 2, 2, "toString")
