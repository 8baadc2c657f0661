"""A rewrite that changes a model's numbers, or breaks, is found, named and left out; the others still apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.ao.quantization.fx._decomposed  # the operators' names
from torch import Tensor, nn
from torch.fx import GraphModule

from edgekit.errors import ModelError
from edgekit.graph import Rewrite, capture, checked, probe, rows_of, run_program
from edgekit.graph.edit import calls
from tests.toys import tower

aten = torch.ops.aten
own = torch.ops.quantized_decomposed
ALL = frozenset({"coreml", "executorch", "onnx"})


def photographs(size: int = 64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 3, size, size, generator=generator) for _ in range(2)]


def swap(old: Any, new: Any) -> Callable[[GraphModule], int]:
    """A rewrite that is wrong: another operator in the place of one."""

    def apply(graph_module: GraphModule) -> int:
        nodes = list(calls(graph_module, old))
        for node in nodes:
            node.target = new
        return len(nodes)

    return apply


def breaks(graph_module: GraphModule) -> int:
    raise KeyError("an argument that nobody expected")


def forgets_eps(graph_module: GraphModule) -> int:
    nodes = list(calls(graph_module, aten.layer_norm.default))
    for node in nodes:
        node.args = (*node.args[:4], 0.05)
    return len(nodes)


WRONG = [
    (Rewrite("to_relu", swap(aten.silu.default, aten.relu.default), ALL), "silu", "the top level"),
    (Rewrite("forgets_eps", forgets_eps, ALL), "layer_norm", "last"),
    (Rewrite("breaks", breaks, ALL), "unknown", "unknown"),
]


@pytest.mark.parametrize(("wrong", "op", "module"), WRONG, ids=[row.name for row, _, _ in WRONG])
def test_a_rewrite_that_spoils_is_left_out_and_named(wrong: Rewrite, op: str, module: str) -> None:
    model = tower()
    images = photographs()
    program = capture(model, images[0])
    rows = rows_of("executorch")
    whole = checked(program, rows, probe(model, images))
    found = checked(program, [rows[0], wrong, *rows[1:]], probe(model, images))
    assert whole.left_out == ()
    assert [(item.rewrite, item.op, item.module) for item in found.left_out] == [(wrong.name, op, module)]
    assert {**found.counts, "remove_dead": 0} == {**whole.counts, "remove_dead": 0}  # each row's leavings go at once
    with torch.no_grad():
        for image in images:
            torch.testing.assert_close(run_program(found.program, image), model(image), rtol=1e-4, atol=1e-5)


def test_two_that_spoil_are_both_left_out() -> None:
    model = tower()
    images = photographs()
    rows = [WRONG[0][0], *rows_of("coreml"), WRONG[2][0]]
    found = checked(capture(model, images[0]), rows, probe(model, images))
    assert [item.rewrite for item in found.left_out] == ["to_relu", "breaks"]


def test_a_program_that_is_not_the_model_is_refused() -> None:
    images = photographs()
    with pytest.raises(ModelError, match="captured program gives other embeddings than the model"):
        checked(capture(tower(seed=1), images[0]), rows_of("onnx"), probe(tower(seed=0), images))


class Mean(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.mean((2, 3))


def test_a_model_that_does_not_repeat_itself_is_named() -> None:
    images = photographs(8)
    model = Mean()
    noisy = probe(lambda image: model(image) + torch.randn(3), images)
    with pytest.raises(ModelError, match="another embedding for the same image each time"):
        checked(capture(model, images[0]), rows_of("onnx"), noisy)


class Steep(nn.Module):
    """Rounding of the pixels' last bits grows to more than the limit: that is no rewrite's fault."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.norm.running_mean.fill_(0.31)  # type: ignore[union-attr]
        self.norm.running_var.fill_(0.7)  # type: ignore[union-attr]
        self.conv = nn.Conv2d(3, 16, 3)

    def forward(self, image: Tensor) -> Tensor:
        mean = self.conv(self.norm(image)).mean((2, 3))
        return nn.functional.normalize(torch.sin(mean * 1e5), dim=1)


def test_a_model_that_amplifies_rounding_keeps_its_rewrites() -> None:
    images = photographs(32)
    model = Steep().eval()
    found = checked(capture(model, images[0]), rows_of("onnx"), probe(model, images))
    assert found.left_out == ()
    assert found.counts["fold_batch_norm"] == 1


class OnSteps(nn.Module):
    """Halves of steps: the last bit of a product says to which side each goes."""

    def forward(self, image: Tensor) -> Tensor:
        values = own.quantize_per_tensor.default(image * 0.1, 0.1, 0, -128, 127, torch.int8)
        return nn.functional.normalize(
            own.dequantize_per_tensor.default(values, 0.1, 0, -128, 127, torch.int8).flatten(1)
        )


def divides(graph_module: GraphModule) -> int:
    (node,) = calls(graph_module, aten.mul.Tensor)
    node.target, node.args = aten.div.Tensor, (node.args[0], 10.0)
    return 1


def cuts(graph_module: GraphModule) -> int:
    (node,) = calls(graph_module, own.quantize_per_tensor.default)
    with graph_module.graph.inserting_before(node):
        node.args = (graph_module.graph.call_function(aten.clamp_max.default, (node.args[0], 2.5)), *node.args[1:])
    return 1


def test_values_that_go_to_the_other_side_of_a_step_spoil_nothing() -> None:
    image = torch.arange(0.5, 27.5).reshape(1, 3, 3, 3)
    held = probe(torch.export.export(OnSteps(), (image,)), [image])
    assert held.quantized is not None
    found = checked(held.quantized, [Rewrite(rule.__name__, rule, ALL) for rule in (divides, cuts)], held)
    assert [item.rewrite for item in found.left_out] == ["cuts"]
    assert held.error(found.program) > 1e-3
