"""Move slices up: split projections into separate ones, and compute only what is read."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import (
    add_constant,
    arg,
    args_of,
    calls,
    emit,
    features_axis,
    int_shape,
    is_call,
    kwargs_of,
    replace,
    source_of,
    weights,
)

__all__ = ["hoist_slices"]

aten = torch.ops.aten
_UNARY = (
    aten.relu.default,
    aten.relu6.default,
    aten.gelu.default,
    aten.silu.default,
    aten.sigmoid.default,
    aten.tanh.default,
    aten.hardswish.default,
    aten.hardsigmoid.default,
    aten.hardtanh.default,
    aten.clamp.default,
    aten.neg.default,
    aten.exp.default,
    aten.sqrt.default,
    aten.rsqrt.default,
)
_BINARY = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)


def hoist_slices(graph_module: GraphModule, *, splits: bool = True) -> int:
    """Move each slice over the calls it reads from, as far up as that costs nothing.

    Over a linear or convolution's outputs it slices the weights: one qkv projection becomes three, and the reshape,
    permute and unbind between them disappear. Over a token axis it leaves everything after the last attention to the
    one token that is read. A call that somebody else reads whole is never passed. Without `splits` no layer is parted,
    and no view that several read.
    """
    count, changed = 0, True
    while changed:
        changed = False
        for node in reversed(list(calls(graph_module, aten.slice.Tensor))):
            if node._erased or not node.users:
                continue
            _merge_twins(node)
            window = _window(node)
            new = None if window is None else _hoisted(node, splits, *window)
            if new is not None:
                replace(node, new)
                count, changed = count + 1, True
    return count


def _window(node: Node) -> tuple[int, int, int] | None:
    """(axis, start, end) of a static slice with step 1."""
    size, inner = int_shape(node), int_shape(node.args[0])
    if size is None or inner is None or arg(node, "step") != 1 or not isinstance(arg(node, "start"), (int, type(None))):
        return None
    axis = arg(node, "dim") % len(inner)
    start = arg(node, "start") or 0
    start = min(max(start + inner[axis] if start < 0 else start, 0), inner[axis])
    return axis, start, start + size[axis]


def _merge_twins(node: Node) -> None:
    window = _window(node)
    for other in list(source_of(node).users):
        if node < other and is_call(other, aten.slice.Tensor) and window is not None and _window(other) == window:
            replace(other, node)


def _hoisted(node: Node, splits: bool, axis: int, start: int, end: int) -> Node | None:
    source = node.args[0]
    inner = int_shape(source)
    if not isinstance(source, Node) or source.op != "call_function" or inner is None or end <= start:
        return None

    def cut(part: Node, at: int) -> Node:
        return emit(node, aten.slice.Tensor, part, at, start, end, like=source)

    layer = is_call(source, aten.linear.default, aten.conv2d.default)
    if not splits and (len(source.users) != 1 or (layer and axis == features_axis(source))):
        return None
    if is_call(source, aten.permute.default):
        order = [item % len(inner) for item in args_of(source)[1]]
        return emit(node, aten.permute.default, cut(source_of(source), order[axis]), order, like=source)
    if is_call(source, aten.reshape.default):
        return _over_reshape(node, source, splits, axis, start, end)
    if layer and axis == features_axis(source):
        if not all(is_call(user, aten.slice.Tensor) and (_window(user) or [None])[0] == axis for user in source.users):
            return None
        return _with_outputs(node, source, torch.arange(start, end))
    if len(source.users) != 1:
        return None
    if is_call(source, aten.slice.Tensor):
        outer = _window(source)
        if outer is None or outer[0] != axis:
            return None
        return emit(node, aten.slice.Tensor, source.args[0], axis, outer[1] + start, outer[1] + end, like=source)
    if is_call(source, *_UNARY) or _along_other_axis(source, axis, len(inner)):
        first, *rest = args_of(source)
        return emit(node, source.target, cut(first, axis), *rest, like=source, **kwargs_of(source))
    if is_call(source, *_BINARY):
        return _over_binary(node, source, axis, start, end, inner)
    if is_call(source, aten.bmm.default) and axis in (1, 2):
        left, right = args_of(source)
        sides = (cut(left, 1), right) if axis == 1 else (left, cut(right, 2))
        return emit(node, aten.bmm.default, *sides, like=source)
    return None


def _along_other_axis(source: Node, axis: int, rank: int) -> bool:
    if is_call(source, aten.linear.default):
        return axis != rank - 1
    if is_call(source, aten.softmax.int):
        return arg(source, "dim") % rank != axis
    if is_call(source, aten.layer_norm.default):
        return axis < rank - len(arg(source, "normalized_shape"))
    return False


def _over_binary(node: Node, source: Node, axis: int, start: int, end: int, inner: list[int]) -> Node | None:
    operands: list[Any] = []
    for operand in source.args:
        size = int_shape(operand) if isinstance(operand, Node) else []
        if size is None:
            return None
        at = axis - (len(inner) - len(size))
        whole = isinstance(operand, Node) and at >= 0 and size[at] == inner[axis]
        operands.append(emit(node, aten.slice.Tensor, operand, at, start, end, like=source) if whole else operand)
    return emit(node, source.target, *operands, like=source, **kwargs_of(source))


def _over_reshape(node: Node, source: Node, splits: bool, axis: int, start: int, end: int) -> Node | None:
    origin = source_of(source)
    before, after = int_shape(origin), int_shape(source)
    if before is None or after is None:
        return None
    size = [*after]
    size[axis] = end - start
    inputs, outputs = _group(before, after, axis)
    if not inputs:
        return None
    lead = [item for item in outputs if after[item] != 1]
    if lead and lead[0] == axis:
        first = next(item for item in inputs if before[item] != 1)
        outer, inner = math.prod(after[axis + 1 : outputs[-1] + 1]), math.prod(before[first + 1 : inputs[-1] + 1])
        if start * outer % inner == 0 and end * outer % inner == 0:
            bounds = start * outer // inner, end * outer // inner
            part = emit(node, aten.slice.Tensor, origin, first, *bounds, like=source)
            return emit(node, aten.reshape.default, part, size, like=source)
    if not splits or not is_call(origin, aten.linear.default, aten.conv2d.default):
        return None
    features = features_axis(origin)
    if features is None or inputs != [features]:
        return None
    if len(origin.users) != 1 or not all(is_call(user, aten.slice.Tensor) for user in source.users):
        return None
    grid = torch.arange(before[features]).reshape([after[item] for item in outputs])
    chosen = grid.narrow(axis - outputs[0], start, end - start).flatten()
    layer = _with_outputs(node, origin, chosen)
    return None if layer is None else emit(node, aten.reshape.default, layer, size, like=source)


def _group(before: list[int], after: list[int], axis: int) -> tuple[list[int], list[int]]:
    """The smallest runs of input and output axes with equal element counts that hold output `axis`."""
    i = j = 0
    while i < len(before) and j < len(after):
        inputs, outputs = [i], [j]
        left, right = before[i], after[j]
        while left != right:
            if left < right:
                i += 1
                if i == len(before):
                    return [], []
                left *= before[i]
                inputs.append(i)
            else:
                j += 1
                if j == len(after):
                    return [], []
                right *= after[j]
                outputs.append(j)
        i, j = i + 1, j + 1
        if axis in outputs:
            return (inputs, outputs) if left > 1 else ([], [])
    return [], []


def _with_outputs(node: Node, layer: Node, chosen: torch.Tensor) -> Node | None:
    """`layer` with only these output features."""
    known, convolves = weights(layer), is_call(layer, aten.conv2d.default)
    if known is None or (convolves and arg(layer, "groups") != 1):
        return None
    weight, bias = known
    hint = f"{args_of(layer)[1].target}_part"
    args = [layer.args[0], add_constant(node, weight[chosen], hint)]
    args.append(None if bias is None else add_constant(node, bias[chosen], f"{hint}_bias"))
    rest = [arg(layer, name) for name in ("stride", "padding", "dilation", "groups")] if convolves else []
    return emit(node, layer.target, *args, *rest, like=layer)
