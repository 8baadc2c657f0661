"""Transposed convolutions that give more than their kernel covers, which no runtime has."""

# torch.fx types an argument as a union of sixteen kinds.
# mypy: disable-error-code="union-attr, arg-type, operator, index, attr-defined"

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, emit, int_shape, shape, spread
from edgekit.graph.spelling import spell

__all__ = ["spell_output_padding", "spell_transposed"]

aten = torch.ops.aten
_TRANSPOSED = (aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input)


def spell_transposed(graph_module: GraphModule) -> int:
    """Spell a transposed convolution whose output padding is not below its stride as a whole one, cut or filled up.

    PyTorch allows that where the kernel is dilated; no runtime does.
    """
    return spell(graph_module, dict.fromkeys(_TRANSPOSED, lambda node: _whole(node, "stride", below=True)))


def spell_output_padding(graph_module: GraphModule) -> int:
    """Spell one whose output padding exceeds its padding, which coremltools 9.0 refuses or gets wrong."""
    return spell(graph_module, dict.fromkeys(_TRANSPOSED, lambda node: _whole(node, "padding", below=False)))


def _whole(node: Node, limit: str, *, below: bool) -> Node | None:
    """The result as a part of what the kernel covers; None where every output padding keeps to the limit."""
    size = int_shape(node)
    if size is None or int_shape(node.args[0]) is None:
        return None
    count = len(size) - 2
    more, steps, cut = (spread(arg(node, name), count) for name in ("output_padding", "stride", "padding"))
    most = [bound - below for bound in spread(arg(node, limit), count)]
    if all(extra <= bound for extra, bound in zip(more, most, strict=True)):
        return None
    bias, none = arg(node, "bias"), [0] * count
    given = (arg(node, "weight"), None, steps, none, none, arg(node, "groups"), arg(node, "dilation"))
    whole = emit(node, node.target, node.args[0], *given)
    for axis, start in enumerate(cut, 2):
        lacks = start + size[axis] - shape(whole)[axis]
        if lacks > 0:  # more than what the kernel reaches: nothing but the bias
            pads = [0] * (2 * count)
            pads[2 * (len(size) - 1 - axis) + 1] = lacks
            whole = emit(node, aten.pad.default, whole, pads)
        whole = emit(node, aten.slice.Tensor, whole, axis, start, start + size[axis])
    if bias is None:
        return whole
    return emit(node, aten.add.Tensor, whole, emit(node, aten.reshape.default, bias, [1, -1, *[1] * count]))
