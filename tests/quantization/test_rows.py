"""A layer's row: its scheme, and what stands for it where a target has no such form."""

from __future__ import annotations

import pytest
from torch.export import ExportedProgram

from edgekit.quantization.auto import Choice
from edgekit.quantization.layers import Layer, large, layers
from edgekit.quantization.rows import layer_row, searched_row, uniform_row
from edgekit.quantization.sensitivity import Damage
from tests.quantization import kinds


def tried(kind: str) -> Layer:
    return next(layer for layer in layers(kinds.prepared(kinds.between(kind))) if layer.name.startswith("tried"))


def of_kind(program: ExportedProgram, kind: str) -> Layer:
    return next(layer for layer in layers(program) if layer.kind == kind)


@pytest.mark.parametrize(
    ("scheme", "kind", "forms"),
    [
        ("w8a8", "conv", {}),
        ("w8a8-dynamic", "conv", {"coreml": "w8", "onnx": "w8"}),
        ("w8a8-dynamic", "linear 3", {"coreml": "w8"}),
        ("w8", "depthwise", {"executorch": "float"}),
        ("palette6", "conv", {"executorch": "w8a8-dynamic", "onnx": "w8"}),
        ("w4", "linear 3", {"executorch": "w8a8-dynamic"}),
    ],
)
def test_a_target_without_the_form_gets_the_nearest(scheme: str, kind: str, forms: dict[str, str]) -> None:
    row = layer_row(tried(kind), scheme)
    assert (row.scheme, row.targets) == (scheme, forms)


def test_a_scheme_for_all_says_why_a_layer_is_in_float(program: ExportedProgram) -> None:
    depthwise, mean = of_kind(program, "depthwise"), of_kind(program, "mean")
    assert uniform_row(depthwise, "w8a8-dynamic").scheme == "w8"
    assert not large(depthwise)
    assert uniform_row(depthwise, "palette4").why == "so few weights save nothing"
    assert (uniform_row(mean, "w8").scheme, uniform_row(mean, "w8").why) == ("float", "w8 has no form for mean")


def test_a_search_leaves_out_what_is_not_known_to_pay() -> None:
    layer = tried("conv")
    choice = Choice("mse", {}, {}, {layer.name: "w8a8"}, {}, {layer.name: {"w8a8": Damage(0.1, 0.2)}}, False)
    row = searched_row(layer, choice)
    assert row.targets == {"coreml": "w8", "onnx": "w8"}
    assert row.damage == {"w8a8": 0.2}
    milder = searched_row(tried("linear 3"), Choice("mse", {}, {}, {"tried.layer": "w8"}, {}, {}, True))
    assert milder.targets == {"executorch": "float"}
