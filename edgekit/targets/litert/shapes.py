"""Operators that move values, and reductions along axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch.fx import Node

from edgekit.graph.edit import arg, aten, operator_of, source_of
from edgekit.targets.litert.elementwise import common_order, spread_to
from edgekit.targets.litert.layout import Value, View, arranged, natural, reshaped
from edgekit.targets.litert.translate import Translation, dtype_of, row

__all__ = ["padded", "reduced"]

_REDUCTIONS = {
    aten.mean.dim: "MEAN", aten.sum.dim_IntList: "SUM", aten.amax.default: "REDUCE_MAX", aten.amin.default: "REDUCE_MIN"
}  # fmt: skip


def _sizes(node: Node) -> list[int]:
    return [int(size) for size in node.meta["val"].shape]


@row(
    aten.reshape.default, aten.view.default, aten.unsqueeze.default, aten.squeeze.dim, aten.squeeze.dims,
    aten.squeeze.default, aten.flatten.using_ints, aten.unflatten.int, aten._unsafe_view.default,
)  # fmt: skip
def _reshape(translation: Translation, node: Node) -> Value | View:
    source, shape = source_of(node), _sizes(node)
    view = translation.view(source).reshaped(shape)
    return reshaped(translation.draft, translation.value(source), shape) if view is None else view


@row(aten.permute.default)
def _permute(translation: Translation, node: Node) -> View:
    view, axes = translation.view(source_of(node)), arg(node, "dims")
    return view.permuted([axis % len(view.axes) for axis in axes])


@row(aten.transpose.int, aten.t.default)
def _transpose(translation: Translation, node: Node) -> View:
    view = translation.view(source_of(node))
    axes = list(natural(len(view.axes)))
    one, other = (0, len(axes) - 1) if node.target is aten.t.default else (arg(node, "dim0"), arg(node, "dim1"))
    if axes:
        axes[one], axes[other] = axes[other], axes[one]
    return view.permuted(axes)


@row(aten.slice.Tensor)
def _slice(translation: Translation, node: Node) -> Value | None:
    axis, step = arg(node, "dim"), arg(node, "step")
    return _part(translation, node, axis, arg(node, "start") or 0, step)


def _part(translation: Translation, node: Node, axis: int, start: int, step: int, size: int = 0) -> Value | None:
    value, draft = translation.value(node.args[0]), translation.draft
    given = value.shape[axis]
    start = max(0, min(given, start + given if start < 0 else start))
    shape = list(value.tensor.shape)
    place = value.place(axis)
    shape[place] = size or _sizes(node)[axis]
    begin = [0] * len(shape)
    begin[place] = start
    constants = [draft.constant(np.array(begin, np.int32))]
    options = {"steps": value.tensor.steps}
    if step == 1:
        constants.append(draft.constant(np.array(shape, np.int32)))
        made = draft.emit("SLICE", [value.tensor, *constants], shape, value.tensor.dtype, **options)
        return Value(made, value.order, value.coded)
    ends, strides = list(value.tensor.shape), [1] * len(shape)
    strides[place], ends[place] = step, start + (shape[place] - 1) * step + 1
    constants += [draft.constant(np.array(ends, np.int32)), draft.constant(np.array(strides, np.int32))]
    made = draft.emit("STRIDED_SLICE", [value.tensor, *constants], shape, value.tensor.dtype, **options)
    return Value(made, value.order, value.coded)


@row(aten.select.int)
def _select(translation: Translation, node: Node) -> Value | None:
    axis, index = node.args[1:3]
    assert isinstance(axis, int)
    assert isinstance(index, int)
    part = _part(translation, node, axis % len(translation.value(node.args[0]).order), index, 1, 1)
    return None if part is None else reshaped(translation.draft, part, _sizes(node))


@row(aten.split_with_sizes.default, aten.split.Tensor, aten.chunk.default)
def _split(translation: Translation, node: Node) -> list[Value]:
    axis, parts, start = arg(node, "dim"), [], 0
    for result in node.meta["val"]:
        size = int(result.shape[axis])
        part = _part(translation, node, axis, start, 1, size)
        assert part is not None
        parts.append(part)
        start += size
    return parts


@row(aten.cat.default)
def _cat(translation: Translation, node: Node) -> Value | None:
    items: Any = node.args[0]
    values = [translation.plain(translation.value(item)) for item in items]
    values = [value for value in values if 0 not in value.shape]
    if len({value.tensor.dtype for value in values}) != 1 or len(values[0].order) != node.meta["val"].dim():
        return None
    order = common_order(values, node.meta["val"].dim())
    tensors = [arranged(translation.draft, value, order) for value in values]
    axis = order.index(arg(node, "dim") % len(order))
    return translation.emit("CONCATENATION", tensors, node, order, axis=axis, fusedActivationFunction=0)


@row(aten.stack.default)
def _stack(translation: Translation, node: Node) -> Value | None:
    items: Any = node.args[0]
    values = [translation.plain(translation.value(item)) for item in items]
    rank = node.meta["val"].dim()
    axis = arg(node, "dim") % rank
    if len({value.tensor.dtype for value in values}) != 1:
        return None
    alone = [size if number != axis else 1 for number, size in enumerate(_sizes(node))]
    tensors = [
        arranged(translation.draft, reshaped(translation.draft, value, alone), natural(rank)) for value in values
    ]
    return translation.emit("CONCATENATION", tensors, node, natural(rank), axis=axis, fusedActivationFunction=0)


@row(aten.index_select.default)
def _gather(translation: Translation, node: Node) -> Value | None:
    value, index = translation.plain(translation.value(node.args[0])), translation.value(node.args[2])
    if index.tensor.data is None or not value.order or value.tensor.dtype not in ("float32", "int32"):
        return None
    indices = translation.draft.constant(index.tensor.data.astype(np.int32))
    place = value.place(arg(node, "dim"))
    return translation.emit("GATHER", [value.tensor, indices], node, value.order, axis=place, batchDims=0)


@row(aten.expand.default)
def _expand(translation: Translation, node: Node) -> Value | None:
    value, shape = translation.plain(translation.value(node.args[0])), _sizes(node)
    if list(value.shape) == shape:
        return value
    if value.tensor.dtype not in ("float32", "int32"):
        return None
    order = value.order if len(value.order) == len(shape) else natural(len(shape))
    sizes = translation.draft.constant(np.array([shape[axis] for axis in order], np.int32))
    return translation.emit("BROADCAST_TO", [spread_to(translation, value, order), sizes], node, order)


@row(*_REDUCTIONS)
def _reduce(translation: Translation, node: Node) -> Value | None:
    value = translation.plain(translation.value(node.args[0]))
    if value.tensor.dtype != "float32" or dtype_of(node.meta["val"]) != "float32":
        return None
    return reduced(translation, node, value, _REDUCTIONS[operator_of(node)])


def reduced(translation: Translation, node: Node, value: Value, kind: str, **more: Any) -> Value | None:
    """A reduction along the axes that `node` names, kept or not."""
    axes, rank = arg(node, "dim"), len(value.order)
    axes = [axes] if isinstance(axes, int) else list(axes or range(rank))
    axes = sorted({axis % rank for axis in axes}) if rank else []
    if not rank:
        return None
    places = translation.draft.constant(np.array(sorted(value.place(axis) for axis in axes), np.int32))
    order, keep = value.order, bool(arg(node, "keepdim"))
    if not keep:
        left = [axis for axis in natural(rank) if axis not in axes]
        order = tuple(left.index(axis) for axis in order if axis in left)
    return translation.emit(kind, [value.tensor, places], node, order, keepDims=keep, **more)


@row(aten.softmax.int, aten._softmax.default)
def _softmax(translation: Translation, node: Node) -> Value | None:
    value = translation.plain(translation.value(node.args[0]))
    if value.tensor.dtype != "float32" or dtype_of(node.meta["val"]) != "float32" or not value.order:
        return None
    axis = arg(node, "dim") % len(value.order)
    order = (*(other for other in value.order if other != axis), axis)
    return translation.emit("SOFTMAX", [arranged(translation.draft, value, order)], node, order, beta=1.0)


@row(aten.constant_pad_nd.default, aten.pad.default)
def _pad(translation: Translation, node: Node) -> Value | None:
    amounts = list(arg(node, "pad"))
    filling = arg(node, "value") or 0
    if (node.target is aten.pad.default and arg(node, "mode") != "constant") or min(amounts) < 0:
        return None
    value = translation.value(node.args[0])
    if filling or not value.coded:
        value = translation.plain(value)
    if value.tensor.dtype not in ("float32", "int8"):
        return None
    return padded(translation, value, amounts, float(filling))


def padded(translation: Translation, value: Value, amounts: list[int], filling: float = 0.0) -> Value:
    """A value with numbers around it; amounts as torch has them, the last axis first."""
    draft, rank = translation.draft, len(value.order)
    rows = [[0, 0] for _ in range(rank)]
    for number in range(len(amounts) // 2):
        rows[rank - 1 - number] = [int(amount) for amount in amounts[2 * number : 2 * number + 2]]
    inner = [rows[axis] for axis in value.order]
    shape = [size + low + high for size, (low, high) in zip(value.tensor.shape, inner, strict=True)]
    inputs = [value.tensor, draft.constant(np.array(inner, np.int32))]
    if filling:
        inputs.append(draft.constant(np.array(filling, value.tensor.dtype), value.tensor.steps))
    made = draft.emit("PADV2" if filling else "PAD", inputs, shape, value.tensor.dtype, steps=value.tensor.steps)
    return Value(made, value.order, value.coded)
