"""The ONNX target on a real export of a toy tower, checked by onnx and run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from torch.export import ExportedProgram

from edgekit.errors import InputError, UnsupportedOpError, UsageError
from edgekit.model.embedder import Embedder
from edgekit.targets.base import LowerOptions
from edgekit.targets.onnx import backend as target
from tests.targets.conftest import METADATA, SIZE, build, check_embeds

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


@pytest.fixture(scope="module")
def model(rebuilt: tuple[Path, Path]) -> onnx.ModelProto:
    return onnx.load(rebuilt[0] / "onnx-fp32")


@pytest.mark.parametrize(("precision", "cosine"), [("fp32", 0.999999), ("fp16", 0.999)])
def test_the_file_embeds_as_the_module_does(
    rebuilt: tuple[Path, Path], precision: str, cosine: float, embedder: Embedder, images: np.ndarray
) -> None:
    check_embeds(target.open(rebuilt[0] / f"onnx-{precision}"), "onnxruntime", embedder, images, cosine)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_file_is_portable_onnx_with_float32_borders(rebuilt: tuple[Path, Path], precision: str) -> None:
    proto = onnx.load(rebuilt[0] / f"onnx-{precision}")
    onnx.checker.check_model(proto, full_check=True)
    assert [(item.domain, item.version) for item in proto.opset_import] == [("", target.OPSET)]
    assert {node.domain for node in proto.graph.node} == {""}
    (image,), (embedding,) = proto.graph.input, proto.graph.output
    assert (image.name, embedding.name) == ("image", "embedding")
    assert image.type.tensor_type.elem_type == embedding.type.tensor_type.elem_type == FLOAT
    assert [size.dim_value for size in image.type.tensor_type.shape.dim] == [1, 3, SIZE, SIZE]


def test_half_precision_halves_the_weights(rebuilt: tuple[Path, Path]) -> None:
    half = onnx.load(rebuilt[0] / "onnx-fp16").graph.initializer
    kinds = {tensor.data_type for tensor in half if np.prod(tensor.dims) > 100}
    assert kinds == {HALF}


def test_metadata_is_what_the_options_say(model: onnx.ModelProto) -> None:
    properties = {item.key: item.value for item in model.metadata_props}
    assert {key: properties[f"edgekit.{key}"] for key in METADATA} == METADATA
    assert properties["edgekit.input_size"] == f"{SIZE}x{SIZE}"
    assert properties["edgekit.precision"] == "fp32"
    assert model.producer_name == "edgekit"
    assert "0-255" in model.graph.input[0].doc_string


def test_nothing_in_the_file_tells_where_it_was_made(rebuilt: tuple[Path, Path], model: onnx.ModelProto) -> None:
    content = (rebuilt[0] / "onnx-fp32").read_bytes()
    assert not any(word in content for word in (b"site-packages", b".py", b"stack_trace", b"pkg.torch"))
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_two_processes_write_the_same_bytes(
    rebuilt: tuple[Path, Path], tree: Callable[[Path], dict[str, bytes]], precision: str
) -> None:
    one, two = (tree(folder / f"onnx-{precision}") for folder in rebuilt)
    assert one == two


def test_a_dynamic_batch_gives_the_rows_of_single_images(
    tmp_path: Path, embedder: Embedder, images: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "toy.onnx"
    program = build("onnx", dynamic_batch=True)
    coverage = target.lower(program, path, LowerOptions(dynamic_batch=True))
    assert capfd.readouterr() == ("", "")
    assert (coverage.delegated, coverage.outside) == (1.0, {})
    assert onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    runner = target.open(path)
    together, alone = runner.embed(images[:3]), np.concatenate([runner.embed(images[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together, embedder.embed(images[:3]), atol=1e-5)


def test_a_dynamic_batch_wants_a_program_captured_for_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="capture it with a dynamic batch"):
        target.lower(build("onnx"), tmp_path / "toy.onnx", LowerOptions(dynamic_batch=True))


def test_byte_images_go_in_as_they_are(tmp_path: Path, embedder: Embedder, images: np.ndarray) -> None:
    path = tmp_path / "toy.onnx"
    target.lower(build("onnx", uint8_input=True), path, LowerOptions())
    runner = target.open(path)
    assert onnx.load(path).graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert runner.input_size == (SIZE, SIZE)
    np.testing.assert_allclose(runner.embed(images), embedder.embed(images), atol=1e-5)


def test_an_unsupported_op_is_named_with_its_module(exotic: ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOpError, match=r"svd.*head\.1") as caught:
        target.lower(exotic, tmp_path / "exotic.onnx", LowerOptions())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a" * 4000], ids=["empty", "text", "noise"])
def test_a_file_that_is_no_model_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.onnx") as caught:
        target.open(path)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_one_clear_line(rebuilt: tuple[Path, Path], tmp_path: Path) -> None:
    content = (rebuilt[0] / "onnx-fp32").read_bytes()
    for share in (0.1, 0.5, 0.99):
        path = tmp_path / "short.onnx"
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError) as caught:
            target.open(path)
        assert "\n" not in str(caught.value)


def test_weights_are_not_read_from_outside_the_files_folder(model: onnx.ModelProto, tmp_path: Path) -> None:
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    secret, folder = tmp_path / "secret.bin", tmp_path / "model"
    secret.write_bytes(weight.raw_data)
    folder.mkdir()
    for location in ("../secret.bin", str(secret), "link.bin"):
        hostile = onnx.ModelProto()
        hostile.CopyFrom(model)
        tensor = next(item for item in hostile.graph.initializer if item.name == weight.name)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        (folder / "hostile.onnx").write_bytes(hostile.SerializeToString())
        if location == "link.bin":
            (folder / location).symlink_to(secret)
        with pytest.raises(InputError):
            target.open(folder / "hostile.onnx")


def test_the_runner_refuses_images_of_another_shape(rebuilt: tuple[Path, Path], images: np.ndarray) -> None:
    runner = target.open(rebuilt[0] / "onnx-fp32")
    for wrong in (images[:, :32], images.astype(np.float32), images[0]):
        with pytest.raises(UsageError, match="resize"):
            runner.embed(wrong)
