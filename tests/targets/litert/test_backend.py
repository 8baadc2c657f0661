"""The LiteRT target on a real export of a toy tower, run by LiteRT's interpreter."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit.errors import InputError, UnsupportedOpError, UsageError
from edgekit.graph import capture, rewrite
from edgekit.model.embedder import Embedder
from edgekit.recipe import InputSpec
from edgekit.targets import LowerOptions, find
from edgekit.targets.litert import backend as target
from edgekit.targets.litert.verify import verified
from tests import half_toys
from tests.targets.conftest import METADATA, PRECISIONS, SIZE, build, check_embeds, made_twice


def write(folder: Path) -> None:
    for precision in PRECISIONS:
        options = LowerOptions(precision=precision, metadata=METADATA)
        target.lower(build("litert"), folder / f"{precision}.tflite", options)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same files from two processes with different hash seeds."""
    return made_twice(write, tmp_path_factory)


@pytest.fixture(scope="module")
def model(files: tuple[Path, Path]) -> Any:
    """The file as the schema reads it."""
    return schema.ModelT.InitFromPackedBuf(bytearray((files[0] / "fp32.tflite").read_bytes()), 0)


def kinds(model: Any) -> list[str]:
    """The file's operators, by name, as they run."""
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    codes = [names[code.builtinCode] for code in model.operatorCodes]
    return [codes[operator.opcodeIndex] for operator in model.subgraphs[0].operators]


@pytest.mark.parametrize(("precision", "cosine"), [("fp32", 0.999999), ("fp16", 0.9999)])
def test_the_file_embeds_as_the_module_does(
    files: tuple[Path, Path], precision: str, cosine: float, embedder: Embedder, images: np.ndarray
) -> None:
    check_embeds(target.open(files[0] / f"{precision}.tflite"), "litert", embedder, images, cosine)


def test_the_signature_names_the_image_with_its_channels_last_and_the_embedding(
    files: tuple[Path, Path], images: np.ndarray, embedder: Embedder
) -> None:
    interpreter = Interpreter(str(files[0] / "fp32.tflite"))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["embedding"]}}
    run = interpreter.get_signature_runner()
    detail = run.get_input_details()["image"]
    assert (detail["shape"].tolist(), detail["dtype"]) == ([1, SIZE, SIZE, 3], np.float32)
    found = run(image=images[:1].astype(np.float32))["embedding"]
    np.testing.assert_allclose(found, embedder.embed(images[:1]), atol=1e-5)


def test_nothing_transposes_the_image(model: Any) -> None:
    assert "TRANSPOSE" not in kinds(model)[:8]
    assert "CUSTOM" not in kinds(model)


def test_xnnpack_takes_the_whole_toy(tmp_path: Path) -> None:
    coverage = target.lower(build("litert"), tmp_path / "toy.tflite", LowerOptions())
    assert (coverage.backend, coverage.delegated, coverage.outside) == ("XNNPACK", 1.0, {})
    assert coverage.partitions == 1


def test_half_precision_halves_the_weights(files: tuple[Path, Path]) -> None:
    own = schema.ModelT.InitFromPackedBuf(bytearray((files[0] / "fp16.tflite").read_bytes()), 0)
    tensors = own.subgraphs[0].tensors
    large = {item.type for item in tensors if own.buffers[item.buffer].data is not None and np.prod(item.shape) > 200}
    assert large == {schema.TensorType.FLOAT16}


def test_the_weights_of_marked_calls_stay_in_float32(tmp_path: Path) -> None:
    program = build("litert")
    calls = frozenset(node.name for node in program.graph.nodes if node.op == "call_function")
    target.lower(program, tmp_path / "wide.tflite", LowerOptions(precision="fp16", float32_calls=calls))
    own = schema.ModelT.InitFromPackedBuf(bytearray((tmp_path / "wide.tflite").read_bytes()), 0)
    assert schema.TensorType.FLOAT16 not in {item.type for item in own.subgraphs[0].tensors}


@pytest.mark.parametrize("toy", ["large", "tiny", "every"])
def test_half_precision_needs_no_second_try_where_values_leave_its_range(
    toy: str, tmp_path: Path, images: np.ndarray
) -> None:
    """Weights alone are in half precision: what is computed, and weights too small for it, are float32."""
    own = Embedder(getattr(half_toys, toy)(), InputSpec(size=(SIZE, SIZE))).eval()
    program, _ = rewrite(capture(own, own.example()), "litert")
    target.lower(program, tmp_path / "large.tflite", LowerOptions(precision="fp16"))
    found, wanted = target.open(tmp_path / "large.tflite").embed(images), own.embed(images)
    assert (found * wanted).sum(axis=1).min() >= 0.9999


def test_metadata_is_what_the_options_say(model: Any) -> None:
    found = {item.name.decode(): bytes(model.buffers[item.buffer].data).decode() for item in model.metadata}
    assert {key: found[f"edgekit.{key}"] for key in METADATA} == METADATA
    assert found["edgekit.input_size"] == f"{SIZE}x{SIZE}"
    assert found["edgekit.precision"] == "fp32"
    assert model.description.decode() == METADATA["description"]


def test_nothing_in_the_file_tells_where_it_was_made(files: tuple[Path, Path]) -> None:
    content = (files[0] / "fp32.tflite").read_bytes()
    assert not any(word in content for word in (b"site-packages", b".py", b"stack_trace", b"litert_torch"))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_processes_write_the_same_bytes(files: tuple[Path, Path], precision: str) -> None:
    one, two = ((folder / f"{precision}.tflite").read_bytes() for folder in files)
    assert one == two


def test_byte_images_go_in_as_they_are(tmp_path: Path, embedder: Embedder, images: np.ndarray) -> None:
    path = tmp_path / "toy.tflite"
    target.lower(build("litert", uint8_input=True), path, LowerOptions())
    runner = target.open(path)
    (detail,) = Interpreter(str(path)).get_input_details()
    assert (detail["shape"].tolist(), detail["dtype"]) == ([1, SIZE, SIZE, 3], np.uint8)
    np.testing.assert_allclose(runner.embed(images), embedder.embed(images), atol=1e-5)


def test_a_dynamic_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one image at a time"):
        target.lower(build("litert"), tmp_path / "toy.tflite", LowerOptions(dynamic_batch=True))


def test_the_row_says_what_the_files_take() -> None:
    row = find("android", "litert")
    assert (row.channels_last, row.uint8_input, row.dynamic_batch) == (True, True, False)


def test_an_unsupported_op_is_named_with_its_module(exotic: ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOpError, match=r"svd.*head\.1") as caught:
        target.lower(exotic, tmp_path / "exotic.tflite", LowerOptions())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exotic.tflite").exists()


class Cumulative(nn.Module):
    """A model with an operator that litert-torch's converter writes, between two that EdgeKit does."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 4, stride=4)

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.normalize(self.stem(image / 255).cumsum(1).mean((2, 3)), dim=1)


class Enlarged(nn.Module):
    """A bicubic resize, which litert-torch writes, and an activation that LiteRT's own operators could take in."""

    def forward(self, image: Tensor) -> Tensor:
        large = nn.functional.interpolate(image / 255 - 0.5, size=(21, 19), mode="bicubic")
        return nn.functional.normalize(large.relu().mean((2, 3)), dim=1)


@pytest.mark.parametrize("kind", [Cumulative, Enlarged])
def test_other_operators_come_from_litert_torch(kind: type[nn.Module], tmp_path: Path) -> None:
    module = kind().eval()
    image = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    program, _ = rewrite(capture(module, torch.rand(1, 3, 16, 16) * 255), "litert")
    target.lower(program, tmp_path / "sums.tflite", LowerOptions())
    with torch.no_grad():
        wanted = module(torch.from_numpy(image).permute(0, 3, 1, 2).float()).numpy()
    np.testing.assert_allclose(target.open(tmp_path / "sums.tflite").embed(image), wanted, atol=1e-5)


def test_xnnpack_takes_a_pool_of_one_pixel(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AvgPool2d(1, 2), nn.Flatten()).eval()
    image = np.random.default_rng(0).integers(0, 256, (1, 10, 10, 3), np.uint8)
    pixels = torch.from_numpy(image).permute(0, 3, 1, 2).float()
    program, _ = rewrite(capture(module, pixels), "litert")
    coverage = target.lower(program, tmp_path / "pool.tflite", LowerOptions())
    assert (coverage.delegated, coverage.outside, coverage.partitions) == (1.0, {}, 1)
    with torch.no_grad():
        np.testing.assert_allclose(
            target.open(tmp_path / "pool.tflite").embed(image), module(pixels), rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a" * 4000, b"\x1c\0\0\0TFL3" + b"\xff" * 400])
def test_a_file_that_is_no_model_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.tflite") as caught:
        target.open(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.tflite"):
        target.open(tmp_path / "none.tflite")


def test_a_truncated_file_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    content = (files[0] / "fp32.tflite").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        with pytest.raises(InputError, match="short") as caught:
            verified(content[: int(len(content) * share)], tmp_path / "short.tflite")
        assert "\n" not in str(caught.value)


def test_offsets_beyond_the_file_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    content = bytearray((files[0] / "fp32.tflite").read_bytes())
    content[:4] = (len(content) + 64).to_bytes(4, "little")
    with pytest.raises(InputError, match="points beyond the file"):
        verified(bytes(content), tmp_path / "hostile.tflite")


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _custom(model: Any) -> None:
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 32
    model.operatorCodes[0].customCode = "TheirOwn"


def _no_tensor(model: Any) -> None:
    model.subgraphs[0].operators[0].inputs = [len(model.subgraphs[0].tensors) + 5]


def _no_buffer(model: Any) -> None:
    model.subgraphs[0].tensors[0].buffer = len(model.buffers) + 5


def _short_constant(model: Any) -> None:
    model.buffers[1].data = model.buffers[1].data[:-1]


def _behind_the_end(model: Any) -> None:
    model.buffers[1].offset, model.buffers[1].size = 1 << 40, len(model.buffers[1].data)


def _huge(model: Any) -> None:
    model.subgraphs[0].tensors[0].shape = [1, 2**20, 2**20, 3]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_custom, "CUSTOM"),
        (_no_tensor, "reads no tensor"),
        (_no_buffer, "no type or has no values"),
        (_short_constant, "another number of values"),
        (_huge, "too large"),
        (_behind_the_end, "a constant reaches beyond the file"),
    ],
)
def test_what_points_to_nothing_or_runs_foreign_code_is_refused(
    files: tuple[Path, Path], edit: Any, reason: str, tmp_path: Path
) -> None:
    own = schema.ModelT.InitFromPackedBuf(bytearray((files[0] / "fp32.tflite").read_bytes()), 0)
    edit(own)
    with pytest.raises(InputError, match=reason):
        verified(_packed(own), tmp_path / "hostile.tflite")


def test_constants_behind_the_flatbuffer_are_read(files: tuple[Path, Path], images: np.ndarray, tmp_path: Path) -> None:
    """Where ai-edge-quantizer puts them."""
    content = (files[0] / "fp32.tflite").read_bytes()
    own = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    largest = max(own.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    values, largest.data = bytes(largest.data), None
    for _ in range(3):  # until the file says where it ends itself
        packed = _packed(own)
        packed += bytes(-len(packed) % 64)
        largest.offset, largest.size = len(packed), len(values)
    (tmp_path / "behind.tflite").write_bytes(packed + values)
    found = target.open(tmp_path / "behind.tflite").embed(images)
    np.testing.assert_array_equal(found, target.open(files[0] / "fp32.tflite").embed(images))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_bytes_are_refused_or_looked_at_without_harm(files: tuple[Path, Path], seed: int) -> None:
    content, draw = bytearray((files[0] / "fp32.tflite").read_bytes()), random.Random(seed)
    for _ in range(draw.randint(1, 8)):
        content[draw.randrange(len(content))] = draw.randrange(256)
    try:
        verified(bytes(content), Path("damaged.tflite"))
    except InputError as error:
        assert "\n" not in str(error)


def test_the_runner_refuses_images_of_another_shape(files: tuple[Path, Path], images: np.ndarray) -> None:
    runner = target.open(files[0] / "fp32.tflite")
    for wrong in (images[:, :32], images.astype(np.float32), images[0]):
        with pytest.raises(UsageError, match="resize"):
            runner.embed(wrong)


@pytest.mark.parametrize("dtype", ["INT8", "BOOL", "INT32"])
def test_a_file_that_takes_no_pixels_is_refused(files: tuple[Path, Path], dtype: str, tmp_path: Path) -> None:
    """Whose numbers would be cut off, or be no more than true and false."""
    own = schema.ModelT.InitFromPackedBuf(bytearray((files[0] / "fp32.tflite").read_bytes()), 0)
    graph, code, call = own.subgraphs[0], schema.OperatorCodeT(), schema.OperatorT()
    taken = copy.copy(graph.tensors[graph.inputs[0]])
    taken.type, taken.name, taken.buffer = getattr(schema.TensorType, dtype), b"other", 0
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CAST
    call.opcodeIndex, call.inputs, call.outputs = len(own.operatorCodes), [len(graph.tensors)], list(graph.inputs)
    own.operatorCodes.append(code)
    graph.operators.insert(0, call)
    graph.inputs = [len(graph.tensors)]
    own.signatureDefs[0].inputs[0].tensorIndex = len(graph.tensors)
    graph.tensors.append(taken)
    (tmp_path / "byte.tflite").write_bytes(_packed(own))
    with pytest.raises(InputError, match=rf"byte\.tflite: not an embedder, .* but {dtype.lower()}"):
        target.open(tmp_path / "byte.tflite")
