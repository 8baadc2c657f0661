"""Pooling with every argument spelled out: pads, divisors, dilation and grids that do not divide the map."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, argument_names, emit, operator_of, shape, source_of, spread, val
from edgekit.graph.spelling import product_along, spell, spell_values, static_tail

__all__ = ["spell_adaptive_pooling", "spell_pooling"]

aten = torch.ops.aten
_MOST_WINDOWS = 32  # a longer window is better one operator than that many slices


def spell_adaptive_pooling(graph_module: GraphModule) -> int:
    """Spell adaptive pooling to a fixed grid: windows of one size, or products and maxima where the grid does not
    divide the map. Average pooling to one pixel stays as it is.
    """
    count = spell(graph_module, dict.fromkeys(_ADAPTIVE, _adaptive_average))
    return count + spell_values(graph_module, dict.fromkeys(_ADAPTIVE_MAXIMA, _adaptive_max))


def spell_pooling(graph_module: GraphModule) -> int:
    """Spell averages that have a divisor or a ceiling, and maxima with dilation, in plain windows."""
    plain = dict.fromkeys(_AVERAGES.values(), _average) | dict.fromkeys(_MAXIMA.values(), _max_pool)
    return spell(graph_module, plain) + spell_values(graph_module, dict.fromkeys(_PLAIN_MAXIMA, _max_pool))


def _sizes(node: Node, axes: int) -> tuple[list[int], list[int]] | None:
    """(the map's, the result's) last sizes where they are fixed."""
    result = node if isinstance(node.meta["val"], torch.Tensor) else next(iter(node.users))
    inner, outer = static_tail(node.args[0], axes), static_tail(result, axes)
    return None if inner is None or outer is None or 0 in outer else (inner, outer)


def _bounds(inner: int, outer: int) -> list[tuple[int, int]]:
    """Where each window of adaptive pooling starts and ends."""
    return [((place * inner) // outer, -(-((place + 1) * inner) // outer)) for place in range(outer)]


def _even_windows(inner: list[int], outer: list[int]) -> list[int] | None:
    """The windows of images that divide the map; None where there are no such ones, or other than two axes."""
    pairs = list(zip(inner, outer, strict=True))
    even = len(pairs) == 2 and all(length % parts == 0 for length, parts in pairs)
    return [length // parts for length, parts in pairs] if even else None


def _adaptive_average(node: Node) -> Node | None:
    axes = _axes(node)
    sizes = _sizes(node, axes)
    if sizes is None or set(sizes[1]) == {1}:
        return None
    inner, outer = sizes
    if inner == outer:
        return source_of(node)
    windows = _even_windows(inner, outer)
    if windows:
        return emit(node, aten.avg_pool2d.default, node.args[0], windows, windows)
    matrices = []
    for length, parts in zip(inner, outer, strict=True):
        matrix = torch.zeros(length, parts)
        for place, (start, end) in enumerate(_bounds(length, parts)):
            matrix[start:end, place] = 1 / (end - start)
        matrices.append(matrix)
    return product_along(node, source_of(node), matrices)


def _adaptive_max(node: Node) -> Node | None:
    axes = _axes(node)
    sizes = _sizes(node, axes)
    if sizes is None:
        return None
    inner, outer = sizes
    result = source_of(node)
    rank = val(result).dim()
    if set(outer) == {1}:
        return emit(node, aten.amax.default, result, list(range(rank - axes, rank)), True)
    windows = _even_windows(inner, outer)
    if windows:
        return emit(node, aten.max_pool2d.default, result, windows, windows)
    for place, (length, parts) in enumerate(zip(inner, outer, strict=True)):
        bounds = _bounds(length, parts)
        width = max(end - start for start, end in bounds)
        # Windows of one width: a shorter one sees its last pixel again, which changes no maximum.
        index = [min(start + step, end - 1) for step in range(width) for start, end in bounds]
        axis = rank - axes + place
        rows = add_constant(node, torch.tensor(index), "pool_index")
        taken = emit(node, aten.index_select.default, result, axis, rows)
        result = _greatest(node, [_part(node, taken, axis, step * parts, parts) for step in range(width)])
    return result


def _part(node: Node, source: Node, axis: int, start: int, length: int, step: int = 1) -> Node:
    """`length` entries of one axis from `start`, `step` apart."""
    end = start + (length - 1) * step + 1
    if (start, end, step) == (0, shape(source)[axis], 1):
        return source
    return emit(node, aten.slice.Tensor, source, axis, start, end, step)


def _greatest(node: Node, parts: list[Node]) -> Node:
    return functools.reduce(functools.partial(emit, node, aten.maximum.default), parts)


def _by_axes(name: str) -> dict[int, Any]:
    """The operator of this name for each number of axes."""
    return {axes: getattr(aten, name.format(axes)).default for axes in (1, 2, 3)}


def _axes(node: Node) -> int:
    return int(operator_of(node)._schema.name.removesuffix("_with_indices")[-2])


def _average(node: Node) -> Node | None:
    """Zeros around the map by hand, a plain average, and what it has to be multiplied by."""
    axes = _axes(node)
    sizes = _sizes(node, axes)
    if sizes is None:
        return None
    kernel, padding = spread(arg(node, "kernel_size"), axes), spread(arg(node, "padding"), axes)
    stride = spread(arg(node, "stride"), axes) if arg(node, "stride") else kernel
    names = argument_names(node)
    divisor = arg(node, "divisor_override") if "divisor_override" in names else None
    counted = arg(node, "count_include_pad")
    inner, outer = sizes
    sides = list(zip(inner, outer, kernel, stride, padding, strict=True))
    if divisor is None and not arg(node, "ceil_mode") and (counted or axes < 3 or not any(padding)):
        # coremltools does not know that a stride may be left unsaid.
        said = arg(node, "stride")
        return None if said else emit(node, node.target, node.args[0], kernel, stride, padding, False, counted)
    if all(parts == 1 and width - pad >= length for length, parts, width, _, pad in sides):
        # One window over all there is, and perhaps far beyond: EfficientNet of transformers asks for 1280 of 7 pixels.
        spans = [min(width, length + 2 * pad) if counted else length for length, _, width, _, pad in sides]
        rank = val(node).dim()
        pooled = emit(node, aten.mean.dim, node.args[0], list(range(rank - axes, rank)), True)
        factor = math.prod(inner) / (math.prod(spans) if divisor is None else divisor)
        return pooled if factor == 1 else emit(node, aten.mul.Tensor, pooled, factor)
    source, ends = node.args[0], []
    for length, parts, width, step, pad in reversed(sides):
        ends += [pad, max((parts - 1) * step + width - length - pad, 0)]
    if any(ends):
        source = emit(node, aten.pad.default, source, ends)
    pooled = emit(node, _AVERAGES[axes], source, kernel, stride)
    for place, (length, parts) in enumerate(zip(shape(pooled)[-axes:], outer, strict=True)):
        if length != parts:
            pooled = emit(node, aten.slice.Tensor, pooled, val(pooled).dim() - axes + place, 0, parts)
    factors = torch.full((), float(math.prod(kernel)), dtype=torch.float64)
    if divisor is not None:
        factor = float(factors) / divisor
        return pooled if factor == 1 else emit(node, aten.mul.Tensor, pooled, factor)
    for length, parts, width, step, pad in sides:
        low, high = (-pad, length + pad) if counted else (0, length)
        starts = torch.arange(parts) * step - pad
        counts = (starts + width).clamp(max=high) - starts.clamp(min=low)
        factors = factors[..., None] / counts
    if bool((factors == 1).all()):
        return pooled
    weights = add_constant(node, factors.to(val(node).dtype), "pool_factors")
    return emit(node, aten.mul.Tensor, pooled, weights)


def _max_pool(node: Node) -> Node | None:
    """Dilated windows as maxima of slices, one axis after the other, over a map padded with the lowest value."""
    axes = _axes(node)
    sizes = _sizes(node, axes)
    if sizes is None or not val(node.args[0]).is_floating_point():
        return None
    kernel, padding, dilation = (spread(arg(node, name), axes) for name in ("kernel_size", "padding", "dilation"))
    stride = spread(arg(node, "stride"), axes) if arg(node, "stride") else kernel
    if all(step == 1 for step, width in zip(dilation, kernel, strict=True) if width > 1) or sum(kernel) > _MOST_WINDOWS:
        plain = _PLAIN_MAXIMA.get(operator_of(node), operator_of(node))
        if plain is node.target and arg(node, "stride"):
            return None
        return emit(node, plain, node.args[0], kernel, stride, padding, dilation, arg(node, "ceil_mode"))
    result = source_of(node)
    rank = val(result).dim()
    for place, (length, parts) in enumerate(zip(*sizes, strict=True)):
        width, step, apart, pad = kernel[place], stride[place], dilation[place], padding[place]
        axis = rank - axes + place
        tail = max((parts - 1) * step + apart * (width - 1) + 1 - length - pad, 0)
        if pad or tail:
            amounts = [0] * (2 * (rank - axis))
            amounts[-2:] = [pad, tail]
            result = emit(node, aten.pad.default, result, amounts, "constant", -math.inf)
        result = _greatest(node, [_part(node, result, axis, tap * apart, parts, step) for tap in range(width)])
    return result


_AVERAGES = _by_axes("avg_pool{}d")
_ADAPTIVE = (
    *_by_axes("adaptive_avg_pool{}d").values(),
    aten._adaptive_avg_pool2d.default,
    aten._adaptive_avg_pool3d.default,
)
_ADAPTIVE_MAXIMA = _by_axes("adaptive_max_pool{}d").values()
_MAXIMA = _by_axes("max_pool{}d")
_PLAIN_MAXIMA = dict(zip(_by_axes("max_pool{}d_with_indices").values(), _MAXIMA.values(), strict=True))
