"""Graph surgery shared by the ONNX passes, on onnx_ir graphs with known shapes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

__all__ = ["add_constant", "attribute", "constant", "each", "emit", "nodes", "replace", "shape"]


def nodes(graph: ir.Graph, kind: str) -> Iterator[ir.Node]:
    """The standard operators of one kind that are still in the graph, from a snapshot, so that a pass may edit."""
    for node in list(graph):
        if node.op_type == kind and node.graph is graph and node.domain == "":
            yield node


def each(*kinds: str) -> Callable[[Callable[[ir.Graph, ir.Node], bool]], Callable[[ir.Graph], int]]:
    """Makes a pass of what changes a standard operator of these kinds, or says that it did not: how often it did."""

    def made(change: Callable[[ir.Graph, ir.Node], bool]) -> Callable[[ir.Graph], int]:
        @functools.wraps(change)
        def apply(graph: ir.Graph) -> int:
            return sum(change(graph, node) for kind in kinds for node in nodes(graph, kind))

        return apply

    return made


def shape(value: ir.Value | None) -> list[Any]:
    """Sizes, dynamic ones as names; empty where the rank is unknown."""
    shape = None if value is None else value.shape
    return [] if shape is None else [size if isinstance(size, int) else str(size) for size in shape]


def constant(value: ir.Value | None) -> np.ndarray | None:
    """The value of a constant, otherwise None."""
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def attribute(node: ir.Node, name: str, default: Any) -> Any:
    """An attribute of the node, or the operator's default."""
    return node.attributes[name].value if name in node.attributes else default


def add_constant(graph: ir.Graph, near: ir.Node, name: str, values: np.ndarray) -> ir.Value:
    """Register `values` as an initializer named after `near`."""
    full = f"{near.outputs[0].name}_{name}"
    while full in graph.initializers:
        full += "_"
    value = ir.Value(name=full, const_value=ir.tensor(np.asarray(values, order="C"), name=full))
    value.type, value.shape = ir.TensorType(value.const_value.dtype), value.const_value.shape
    graph.register_initializer(value)
    return value


def emit(before: ir.Node, kind: str, inputs: list[ir.Value], **attributes: Any) -> ir.Value:
    """Insert a standard operator in front of `before`, with its marks, and return its output."""
    made = [
        value if isinstance(value, ir.Attr) else ir.convenience.convert_attribute(name, value)
        for name, value in attributes.items()
    ]
    node = ir.Node("", kind, inputs, made)
    node.meta.update(before.meta)
    assert before.graph is not None
    before.graph.insert_before(before, node)
    return node.outputs[0]


def replace(node: ir.Node, value: ir.Value) -> None:
    """Let `value` take the place of the node's output, name, type and shape included, and drop what is dead then."""
    old = node.outputs[0]
    value.type, value.shape = old.type, old.shape
    if old.is_graph_output():
        old.name, value.name = f"{old.name}_old", old.name
    ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
    _drop(node)


def _drop(node: ir.Node) -> None:
    if any(output.uses() or output.is_graph_output() for output in node.outputs) or node.graph is None:
        return
    inputs = [value for value in node.inputs if value is not None]
    graph = node.graph
    graph.remove(node, safe=True)
    for value in inputs:
        if (producer := value.producer()) is not None:
            _drop(producer)
        elif value.is_initializer() and not value.uses():
            graph.initializers.pop(value.name or "", None)
