"""Attention whose product takes the softmax second and transposed, the usual way round."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import VIEWS, args_of, emit, int_shape, is_call, source_of
from edgekit.graph.spelling import spell

__all__ = ["turn_attention", "turned"]

aten = torch.ops.aten
_SOFTMAX = (aten.softmax.int, aten._softmax.default)


def turn_attention(graph_module: GraphModule) -> int:
    """Spell a product `v @ p^T`, where `p` is a softmax, as `(p @ v^T)^T`.

    Core ML's compiler for the GPU crashes on the first in deep models
    (https://github.com/ultralytics/ultralytics/pull/25860).
    """
    return spell(graph_module, dict.fromkeys((aten.bmm.default, aten.matmul.default), _the_other_way))


def turned(node: object) -> tuple[Node, list[int]] | None:
    """The softmax that `node` is the transpose of, and its sizes at `node`'s rank; None where it is none."""
    size = int_shape(node) if isinstance(node, Node) else None
    if not isinstance(node, Node) or size is None or len(size) < 3:
        return None
    if is_call(node, aten.reshape.default):
        inner = source_of(node)
        found, before = turned(inner), int_shape(inner)
        if found is None or before is None or before[-2:] != size[-2:]:
            return None
        return found[0], [*size[:-2], size[-1], size[-2]]
    if not _swaps(node, len(size)):
        return None
    source = weights = source_of(node)
    while weights.op == "call_function" and weights.target in VIEWS and int_shape(weights) is not None:
        weights = source_of(weights)
    return (source, [*size[:-2], size[-1], size[-2]]) if is_call(weights, *_SOFTMAX) else None


def _swaps(node: Node, rank: int) -> bool:
    """Whether a call swaps the last two axes and nothing else."""
    if is_call(node, aten.transpose.int):
        return {axis % rank for axis in args_of(node)[1:3]} == {rank - 2, rank - 1}
    order = [*range(rank - 2), rank - 1, rank - 2]
    return is_call(node, aten.permute.default) and [axis % rank for axis in args_of(node)[1]] == order


def _the_other_way(node: Node) -> Node | None:
    values, weights = args_of(node)[:2]
    found, size = turned(weights), int_shape(values)
    if found is None or size is None or len(size) != len(found[1]):
        return None
    source, sizes = found
    order = [*range(len(size) - 2), len(size) - 1, len(size) - 2]
    first = source if int_shape(source) == sizes else emit(node, aten.reshape.default, source, sizes)
    product = emit(node, node.target, first, emit(node, aten.permute.default, values, order))
    return emit(node, aten.permute.default, product, order)
