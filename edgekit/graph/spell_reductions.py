"""Reductions with every argument spelled out: dtypes as casts, sums of booleans, spreads, norms of old spelling."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import (
    arg,
    argument_names,
    calls,
    emit,
    getitem,
    int_shape,
    is_call,
    kwargs_of,
    operator_of,
    replace,
    shape,
    source_of,
    val,
)
from edgekit.graph.spelling import Spelling, cast, spell, spell_values

__all__ = ["spell_boolean_sums", "spell_maxima", "spell_reductions", "spell_spreads"]

aten = torch.ops.aten
_EXACT = 1 << 24  # whole numbers that float32 holds


def spell_reductions(graph_module: GraphModule) -> int:
    """Spell `dtype=` as a cast before the call, and `torch.norm` as a vector norm.

    `std_mean` and `var_mean` become a spread and a mean, `max` and `min` along an axis whose places nobody reads `amax`
    and `amin`.
    """
    count = spell(graph_module, _ROWS) + _spell_spread_and_mean(graph_module)
    return count + spell_values(graph_module, dict.fromkeys(_EXTREMES, _extreme))


def spell_boolean_sums(graph_module: GraphModule) -> int:
    """Spell sums of booleans as sums of float32, which are exact up to 2**24 of them."""
    return spell(graph_module, dict.fromkeys(_SUMS, _sum_of_booleans))


def spell_maxima(graph_module: GraphModule) -> int:
    """Spell maxima along axes with these kept and then dropped, which is how XNNPACK takes them."""
    return spell(graph_module, {aten.amax.default: _amax})


def _amax(node: Node) -> Node | None:
    axes = list(arg(node, "dim"))
    if arg(node, "keepdim") or not axes:
        return None
    return emit(node, aten.squeeze.dims, emit(node, aten.amax.default, node.args[0], axes, True), axes)


def spell_spreads(graph_module: GraphModule) -> int:
    """Spell variances, deviations and products along an axis in sums and products."""
    return spell(graph_module, _SPREADS)


def _dtype_first(node: Node) -> Node | None:
    """The call on its input in the dtype that it was asked to work in."""
    dtype = arg(node, "dtype")
    return None if dtype is None else _in_dtype(node, dtype)


def _in_dtype(node: Node, dtype: torch.dtype) -> Node:
    rest = [arg(node, name) for name in argument_names(node)[1:] if name != "dtype"]
    return emit(node, node.target, cast(node, source_of(node), dtype), *rest)


def _sum_of_booleans(node: Node) -> Node | None:
    size = int_shape(node.args[0])
    if val(node.args[0]).dtype != torch.bool or size is None or math.prod(size) > _EXACT:
        return None
    return _in_dtype(node, torch.float32)


def _norm(node: Node) -> Node | None:
    """The deprecated `aten.norm` as `linalg_vector_norm`."""
    power = 2 if arg(node, "p") is None else arg(node, "p")
    return emit(node, aten.linalg_vector_norm.default, node.args[0], power, *_axes_and_keep(node))


def _axes_and_keep(node: Node) -> tuple[Any, bool]:
    """What `dim` and `keepdim` say, None and False where the overload has none."""
    names = argument_names(node)
    return arg(node, "dim") if "dim" in names else None, "keepdim" in names and arg(node, "keepdim")


_PAIRS = {
    getattr(getattr(aten, f"{name}_mean"), overload): getattr(getattr(aten, name), overload)
    for name in ("std", "var")
    for overload in ("default", "dim", "correction")
}


def _spell_spread_and_mean(graph_module: GraphModule) -> int:
    count = 0
    for node in calls(graph_module, *_PAIRS):
        if not node.users or not all(is_call(user, getitem) for user in node.users):
            continue
        axes, keep = _axes_and_keep(node)
        axes = axes or list(range(val(node.args[0]).dim()))
        for user in list(node.users):
            if user.args[1] == 0:
                part = emit(node, _PAIRS[operator_of(node)], *node.args, **kwargs_of(node))
            else:
                part = emit(node, aten.mean.dim, node.args[0], axes, keep)
            replace(user, part)
        count += 1
    return count


def _extreme(node: Node) -> Node:
    return emit(node, _EXTREMES[operator_of(node)], node.args[0], [arg(node, "dim")], arg(node, "keepdim"))


def _spread(node: Node) -> Node | None:
    source, rank = node.args[0], val(node.args[0]).dim()
    axes, keep = _axes_and_keep(node)
    axes = [axis % rank for axis in axes or range(rank)]
    correction = arg(node, "correction" if "correction" in argument_names(node) else "unbiased")
    correction = 1 if correction is None else correction
    sizes = [shape(source)[axis] for axis in axes]
    if not all(type(size) is int for size in sizes) or math.prod(sizes) <= correction:
        return None
    gap = emit(node, aten.sub.Tensor, source, emit(node, aten.mean.dim, source, axes, True))
    mean = emit(node, aten.mean.dim, emit(node, aten.mul.Tensor, gap, gap), axes, keep)
    factor = math.prod(sizes) / (math.prod(sizes) - correction)
    variance = mean if factor == 1 else emit(node, aten.mul.Tensor, mean, factor)
    return emit(node, aten.sqrt.default, variance) if "std" in operator_of(node)._schema.name else variance


def _prod_of_all(node: Node) -> Node | None:
    if arg(node, "dtype") is not None or int_shape(node.args[0]) is None:
        return None
    return _prod(emit(node, aten.prod.dim_int, emit(node, aten.reshape.default, node.args[0], [-1]), 0))


def _prod(node: Node) -> Node | None:
    result: Any = node.args[0]
    axis = arg(node, "dim") % val(result).dim()
    length = shape(result)[axis]
    if type(length) is not int or length < 1 or arg(node, "dtype") is not None:
        return None
    while length > 1:
        half = length // 2
        bounds = ((0, half), (half, 2 * half), (2 * half, length))
        parts = [emit(node, aten.slice.Tensor, result, axis, *ends) for ends in bounds if ends[0] < ends[1]]
        result = emit(node, aten.mul.Tensor, *parts[:2])
        if length % 2:
            result = emit(node, aten.cat.default, [result, parts[2]], axis)
        length -= half
    return result if arg(node, "keepdim") else emit(node, aten.squeeze.dim, result, axis)


def _all_axes(node: Node) -> Node | None:
    """`amax` and `amin` of a whole tensor with its axes said, as torch.onnx wants them."""
    if arg(node, "dim"):
        return None
    return emit(node, node.target, node.args[0], list(range(val(node.args[0]).dim())), arg(node, "keepdim"))


def _place_of_all(node: Node) -> Node | None:
    """`argmax` and `argmin` of a whole tensor along one axis of all its values."""
    if arg(node, "dim") is not None or int_shape(node.args[0]) is None:
        return None
    place = emit(node, node.target, emit(node, aten.reshape.default, node.args[0], [-1]), 0)
    return emit(node, aten.reshape.default, place, shape(node)) if arg(node, "keepdim") else place


_EXTREMES = {aten.max.dim: aten.amax.default, aten.min.dim: aten.amin.default}
_SUMS = (aten.sum.default, aten.sum.dim_IntList)
_ROWS: dict[Any, Spelling] = {
    **dict.fromkeys((*_SUMS, aten.mean.default, aten.mean.dim, aten.prod.default, aten.prod.dim_int), _dtype_first),
    **dict.fromkeys((aten.softmax.int, aten.log_softmax.int, aten.cumsum.default, aten.cumprod.default), _dtype_first),
    **dict.fromkeys((aten.amax.default, aten.amin.default), _all_axes),
    **dict.fromkeys((aten.argmax.default, aten.argmin.default), _place_of_all),
    **dict.fromkeys((aten.norm.Scalar, aten.norm.ScalarOpt_dim), _norm),
}
_SPREADS: dict[Any, Spelling] = {
    **dict.fromkeys(_PAIRS.values(), _spread),
    aten.prod.dim_int: _prod,
    aten.prod.default: _prod_of_all,
}
