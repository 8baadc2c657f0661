"""Ports, images, precision and errors of an opened model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit import mil
from edgekit.errors import InputError, UnsupportedOpError

from .cases import floats, save

X, Y = floats(3, 5), floats(3, 5, seed=1, low=0.1)


def test_every_fp16_op_rounds_its_result_once(tmp_path: Path) -> None:
    def build(mb: Any, i: Any) -> Any:
        x, y = i["x"], i["y"]
        sums = mb.add(x=x, y=y)
        return {
            "sum": sums,
            "product": mb.mul(x=sums, y=y),
            "quotient": mb.real_div(x=x, y=y),
            "root": mb.sqrt(x=y),
            "power": mb.exp(x=sums),
            "total": mb.reduce_sum(x=mb.mul(x=x, y=y), axes=[1]),
            "huge": mb.mul(x=y, y=np.float16(60000)),
        }

    path = save(build, {"x": X, "y": Y}, tmp_path / "half.mlpackage", "iOS16", half=True)
    got = mil.load(path).predict({"x": X, "y": Y})
    x, y = X.astype(np.float16), Y.astype(np.float16)
    wide = (x * y).astype(np.float32)
    with np.errstate(over="ignore"):
        expected = {
            "sum": x + y,
            "product": (x + y) * y,
            "quotient": x / y,
            "root": np.sqrt(y),
            "power": np.exp((x + y).astype(np.float32)).astype(np.float16),
            "total": wide.sum(1).astype(np.float16),
            "huge": y * np.float16(60000),
        }
    assert np.isinf(expected["huge"]).any()
    for name, value in expected.items():
        assert got[name].dtype == np.float16
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_fp16_input_is_rounded_and_fp32_is_not(tmp_path: Path) -> None:
    x = np.array([[1.0001, 2049.0]], np.float32)
    for half, expected in ((True, [[1.0, 2048.0]]), (False, x)):
        path = save(lambda mb, i: {"y": i["x"]}, {"x": x}, tmp_path / f"{half}.mlpackage", "iOS16", half=half)
        np.testing.assert_array_equal(mil.load(path).predict({"x": x})["y"], np.asarray(expected, np.float32))


def image_model(path: Any, layout: Any, channels: Any = 3, scale: Any = 1.0, bias: Any = None) -> Any:
    """Convert a torch module that returns its image input, through coremltools' own image handling."""
    import coremltools as ct
    import torch

    class Copy(torch.nn.Module):
        def forward(self, image: Any) -> Any:
            return image * 1.0

    exported = torch.export.export(Copy(), (torch.zeros(1, channels, 4, 6),)).run_decompositions({})
    image = ct.ImageType(
        name="image", shape=(1, channels, 4, 6), color_layout=layout, scale=scale, bias=bias or [0.0] * channels
    )
    model = ct.convert(
        exported, inputs=[image], outputs=[ct.TensorType(name="y")], compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS16,
    )  # fmt: skip
    model.save(str(path))
    return mil.load(path)


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3)).astype(np.uint8)


def test_rgb_image_with_scale_and_bias(tmp_path: Path) -> None:
    model = image_model(tmp_path / "m.mlpackage", "RGB", scale=1 / 127.5, bias=[-1.0, -0.5, 0.25])
    expected = IMAGES.transpose(0, 3, 1, 2) / 127.5 + np.array([-1.0, -0.5, 0.25]).reshape(3, 1, 1)
    got = model.predict({"image": IMAGES})["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.predict({"image": IMAGES[1]})["y"], got[1:2])
    port = model.inputs[0]
    assert (port.name, port.kind, port.shape, port.dtype, port.color) == (
        "image",
        "image",
        (1, 3, 4, 6),
        "uint8",
        "RGB",
    )
    assert model.input_size == (4, 6)
    assert [p.name for p in model.outputs] == ["y"]
    assert model.op_counts["mul"] >= 1


def test_bgr_image(tmp_path: Path) -> None:
    got = image_model(tmp_path / "m.mlpackage", "BGR").predict({"image": IMAGES})["y"]
    np.testing.assert_array_equal(got, IMAGES[..., ::-1].transpose(0, 3, 1, 2))


def test_grayscale_image_takes_pillows_luma(tmp_path: Path) -> None:
    got = image_model(tmp_path / "m.mlpackage", "G", channels=1).predict({"image": IMAGES})["y"]
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in IMAGES]
    np.testing.assert_array_equal(got[:, 0], np.stack(expected))


@pytest.fixture(scope="module")
def gray(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return image_model(tmp_path_factory.mktemp("gray") / "m.mlpackage", "G", channels=1)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "input image is missing"),
        ({"image": IMAGES, "other": IMAGES}, "input other is unknown"),
        ({"image": IMAGES.astype(np.float32)}, r"takes uint8 \[N,H,W,3\], got float32"),
        ({"image": IMAGES[..., :2]}, r"takes uint8"),
        ({"image": IMAGES[:, :3]}, r"takes \[1, 1, 4, 6\]"),
        ({"image": IMAGES[:0]}, "no image was given"),
    ],
)
def test_wrong_images_are_named(gray: Any, inputs: Any, message: Any) -> None:
    with pytest.raises(InputError, match=message):
        gray.predict(inputs)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:2], r"takes \[3, 5\], got float32 \[2, 5\]"),
        (X[0], r"takes \[3, 5\]"),
        (np.array([["a"] * 5] * 3), "takes float32 numbers"),
    ],
)
def test_wrong_tensors_are_named(tmp_path: Path, x: Any, message: Any) -> None:
    path = save(lambda mb, i: {"y": mb.relu(x=i["x"])}, {"x": X}, tmp_path / "m.mlpackage")
    model = mil.load(path)
    with pytest.raises(InputError, match=message):
        model.predict({"x": x})
    with pytest.raises(InputError, match="no image input"):
        model.input_size


def test_results_belong_to_the_caller(tmp_path: Path) -> None:
    """Inputs, weights and constants stay what they were, whatever is done to the outputs."""

    def build(mb: Any, i: Any) -> Any:
        held = mb.add(x=np.ones((3, 5), np.float32), y=np.float32(1))
        return {"same": i["x"], "constant": held, "sum": mb.add(x=i["x"], y=held)}

    model = mil.load(save(build, {"x": X}, tmp_path / "m.mlpackage"))
    given = X.copy()
    first = model.predict({"x": given})
    for value in first.values():
        value[:] = -7
    np.testing.assert_array_equal(given, X)
    second = model.predict({"x": given})
    np.testing.assert_array_equal(second["constant"], np.full((3, 5), 2))
    np.testing.assert_array_equal(second["sum"], X + 2)


def test_a_form_of_an_op_that_is_not_known_is_named(tmp_path: Path) -> None:
    def build(mb: Any, i: Any) -> Any:
        y = mb.resample(
            x=i["x"], coordinates=np.zeros((1, 2, 2, 2), np.float32), sampling_mode="bilinear",
            padding_mode="reflection", padding_value=0.0, coordinates_mode="normalized_minus_one_to_one",
            align_corners=False, name="odd",
        )  # fmt: skip
        return {"y": y}

    x = floats(1, 1, 4, 4)
    model = mil.load(save(build, {"x": x}, tmp_path / "m.mlpackage"))
    with pytest.raises(UnsupportedOpError, match=r"form of the op resample \(named odd\).*reflection"):
        model.predict({"x": x})
