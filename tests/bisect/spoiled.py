"""The toy tower's program for a target, with a fault planted into one of its calls where a test asks for one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

from edgekit import graph
from edgekit.bisect.program import Walk
from edgekit.graph.edit import add_constant, calls, module_path, to_graph, to_program
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.recipe import resolve_model

aten = torch.ops.aten
Spoil = Callable[[GraphModule], None]


@cache
def embedder(factory: str = "tests.toys:tower") -> Embedder:
    return build_embedder(resolve_model(factory).override(input={"size": (64, 64)}))


@cache
def program(rewrites: str = "onnx", factory: str = "tests.toys:tower") -> ExportedProgram:
    model = embedder(factory)
    return graph.rewrite(graph.capture(model, model.example()), rewrites)[0]


def picture() -> np.ndarray:
    """Uint8 [64,64,3]."""
    smooth = np.random.default_rng(0).uniform(0, 256, (8, 8, 3))
    return np.kron(smooth, np.ones((8, 8, 1))).astype(np.uint8)


def walk(rewrites: str = "onnx", factory: str = "tests.toys:tower") -> Walk:
    return Walk(program(rewrites, factory), embedder(factory).pixels(picture()[None]))


def spoiled(given: ExportedProgram, spoil: Spoil) -> ExportedProgram:
    module = to_graph(given)
    spoil(module)
    module.recompile()
    return to_program(module, given)


def call(module: GraphModule, target: object, path: str) -> Node:
    """The call of an operator that comes from a module of the original."""
    (found,) = (node for node in calls(module, target) if module_path(node) == path)
    return found


def _weight(module: GraphModule, node: Node, change: Callable[[Tensor], Tensor]) -> None:
    source = node.args[1]
    assert isinstance(source, Node)
    weight: Tensor = getattr(module, str(source.target))
    node.update_arg(1, add_constant(module, change(weight.detach().clone()).contiguous(), "spoiled"))


def wrong_constant(module: GraphModule) -> None:
    """One row of the weight of `out`."""

    def change(weight: Tensor) -> Tensor:
        weight[3] += 1
        return weight

    _weight(module, call(module, aten.linear.default, "backbone.out"), change)


def swapped_axis(module: GraphModule) -> None:
    """The maps of the first convolution, lying down."""
    node = call(module, aten.conv2d.default, "backbone.stem")
    with module.graph.inserting_after(node):
        turned = module.graph.call_function(aten.permute.default, (node, [0, 1, 3, 2]))
    turned.meta = {**node.meta}
    node.replace_all_uses_with(turned)
    turned.update_arg(0, node)


def overflow(module: GraphModule) -> None:
    """Beyond half precision."""
    _weight(module, call(module, aten.conv2d.default, "backbone.depthwise"), lambda weight: weight * 1e6)


def clipped_range(module: GraphModule) -> None:
    """The result of `out` ends at a limit that it exceeds."""
    node = call(module, aten.linear.default, "backbone.out")
    with module.graph.inserting_after(node):
        clipped = module.graph.call_function(aten.clamp.default, (node, -0.1, 0.1))
    clipped.meta = {**node.meta}
    node.replace_all_uses_with(clipped)
    clipped.update_arg(0, node)
