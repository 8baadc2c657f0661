"""Each known hazard is found in a small module as it stands, and gone after its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
import onnx
import pytest
import torch
import torch.ao.quantization.fx._decomposed  # the operators' names
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn import functional as F

from edgekit.artifact.hazards import hazards
from edgekit.errors import UsageError
from edgekit.graph import REWRITES, capture, rewrite
from edgekit.targets import TARGETS, LowerOptions, Target
from edgekit.targets.hazards import HAZARDS, Found, Lowered, Row, found, register, unregister
from tests.targets import toy

HALF = LowerOptions(precision="fp16")
DOCS = Path(__file__).parents[2] / "docs" / "hazards.md"


class Small(nn.Module):
    """A function of the image and of a few layers."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.register_buffer("bias", torch.linspace(-1, 1, 3 * 6 * 6).reshape(1, 3, 6, 6))

    def forward(self, image: Tensor) -> Tensor:
        return self.function(self, image)


class Case(NamedTuple):
    """A module with the pattern, and without a rewrite that removes it, the same module with the advice taken."""

    function: Callable[[Any, Tensor], Tensor]
    size: tuple[int, ...]
    layers: Mapping[str, nn.Module] = MappingProxyType({})
    advised: Callable[[Any, Tensor], Tensor] | None = None

    def program(self, *, advised: bool = False) -> ExportedProgram:
        torch.manual_seed(0)
        function = self.advised if advised else self.function
        assert function is not None
        return capture(Small(function, **self.layers).eval(), torch.randn(self.size))


def attend(self: Any, x: Tensor) -> Tensor:
    return torch.softmax(self.layer(x) @ x.transpose(-2, -1) + self.bias, -1) @ x


def attend_turned(self: Any, x: Tensor) -> Tensor:
    return x.transpose(-2, -1) @ torch.softmax(self.layer(x) @ x.transpose(-2, -1), -1).transpose(-2, -1)


def pick(self: Any, x: Tensor) -> Tensor:
    places = x.sum(-1).topk(3, 1).indices
    return torch.gather(x, 1, places[..., None].expand(-1, -1, 8))


def normalised(self: Any, x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1) @ x.transpose(-2, -1)


def safely_normalised(self: Any, x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1, eps=1e-3) @ x.transpose(-2, -1)


TOKENS, IMAGE, HEADS = (2, 6, 8), (1, 3, 7, 7), (16, 3, 6, 8)
LINEAR = {"layer": nn.Linear(8, 8)}
RESAMPLED = Case(
    lambda self, x: F.grid_sample(x, x.permute(0, 2, 3, 1)[..., :2], align_corners=False), IMAGE,
    advised=lambda self, x: x,
)  # fmt: skip
SUM = Case(lambda self, x: torch.add(x, x * x, alpha=2), TOKENS)
POOL = Case(lambda self, x: F.avg_pool2d(x, 2, 3, ceil_mode=True), IMAGE)
SMALL = Case(lambda self, x: F.hardswish(self.layer(x)), (2, 8), LINEAR)
CASES = {
    "linear-hardswish": SMALL,
    "linear-hardswish-coreml": SMALL,
    "argmax": Case(lambda self, x: x.argmax(1).float(), TOKENS, advised=lambda self, x: x.amax(1)),
    "topk-gather": Case(pick, TOKENS, advised=lambda self, x: x.topk(3, 1).values),
    "softplus": Case(lambda self, x: F.mish(x) + F.softplus(x, beta=2) + F.logsigmoid(x), TOKENS),
    "log-softmax": Case(lambda self, x: F.log_softmax(x, 1), TOKENS),
    "rms-norm": Case(lambda self, x: self.layer(x), TOKENS, {"layer": nn.RMSNorm(8)}),
    "tanh-gelu": Case(lambda self, x: F.gelu(x, approximate="tanh"), TOKENS),
    "sum-alpha-coreml": SUM,
    "sum-alpha-xnnpack": SUM,
    "ceil-pool-coreml": POOL,
    "ceil-pool-onnx": POOL,
    "attention-of-many": Case(attend, HEADS, LINEAR),
    "turned-attention": Case(attend_turned, HEADS, LINEAR),
    "grid-sample": RESAMPLED,
    "vanishing-epsilon": Case(normalised, TOKENS, advised=safely_normalised),
    "softmax-layout": Case(
        lambda self, x: self.two(torch.softmax(self.one(x), -1)), IMAGE,
        {"one": nn.Conv2d(3, 4, 1), "two": nn.Conv2d(4, 3, 1)},
    ),
    "repeated-mask": Case(attend, HEADS, LINEAR),
    "mixed-ranks": Case(lambda self, x: x.mean(1) * x, (2, 2, 8)),
    "small-first": Case(lambda self, x: x.mean(1, keepdim=True) * x, TOKENS),
    "outer-pads": Case(lambda self, x: F.pad(x, (0, 0, 0, 2), value=0.5), TOKENS),
    "fused-attention": Case(lambda self, x: F.scaled_dot_product_attention(x, self.layer(x), x), HEADS, LINEAR),
    "expanded": Case(lambda self, x: x + x.mean(1, keepdim=True).expand(-1, 6, -1), TOKENS),
}  # fmt: skip
# Found in files and on images, by tests of their own.
OTHERS = {
    "image-scale", "large-values", "large-sums", "shared-dynamic-input", "adjoint-products", "int8-saturation",
}  # fmt: skip
ROWS = {row.name: row for row in HAZARDS}


def targets_of(row: Row) -> list[Target]:
    return [target for target in TARGETS if (target.format, target.rewrites) in row.places]


def names(hits: list[Found]) -> set[str]:
    return {item.row.name for item in hits}


def test_every_row_has_a_case() -> None:
    assert set(CASES) | OTHERS == set(ROWS) and not set(CASES) & OTHERS
    assert all(targets_of(row) for row in HAZARDS)
    assert {row.rewrite for row in HAZARDS if row.rewrite} <= {row.name for row in REWRITES}


def test_the_page_names_every_row_and_its_thread() -> None:
    page = DOCS.read_text()
    missing = [row.name for row in HAZARDS if f"`{row.name}`" not in page or row.source not in page]
    assert not missing


@pytest.mark.parametrize(
    ("name", "target"),
    [pytest.param(name, target, id=f"{name}-{target.key}") for name in CASES for target in targets_of(ROWS[name])],
)
def test_a_pattern_is_found_and_gone_after_the_remedy(name: str, target: Target) -> None:
    row, case = ROWS[name], CASES[name]
    program = case.program()
    bare = frozenset({row.rewrite}) if row.rewrite else frozenset[str]()
    before = found(rewrite(program, target.rewrites, without=bare)[0], target, HALF)
    assert name in names(before)
    assert all(item.concerns for item in before)
    remedied = program if row.rewrite else case.program(advised=True)
    after = found(rewrite(remedied, target.rewrites)[0], target, HALF)
    assert name not in names(after)


@pytest.mark.parametrize("name", ["argmax", "topk-gather", "linear-hardswish", "vanishing-epsilon", "softplus"])
def test_what_half_precision_spoils_is_no_hazard_in_float32(name: str) -> None:
    row, program = ROWS[name], CASES[name].program()
    target = targets_of(row)[0]
    bare = frozenset({row.rewrite}) if row.rewrite else frozenset[str]()
    program, _ = rewrite(program, target.rewrites, without=bare)
    assert name in names(found(program, target, HALF))
    assert name not in names(found(program, target, replace(HALF, precision="fp32")))
    kept = frozenset(node.name for node in program.graph.nodes)
    assert name not in names(found(program, target, replace(HALF, float32_calls=kept)))


def test_the_words_name_the_operator_the_module_and_how_often() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Mish(), nn.Mish()

        def forward(self, image: Tensor) -> Tensor:
            return self.second(self.first(image))

    program, _ = rewrite(capture(Twice(), torch.rand(TOKENS)), "coreml", without=frozenset({"spell_softplus"}))
    (hit,) = found(program, targets_of(ROWS["softplus"])[0], HALF)
    assert hit.concerns == "2 times mish, first in first"


def test_the_norm_of_the_embedding_itself_is_no_hazard() -> None:
    program = capture(Small(lambda self, x: F.normalize(x.mean(1), dim=-1)).eval(), torch.rand(TOKENS))
    for target in TARGETS:
        assert not found(rewrite(program, target.rewrites)[0], target, HALF)


@pytest.mark.parametrize(("name", "factor"), [("large-values", 1000.0), ("large-sums", 10.0)])
def test_values_near_the_end_of_half_precision_are_found_on_images(name: str, factor: float) -> None:
    target = targets_of(ROWS[name])[0]
    image = torch.full((1, 3, 64, 64), 40.0)

    def look(scale: float, *images: Tensor) -> set[str]:
        def function(self: Any, x: Tensor) -> Tensor:
            return (x * scale).mean((2, 3)) / scale

        program = rewrite(capture(Small(function).eval(), image), target.rewrites)[0]
        return names(found(program, target, HALF, images=images))

    assert look(factor, image) == {name}
    assert not look(factor)  # nothing is known of values without images
    assert not look(0.01, image)


class Chains(nn.Module):
    """Convolutions of `kernels` pixels across, whose shared input is scaled as the model runs."""

    def __init__(self, *kernels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3, 3, kernel, padding=kernel // 2) for kernel in kernels)

    def forward(self, image: Tensor) -> Tensor:
        ops, total = torch.ops.quantized_decomposed, image
        for layer in self.layers:
            scale, zero = ops.choose_qparams.tensor(image, -128, 127, 1e-6, torch.int8)
            levels = ops.quantize_per_tensor.tensor(image, scale, zero, -128, 127, torch.int8)
            total = total + layer(ops.dequantize_per_tensor.tensor(levels, scale, zero, -128, 127, torch.int8))
        return total


def test_an_input_scaled_for_two_kinds_of_convolutions_is_found() -> None:
    target = targets_of(ROWS["shared-dynamic-input"])[0]
    for kernels, expected in (((1, 3), True), ((3, 3), False), ((1, 1), False)):
        program = torch.export.export(Chains(*kernels).eval(), (torch.rand(1, 3, 8, 8),))
        assert ("shared-dynamic-input" in names(found(program, target, HALF))) == expected


def lite_product(path: Path, *, transposed: bool) -> None:
    """A LiteRT model of one product of matrices."""
    from ai_edge_litert import schema_py_generated as schema

    options = schema.BatchMatMulOptionsT()
    options.adjY = transposed
    call = schema.OperatorT()
    call.opcodeIndex, call.inputs, call.outputs = 0, [0, 1], [2]
    call.builtinOptionsType, call.builtinOptions = schema.BuiltinOptions.BatchMatMulOptions, options
    graph, code, model = schema.SubGraphT(), schema.OperatorCodeT(), schema.ModelT()
    graph.tensors, graph.operators = [schema.TensorT() for _ in range(3)], [call]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.BATCH_MATMUL
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())


def test_a_product_that_transposes_by_itself_is_found_in_a_litert_file(tmp_path: Path) -> None:
    target = targets_of(ROWS["adjoint-products"])[0]
    for transposed, expected in ((True, {"adjoint-products"}), (False, set[str]())):
        lite_product(tmp_path / "a.tflite", transposed=transposed)
        hits = found(None, target, HALF, tmp_path / "a.tflite")
        assert names(hits) == expected
        assert all(hit.concerns == "1 BATCH_MATMUL with a transposed operand" for hit in hits)


class Windows(nn.Module):
    """Attention within four parts of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 24)

    def forward(self, image: Tensor) -> Tensor:
        rows = (image / 255).reshape(4, -1, 8)
        attended = F.scaled_dot_product_attention(
            *self.layer(rows).reshape(4, -1, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        )
        return F.normalize(attended.flatten(2).mean(2).reshape(1, -1))


def test_litert_files_of_edgekit_transpose_by_an_operator(tmp_path: Path) -> None:
    (target,) = targets_of(ROWS["adjoint-products"])
    program, _ = rewrite(capture(Windows(), torch.rand(1, 3, 16, 16)), "litert")
    target.backend().lower(program, tmp_path / "a.tflite", HALF)
    assert "adjoint-products" not in names(found(program, target, HALF, tmp_path / "a.tflite"))


def test_factors_of_a_core_ml_image_are_found(tmp_path: Path) -> None:
    """At three columns coremltools takes factors of three channels for those of the columns."""
    import coremltools as ct

    (target,) = [target for target in targets_of(ROWS["image-scale"]) if target.format == "coreml"]
    program = capture(nn.ReLU(), torch.rand(1, 3, 3, 3)).run_decompositions({})
    for name, scale, expected in (("a", [0.1, 0.2, 0.3], {"image-scale"}), ("b", 0.1, set[str]())):
        image = ct.ImageType("image", (1, 3, 3, 3), scale=scale)
        ct.convert(program, inputs=[image], minimum_deployment_target=ct.target.iOS16, skip_model_load=True).save(
            str(tmp_path / f"{name}.mlpackage")
        )
        assert names(found(None, target, HALF, tmp_path / f"{name}.mlpackage")) == expected


def test_the_saturating_products_of_an_onnx_file_are_found(tmp_path: Path) -> None:
    from tests.targets.onnx.test_saturation import product

    target = targets_of(ROWS["int8-saturation"])[0]
    for largest, expected in ((127, {"int8-saturation"}), (60, set[str]())):
        onnx.save(product("MatMulInteger", np.full((4, 4), largest, np.int8)), tmp_path / "a.onnx")
        hits = found(None, target, HALF, tmp_path / "a.onnx")
        assert names(hits) == expected
    assert hazards(hits) == []


def relus(lowered: Lowered) -> str | None:
    count = len(lowered.calls(torch.ops.aten.relu.default))
    return f"{count} relu" if count else None


TOY = Row(
    name="toy",
    places=frozenset({("torch", "onnx")}),
    runtime="Torch",
    compute_unit="CPUs",
    effect="nothing",
    source="https://example.org/1",
    remedy="none",
    look=relus,
    look_file=lambda path: f"the file {path.name}",
    options={"a": "b"},
)


@pytest.fixture
def registered() -> Iterator[Row]:
    register(TOY)
    yield TOY
    unregister(TOY)


def test_a_row_from_outside_is_looked_for(registered: Row, tmp_path: Path) -> None:
    program = capture(nn.ReLU(), torch.rand(1, 3, 4, 4))
    (hit,) = hazards(found(program, toy.ROW, HALF, tmp_path / "a.toy"))
    assert (hit.name, hit.concerns, hit.where, hit.options) == ("toy", "1 relu", "Torch on CPUs", {"a": "b"})
    assert (hit.runtime, hit.compute_unit, hit.source) == ("Torch", "CPUs", "https://example.org/1")
    (hit,) = hazards(found(None, toy.ROW, HALF, tmp_path / "a.toy"))
    assert hit.concerns == "the file a.toy"
    assert not found(None, toy.ROW, HALF)
    assert all("toy" not in names(found(program, target, HALF)) for target in TARGETS)


def test_a_row_that_says_too_little_is_refused(registered: Row) -> None:
    for row, why in (
        (TOY, "is in the table already"),
        (replace(TOY, name="other", look=None, look_file=None), "looks at nothing"),
        (replace(TOY, name="other", source="a forum"), "give the https link"),
    ):
        with pytest.raises(UsageError, match=why):
            register(row)
    assert [row.name for row in HAZARDS].count("toy") == 1
