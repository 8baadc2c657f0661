"""Slices that part a tensor, as one split: for runtimes that have an operator with several results."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, calls, emit, getitem, int_shape, replace, source_of

__all__ = ["join_slices"]

aten = torch.ops.aten


def join_slices(graph_module: GraphModule) -> int:
    """Write the slices of one tensor that part an axis of it without gaps as one `split_with_sizes`."""
    windows: dict[tuple[Node, int], dict[Node, tuple[int, int]]] = {}
    for node in calls(graph_module, aten.slice.Tensor):
        window = _window(node)
        if window is not None:
            axis, start, end = window
            windows.setdefault((source_of(node), axis), {})[node] = start, end
    return sum(_joined(source, axis, parts) for (source, axis), parts in windows.items())


def _joined(source: Node, axis: int, parts: dict[Node, tuple[int, int]]) -> bool:
    size = int_shape(source)
    ordered = sorted(parts.items(), key=lambda item: item[1])
    starts, ends = [start for _, (start, _) in ordered], [end for _, (_, end) in ordered]
    if size is None or len(parts) < 2 or starts != [0, *ends[:-1]] or ends[-1] != size[axis]:
        return False
    sizes = [end - start for start, end in zip(starts, ends, strict=True)]
    split = emit(min(parts), aten.split_with_sizes.default, source, sizes, axis)
    for number, (node, _) in enumerate(ordered):
        replace(node, emit(node, getitem, split, number))
    return True


def _window(node: Node) -> tuple[int, int, int] | None:
    """(axis, start, end) of a slice with step 1 and fixed bounds."""
    size, inner, start = int_shape(node), int_shape(source_of(node)), arg(node, "start") or 0
    if size is None or inner is None or arg(node, "step") != 1 or not isinstance(start, int) or 0 in size:
        return None
    axis = arg(node, "dim") % len(inner)
    start = min(max(start + inner[axis] if start < 0 else start, 0), inner[axis])
    return axis, start, start + size[axis]
