"""Sums and products with a number that is nearly neutral, written so that ONNX's optimizer leaves them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, emit, number, shape, val
from edgekit.graph.spelling import spell

__all__ = ["keep_small_steps"]

aten = torch.ops.aten
_NEUTRAL: dict[Any, float] = {
    aten.add.Tensor: 0.0, aten.add.Scalar: 0.0, aten.sub.Tensor: 0.0, aten.sub.Scalar: 0.0,
    aten.mul.Tensor: 1.0, aten.mul.Scalar: 1.0, aten.div.Tensor: 1.0, aten.div.Scalar: 1.0,
}  # fmt: skip
_OF_TENSORS: dict[Any, Any] = {op: op.overloadpacket.Tensor for op in _NEUTRAL}


def keep_small_steps(graph_module: GraphModule) -> int:
    """Make the 1e-8 of `x + 1e-8`, and what else is nearly neutral, a tensor with an axis.

    onnxscript's optimizer takes a number without axes for 0 or 1 where it is within 1e-8 or 1e-5 of it, and drops the
    step: a division by a spread that is zero on some image is then one by zero.
    """
    return spell(graph_module, dict.fromkeys(_NEUTRAL, _kept))


def _kept(node: Node) -> Node | None:
    if len(node.args) != 2 or node.kwargs or not val(node).is_floating_point():
        return None
    for place, value in enumerate(map(number, node.args)):
        if value is not None and value.dim() == 0 and _nearly(float(value), _NEUTRAL[node.target]):
            return _with_axis(node, place, float(value))
    return None


def _nearly(value: float, neutral: float) -> bool:
    return value != neutral and math.isclose(value, neutral, rel_tol=1e-4, abs_tol=1e-7)


def _with_axis(node: Node, place: int, value: float) -> Node:
    rank = max(val(node).dim(), 1)
    tensor = torch.full([1] * rank, value, dtype=val(node).dtype)
    operands = list(node.args)
    operands[place] = add_constant(node, tensor, "small_number")
    result = emit(node, _OF_TENSORS[node.target], *operands)
    return result if val(node).dim() else emit(node, aten.reshape.default, result, shape(node))
