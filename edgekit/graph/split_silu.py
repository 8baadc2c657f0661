"""SiLU as the two operators that integer kernels have."""

from __future__ import annotations

import torch
from torch.fx import GraphModule

from edgekit.graph.edit import calls, emit, replace

__all__ = ["split_silu"]

aten = torch.ops.aten


def split_silu(graph_module: GraphModule) -> int:
    """Spell `silu(x)` as `x * sigmoid(x)`: runtimes have both on 8-bit integers, and not the whole."""
    count = 0
    for node in calls(graph_module, aten.silu.default):
        image = node.args[0]
        replace(node, emit(node, aten.mul.Tensor, image, emit(node, aten.sigmoid.default, image)))
        count += 1
    return count
