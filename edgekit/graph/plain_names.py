"""Operators that torch has twice, by the name that the runtimes know."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule

from edgekit.graph.edit import calls

__all__ = ["plain_names"]

aten = torch.ops.aten
_NAMES: dict[Any, Any] = {
    aten.unsafe_split.Tensor: aten.split.Tensor,
    aten.unsafe_split_with_sizes.default: aten.split_with_sizes.default,
    aten.unsafe_chunk.default: aten.chunk.default,
}


def plain_names(graph_module: GraphModule) -> int:
    """Call splits that copy by the name of those that do not, of the same arguments. Returns how many there were."""
    count = 0
    for node in calls(graph_module, *_NAMES):
        node.target = _NAMES[node.target]
        count += 1
    return count
