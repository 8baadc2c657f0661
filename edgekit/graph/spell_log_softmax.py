"""Log-softmax by sums of exponentials, without the logarithm of a share that is 0 in half precision."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, emit, int_shape, source_of, val
from edgekit.graph.spelling import spell

__all__ = ["spell_log_softmax"]

aten = torch.ops.aten


def spell_log_softmax(graph_module: GraphModule) -> int:
    """Spell `log_softmax(x)` as `c - log(sum(exp(c)))` with `c = x - max(x)`.

    coremltools writes the logarithm of a softmax, which is -inf on the Neural Engine for every share below what half
    precision has (https://github.com/apple/coremltools/issues/2728).
    """
    return spell(graph_module, dict.fromkeys((aten.log_softmax.int, aten._log_softmax.default), _by_sums))


def _by_sums(node: Node) -> Node | None:
    source, axis = source_of(node), arg(node, "dim")
    size = int_shape(source)
    if not val(source).is_floating_point() or val(node).dtype != val(source).dtype or size is None:
        return None
    if not size or 0 in size:
        return None
    centred = emit(node, aten.sub.Tensor, source, emit(node, aten.amax.default, source, [axis], True))
    total = emit(node, aten.sum.dim_IntList, emit(node, aten.exp.default, centred), [axis], True)
    return emit(node, aten.sub.Tensor, centred, emit(node, aten.log.default, total))
