"""Windows (`unfold`, `fold`, `as_strided`) as convolutions with unit kernels, reshapes and gathers."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.errors import UnsupportedOpError
from edgekit.graph.edit import add_constant, arg, emit, int_shape, module_path, pair, shape, source_of, val
from edgekit.graph.spelling import Spelling, gather, spell

__all__ = ["spell_strides", "spell_windows"]

aten = torch.ops.aten


def spell_strides(graph_module: GraphModule) -> int:
    """Spell `as_strided` of a dense tensor as a gather; runs before anything that changes how tensors lie in memory.

    A part (a slice, a reshape of one) reads the memory of the tensor that it is part of. Shapes that are not fixed are
    left alone.

    Raises:
        UnsupportedOpError: the memory that is read belongs to no tensor of the program.
    """
    return spell(graph_module, {aten.as_strided.default: _as_strided, aten.as_strided_copy.default: _as_strided})


def spell_windows(graph_module: GraphModule) -> int:
    """Spell `F.unfold` and `F.fold` as grouped convolutions with unit kernels, `Tensor.unfold` as a gather.

    Windows that tile the map are a reshape and a permute.
    """
    return spell(graph_module, _WINDOWS)


def _as_strided(node: Node) -> Node | None:
    size = int_shape(node)
    if int_shape(node.args[0]) is None or size is None:
        return None
    base = _owner(source_of(node))
    if base is None:
        raise UnsupportedOpError(
            f"{node.target}, used in {module_path(node)}, reads memory that no tensor shows: "
            "write it with unfold or slices"
        )
    order = _order_in_memory(val(base))
    strides = [int(step) for step in arg(node, "stride")]
    offset = arg(node, "storage_offset")
    index = torch.tensor(val(node.args[0]).storage_offset() if offset is None else offset)
    for length, step in zip(size, strides, strict=True):
        index = index[..., None] + torch.arange(length) * step
    flat = base if order == sorted(order) else emit(node, aten.permute.default, base, order)
    flat = emit(node, aten.reshape.default, flat, [val(base).numel()])
    return _gather(node, flat, 0, index.flatten(), size)


def _owner(node: Node) -> Node | None:
    """The dense tensor that holds all of the memory which this one is a view of."""
    storage = val(node).untyped_storage()
    while "val" in node.meta:
        lies = val(node)
        whole = lies.numel() * lies.element_size() == storage.nbytes() and not lies.storage_offset()
        dense = whole and lies.permute(_order_in_memory(lies)).is_contiguous()
        if dense and lies.untyped_storage()._cdata == storage._cdata:
            return node
        if node.op != "call_function" or not node.args or not isinstance(node.args[0], Node):
            return None
        node = node.args[0]
    return None


def _order_in_memory(tensor: torch.Tensor) -> list[int]:
    return sorted(range(tensor.dim()), key=lambda axis: (-tensor.stride()[axis], axis))


def _gather(node: Node, source: Node, axis: int, index: torch.Tensor, size: list[Any]) -> Node:
    return gather(node, source, axis, index, size, "window_index")


def _unfold_axis(node: Node) -> Node | None:
    """`Tensor.unfold(dim, size, step)`: the windows' axis stays in place, their content comes last."""
    source, width, step = source_of(node), arg(node, "size"), arg(node, "step")
    inner = int_shape(source)
    if inner is None or not inner:
        return None
    axis = arg(node, "dimension") % len(inner)
    starts = torch.arange(0, inner[axis] - width + 1, step)
    split = [*inner[:axis], len(starts), width, *inner[axis + 1 :]]
    if width == step:
        part = emit(node, aten.slice.Tensor, source, axis, 0, len(starts) * width)
        windows = emit(node, aten.reshape.default, part, split)
    else:
        windows = _gather(node, source, axis, (starts[:, None] + torch.arange(width)).flatten(), split)
    order = [place for place in range(len(split)) if place != axis + 1]
    return emit(node, aten.permute.default, windows, [*order, axis + 1])


def _windows_back(node: Node) -> Node | None:
    """What functionalisation leaves of a write into `Tensor.unfold`: windows that do not meet, and zeros between."""
    windows, size = int_shape(node.args[0]), int_shape(node)
    width, step = arg(node, "size"), arg(node, "step")
    if windows is None or not size or step < width:
        return None
    axis = arg(node, "dim") % len(size)
    count = windows[axis]
    order = list(range(len(windows) - 1))
    order.insert(axis + 1, len(windows) - 1)
    turned = emit(node, aten.permute.default, node.args[0], order)
    flat = emit(node, aten.reshape.default, turned, [*size[:axis], count * width, *size[axis + 1 :]])
    nothing = emit(node, aten.mul.Tensor, emit(node, aten.slice.Tensor, flat, axis, 0, 1), 0)
    places = torch.arange(size[axis])
    inside = (places % step < width) & (places // step < count)
    index = torch.where(inside, places // step * width + places % step, count * width)
    return _gather(node, emit(node, aten.cat.default, [flat, nothing], axis), axis, index, size)


def _geometry(node: Node) -> dict[str, tuple[int, int]]:
    return {name: pair(arg(node, name)) for name in ("kernel_size", "dilation", "padding", "stride")}


def _tiles(given: dict[str, tuple[int, int]], high: int, wide: int) -> bool:
    """Whether the windows cut the map into pieces that neither overlap nor leave anything out."""
    kernel = given["kernel_size"]
    return (
        given["stride"] == kernel
        and not any(given["padding"])
        and all(step == 1 for step, length in zip(given["dilation"], kernel, strict=True) if length > 1)
        and (high % kernel[0], wide % kernel[1]) == (0, 0)
    )


def _units(node: Node, channels: int, kernel: tuple[int, int]) -> Node:
    """[C*kh*kw,1,kh,kw]: for each channel, one kernel a tap that picks that tap."""
    taps = kernel[0] * kernel[1]
    weight = torch.eye(taps, dtype=val(node).dtype).reshape(taps, 1, *kernel).repeat(channels, 1, 1, 1)
    return add_constant(node, weight, "taps")


def _unfold(node: Node) -> Node | None:
    source, inner, size = node.args[0], int_shape(node.args[0]), int_shape(node)
    if inner is None or size is None or len(inner) != 4 or not val(node).is_floating_point():
        return None
    batch, channels, high, wide = inner
    given = _geometry(node)
    kernel = given["kernel_size"]
    if _tiles(given, high, wide):
        rows, columns = high // kernel[0], wide // kernel[1]
        pieces = emit(node, aten.reshape.default, source, [batch, channels, rows, kernel[0], columns, kernel[1]])
        turned = emit(node, aten.permute.default, pieces, [0, 1, 3, 5, 2, 4])
        return emit(node, aten.reshape.default, turned, size)
    rest = [list(given[name]) for name in ("stride", "padding", "dilation")]
    taken = emit(node, aten.conv2d.default, source, _units(node, channels, kernel), None, *rest, channels)
    return emit(node, aten.reshape.default, taken, size)


def _fold(node: Node) -> Node | None:
    source, inner, size = node.args[0], int_shape(node.args[0]), int_shape(node)
    if inner is None or size is None or len(inner) != 3 or not val(node).is_floating_point():
        return None
    given = _geometry(node)
    kernel = given["kernel_size"]
    batch, channels = size[:2]
    sides = zip(size[2:], *(given[name] for name in ("kernel_size", "dilation", "padding", "stride")), strict=True)
    spans = [(length + 2 * pad - step * (taps - 1) - 1) // stride + 1 for length, taps, step, pad, stride in sides]
    if _tiles(given, *size[2:]):
        pieces = emit(node, aten.reshape.default, source, [batch, channels, *kernel, *spans])
        turned = emit(node, aten.permute.default, pieces, [0, 1, 4, 2, 5, 3])
        return emit(node, aten.reshape.default, turned, size)
    return _sum_windows(node, emit(node, aten.reshape.default, source, [batch, -1, *spans]), given)


def _sum_windows(node: Node, columns: Node, given: dict[str, tuple[int, int]]) -> Node:
    """Windows [N,C*taps,rows,columns] summed where they overlap: a transposed convolution, its border cut off."""
    size, kernel, stride, dilation = shape(node), given["kernel_size"], given["stride"], given["dilation"]
    rest = (None, list(stride), [0, 0], [0, 0], size[1], list(dilation))
    summed = emit(node, aten.conv_transpose2d.input, columns, _units(node, size[1], kernel), *rest)
    for axis in (2, 3):
        start, length = given["padding"][axis - 2], size[axis]
        width = shape(summed)[axis]
        if width < start + length:  # windows that end before the map does
            pads = [0, 0, 0, 0]
            pads[2 * (3 - axis) + 1] = start + length - width
            summed = emit(node, aten.pad.default, summed, pads)
        if start or width > start + length:
            summed = emit(node, aten.slice.Tensor, summed, axis, start, start + length)
    return summed


_WINDOWS: dict[Any, Spelling] = {
    **dict.fromkeys((aten.unfold.default, aten.unfold_copy.default), _unfold_axis),
    aten.unfold_backward.default: _windows_back,
    aten.im2col.default: _unfold,
    aten.col2im.default: _fold,
}
