"""Softplus and Mish without the exponential of a large number, which leaves half precision."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, emit, source_of, val
from edgekit.graph.spelling import spell

__all__ = ["spell_softplus"]

aten = torch.ops.aten
_SETTLED = 18.0  # beyond it log(1 + exp(x)) and x are the same in float32, and a threshold changes nothing


def spell_softplus(graph_module: GraphModule) -> int:
    """Spell `softplus(x)` as `relu(x) + log(1 + exp(-|x|))`, and `mish(x)` as `x * tanh` of that.

    The Neural Engine's own softplus falls to 0 above 10.4 in half precision
    (https://github.com/apple/coremltools/issues/2687).
    """
    return spell(graph_module, {aten.softplus.default: _softplus, aten.mish.default: _mish})


def _softplus(node: Node) -> Node | None:
    beta, threshold, source = arg(node, "beta"), arg(node, "threshold"), source_of(node)
    if not val(source).is_floating_point() or not beta > 0 or threshold < _SETTLED:
        return None
    scaled = source if beta == 1 else emit(node, aten.mul.Tensor, source, float(beta))
    soft = _stable(node, scaled)
    return soft if beta == 1 else emit(node, aten.div.Tensor, soft, float(beta))


def _mish(node: Node) -> Node | None:
    source = source_of(node)
    if not val(source).is_floating_point():
        return None
    return emit(node, aten.mul.Tensor, source, emit(node, aten.tanh.default, _stable(node, source)))


def _stable(node: Node, source: Node) -> Node:
    small = emit(node, aten.exp.default, emit(node, aten.neg.default, emit(node, aten.abs.default, source)))
    rest = emit(node, aten.log.default, emit(node, aten.add.Tensor, small, 1.0))
    return emit(node, aten.add.Tensor, emit(node, aten.relu.default, source), rest)
