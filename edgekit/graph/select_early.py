"""Select tokens before the last block instead of after it.

An embedder that reads one token out of its last block needs only that token's query, projection and MLP there, so the
selection moves up through row-wise operators until it meets one that mixes rows: attention's keys and values.
"""

from __future__ import annotations

from math import prod

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, calls, emit, int_shape, replace

__all__ = ["select_early"]

aten = torch.ops.aten

_UNARY = {
    aten.gelu.default,
    aten.silu.default,
    aten.relu.default,
    aten.sigmoid.default,
    aten.tanh.default,
    aten.hardswish.default,
    aten.hardsigmoid.default,
}
_BINARY = {aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor}
_RESHAPE = {aten.reshape.default, aten.view.default, aten._unsafe_view.default}
_PRODUCT = {aten.linear.default, aten.bmm.default, aten.matmul.default}

# What a node needs of each tensor input to give one slice of its output: the input's own axis, or None for all of it.
_Needs = list[tuple[Node, int | None]]


def select_early(graph_module: GraphModule) -> int:
    """Move each static slice up to where its rows are made. Returns how many slices moved past a matrix product."""
    return sum(_hoist(node) for node in calls(graph_module, aten.slice.Tensor))


def _hoist(selection: Node) -> bool:
    source, before, after = selection.args[0], int_shape(selection.args[0]), int_shape(selection)
    if before is None or after is None or arg(selection, "step") != 1:
        return False
    axis = int(arg(selection, "dim")) % len(before)
    if 2 * after[axis] > before[axis]:
        return False
    start = int(arg(selection, "start") or 0) % before[axis]
    plan = _plan(selection, axis)
    if not any(node.target in _PRODUCT for node, _ in plan):
        return False
    slices: dict[tuple[Node, int], Node] = {}
    for node, made in reversed(plan):
        args = list(node.args)
        for entry, where in _needs(node, made) or []:
            if where is None:
                continue
            if (entry, where) not in slices:
                stop = start + after[axis]
                slices[entry, where] = emit(node, aten.slice.Tensor, entry, where, start, stop, like=entry)
            args = [slices[entry, where] if item is entry else item for item in args]
        target = node.target
        if target in _RESHAPE:
            size = int_shape(node) or []
            args[1] = [*size[:made], after[axis], *size[made + 1 :]]
            target = aten.reshape.default
        slices[node, made] = emit(node, target, *args, like=node, **node.kwargs)
    replace(selection, slices[source, axis])  # type: ignore[index]
    return True


def _plan(selection: Node, axis: int) -> list[tuple[Node, int]]:
    """The nodes above `selection` of which nothing but the slice is used, last first, each with the slice's axis."""
    demands: dict[Node, dict[Node, set[int | None]]] = {selection.args[0]: {selection: {axis}}}  # type: ignore[dict-item]
    plan: list[tuple[Node, int]] = []
    node = selection
    while (node := node.prev).op == "call_function":
        if node not in demands or set(node.users) != set(demands[node]):
            continue
        axes = set().union(*demands[node].values())
        made = axes.pop()
        if axes or made is None or (needs := _needs(node, made)) is None:
            continue
        plan.append((node, made))
        for entry, where in needs:
            demands.setdefault(entry, {}).setdefault(node, set()).add(where)
    return plan


def _needs(node: Node, axis: int) -> _Needs | None:
    """What `node` needs of its inputs to give a slice along `axis` of its output; None where it mixes that axis."""
    size = int_shape(node)
    inputs = node.all_input_nodes
    sizes = [int_shape(entry) for entry in inputs]
    if size is None or any(entry is None for entry in sizes):
        return None
    first, rank, target = inputs[0] if inputs else node, len(size), node.target
    whole: _Needs = [(entry, None) for entry in inputs[1:]]
    if target in _UNARY:
        return [(first, axis)]
    if target in _BINARY:
        axes = [axis - rank + len(entry or []) for entry in sizes]
        return [
            (entry, where if where >= 0 and (of or [])[where] == size[axis] else None)
            for entry, of, where in zip(inputs, sizes, axes, strict=True)
        ]
    if target is aten.layer_norm.default:
        return [(first, axis), *whole] if axis < rank - len(node.args[1]) else None  # type: ignore[arg-type]
    if target is aten.softmax.int:
        return [(first, axis)] if int(arg(node, "dim")) % rank != axis else None
    if target is aten.slice.Tensor:
        return [(first, axis)] if int(arg(node, "dim")) % rank != axis else None
    if target is aten.permute.default:
        return [(first, int(arg(node, "dims")[axis]) % rank)]
    if target is aten.linear.default:
        return [(first, axis), *whole] if axis < rank - 1 and len(inputs) > 1 else None
    if target in (aten.bmm.default, aten.matmul.default):
        rows = axis == rank - 2 and len(inputs) == 2 and len(sizes[0] or []) == rank
        return [(first, axis), *whole] if rows else None
    if target in _RESHAPE:
        return _through_reshape(first, sizes[0] or [], size, axis)
    return None


def _through_reshape(entry: Node, before: list[int], after: list[int], axis: int) -> _Needs | None:
    """The input's axis that is the output's `axis`, untouched by the reshape, if there is one."""
    for where, length in enumerate(before):
        if length == after[axis] and prod(before[:where]) == prod(after[:axis]):
            return [(entry, where)]
    return None
