"""Padding that crops as slices before padding that adds; padding that copies pixels as gathers of constant indices."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.nn import functional as F

from edgekit.graph.edit import add_constant, arg, argument_names, emit, shape, source_of, spread, val
from edgekit.graph.spelling import Spelling, spell

__all__ = ["spell_padding"]

aten = torch.ops.aten


def spell_padding(graph_module: GraphModule) -> int:
    """Spell negative padding as slices before what is left of it, and circular padding as a gather.

    Reflected and replicated padding is a gather where it crops, or where the padded axes are not the last two. What a
    convolution of volumes pads by a word is said in numbers.
    """
    return spell(graph_module, _PADDING)


def _sides(node: Node) -> list[tuple[int, int, int]] | None:
    """(axis, before, after) of each padded axis; None where a number is not fixed."""
    amounts, rank = arg(node, "padding" if "padding" in argument_names(node) else "pad"), val(node).dim()
    if not all(type(amount) is int for amount in amounts):
        return None
    pairs = zip(amounts[0::2], amounts[1::2], strict=True)
    return [(rank - 1 - place, *ends) for place, ends in enumerate(pairs) if any(ends)]


def _pad(node: Node) -> Node | None:
    mode = arg(node, "mode")
    return _constant(node) if mode == "constant" else _copied(node, mode)


def _constant(node: Node) -> Node | None:
    sides = _sides(node)
    if sides is None or all(before >= 0 and after >= 0 for _, before, after in sides):
        return None
    source, rest = source_of(node), [0] * len(arg(node, "pad"))
    rank = val(node).dim()
    for axis, before, after in sides:
        if before < 0 or after < 0:
            length = shape(source)[axis]
            if type(length) is not int:
                return None
            start, end = max(-before, 0), length - max(-after, 0)
            source = emit(node, aten.slice.Tensor, source, axis, start, end)
        place = 2 * (rank - 1 - axis)
        rest[place : place + 2] = [max(before, 0), max(after, 0)]
    value = arg(node, "value")
    return source if not any(rest) else emit(node, aten.pad.default, source, rest, "constant", value)


def _copied(node: Node, mode: str) -> Node | None:
    sides = _sides(node)
    if sides is None:
        return None
    plain = mode != "circular" and len(sides) <= 2 and all(before >= 0 and after >= 0 for _, before, after in sides)
    if plain and val(node).dim() == 4:
        return None
    result = source_of(node)
    for axis, before, after in sides:
        length = shape(result)[axis]
        if type(length) is not int:
            return None
        index = F.pad(torch.arange(length, dtype=torch.float64)[None, None], (before, after), mode=mode)
        rows = add_constant(node, index.flatten().to(torch.int64), "pad_index")
        result = emit(node, aten.index_select.default, result, axis, rows)
    return result


def _said(node: Node) -> Node:
    """A convolution of volumes whose padding is a word, in numbers; what is odd goes behind, as in torch."""
    kernel, gaps = shape(arg(node, "weight"))[2:], spread(arg(node, "dilation"), 3)
    same = arg(node, "padding") == "same"
    whole = [gap * (width - 1) * same for width, gap in zip(kernel, gaps, strict=True)]
    source = node.args[0]
    if any(pad % 2 for pad in whole):
        source = emit(node, aten.pad.default, source, [side for pad in whole[::-1] for side in (0, pad % 2)])
    before = [pad // 2 for pad in whole]
    rest = arg(node, "weight"), arg(node, "bias"), arg(node, "stride"), before, gaps, arg(node, "groups")
    return emit(node, aten.conv3d.default, source, *rest)


_PADDING: dict[Any, Spelling] = {
    aten.conv3d.padding: _said,
    aten.pad.default: _pad,
    aten.constant_pad_nd.default: _constant,
    **{getattr(aten, f"reflection_pad{axes}d").default: partial(_copied, mode="reflect") for axes in (1, 2, 3)},
    **{getattr(aten, f"replication_pad{axes}d").default: partial(_copied, mode="replicate") for axes in (1, 2, 3)},
}
