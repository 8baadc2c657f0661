"""GELU by its tanh formula, for a converter that reads the exact one instead."""

from __future__ import annotations

import math

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, emit, source_of, val
from edgekit.graph.spelling import spell

__all__ = ["spell_gelu"]

aten = torch.ops.aten


def spell_gelu(graph_module: GraphModule) -> int:
    """Spell `gelu(approximate="tanh")` in steps, which coremltools joins again to the operator of that formula.

    coremltools 9 reads `approximate` only where it stands by position; torch.export passes it by name, and the file
    then has the exact GELU (https://github.com/apple/coremltools/pull/2863).
    """
    return spell(graph_module, {aten.gelu.default: _by_tanh})


def _by_tanh(node: Node) -> Node | None:
    source = source_of(node)
    if arg(node, "approximate") != "tanh" or not val(source).is_floating_point():
        return None
    cube = emit(node, aten.mul.Tensor, emit(node, aten.pow.Tensor_Scalar, source, 3.0), 0.044715)
    inner = emit(node, aten.mul.Tensor, emit(node, aten.add.Tensor, source, cube), math.sqrt(2 / math.pi))
    gate = emit(node, aten.add.Tensor, emit(node, aten.tanh.default, inner), 1.0)
    return emit(node, aten.mul.Tensor, emit(node, aten.mul.Tensor, source, 0.5), gate)
