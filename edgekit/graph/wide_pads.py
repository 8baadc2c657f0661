"""Paddings of tensors of three axes as paddings of four."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, args_of, emit, int_shape, operator_of, shape, source_of
from edgekit.graph.spelling import spell

__all__ = ["pads_outer_axes", "wide_pads"]

aten = torch.ops.aten


def wide_pads(graph_module: GraphModule) -> int:
    """Pad [A,B,C] along A or B as [1,A,B,C].

    LiteRT's GPU accelerator shifts the rows of the first by one
    (https://github.com/google-ai-edge/LiteRT/issues/9272).
    """
    return spell(graph_module, dict.fromkeys((aten.pad.default, aten.constant_pad_nd.default), _in_four_axes))


def pads_outer_axes(node: Node) -> bool:
    """Whether a call pads a tensor of three axes with one number, along another axis than the last."""
    size = int_shape(source_of(node))
    filled = operator_of(node) is aten.constant_pad_nd.default or arg(node, "mode") == "constant"
    return filled and size is not None and len(size) == 3 and any(args_of(node)[1][2:])


def _in_four_axes(node: Node) -> Node | None:
    if not pads_outer_axes(node):
        return None
    source = source_of(node)
    image = emit(node, aten.reshape.default, source, [1, *shape(source)])
    padded = emit(node, aten.constant_pad_nd.default, image, list(args_of(node)[1]), arg(node, "value") or 0)
    return emit(node, aten.reshape.default, padded, shape(node))
