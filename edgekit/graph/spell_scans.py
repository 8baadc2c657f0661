"""Running products, greatest values and logarithms of sums, in about log2(length) steps over whole tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, calls, emit, int_shape, replace, source_of, val
from edgekit.graph.spelling import cast, spell

__all__ = ["spell_scans"]

aten = torch.ops.aten


def spell_scans(graph_module: GraphModule) -> int:
    """Spell `cumprod`, `logcumsumexp`, `cummax` and `cummin` of fixed shape, the latter two where their places are not
    asked for: after the step of width w, each element stands for the 2w up to it. Returns how many.

    The axis of `cumsum` is counted from the front, which coremltools wants of all but the last.
    """
    count = spell(graph_module, {aten.cumsum.default: _axis_from_the_front})
    for node in calls(graph_module, *_STEPS):
        outputs = list(node.users) if isinstance(node.meta.get("val"), tuple) else [node]
        size = int_shape(node.args[0])
        if not size or any(user is not node and user.args[1] == 1 for user in outputs):
            continue
        values = cast(node, source_of(node), val(outputs[0]).dtype)
        new = _scan(node, values, arg(node, "dim") % len(size), size, _STEPS[node.target])
        for user in outputs:
            replace(user, new)
        count += 1
    return count


def _axis_from_the_front(node: Node) -> Node | None:
    axis, rank = arg(node, "dim"), val(node).dim()
    return emit(node, aten.cumsum.default, node.args[0], axis + rank) if axis < 0 and rank else None


def _scan(node: Node, values: Node, axis: int, size: list[int], step: Callable[[Node, Node, Node], Node]) -> Node:
    width, length = 1, size[axis]
    while width < length:
        head = emit(node, aten.slice.Tensor, values, axis, 0, width)
        earlier = emit(node, aten.slice.Tensor, values, axis, 0, length - width)
        later = emit(node, aten.slice.Tensor, values, axis, width, length)
        values = emit(node, aten.cat.default, [head, step(node, earlier, later)], axis)
        width *= 2
    return values


def _by(target: Any) -> Callable[[Node, Node, Node], Node]:
    return lambda node, left, right: emit(node, target, left, right)


_STEPS: dict[Any, Callable[[Node, Node, Node], Node]] = {
    aten.cumprod.default: _by(aten.mul.Tensor),
    aten.logcumsumexp.default: _by(aten.logaddexp.default),
    aten.cummax.default: _by(aten.maximum.default),
    aten.cummin.default: _by(aten.minimum.default),
}
