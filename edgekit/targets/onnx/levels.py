"""Values on 16 or 256 levels as indices, which ONNX Runtime turns into floats once, as it loads the file."""

from __future__ import annotations

from collections.abc import Sequence

import ml_dtypes
import numpy as np
import onnx_ir as ir

from edgekit.graph.levels import CENTER, Levels, finder
from edgekit.targets.onnx.edit import add_constant, emit

__all__ = ["store_levels"]


def store_levels(graph: ir.Graph, levels: Sequence[Levels]) -> None:
    """Let every initializer that has the values of one of `levels`, as it is or transposed, be stored as its codes."""
    find, place = finder(levels, np.float32), {node: number for number, node in enumerate(graph)}
    for value in list(graph.initializers.values()):
        match = None if value.const_value is None else find(value.const_value.numpy())
        uses = list(value.uses())
        if match is None or not uses:
            continue
        first = min((use.node for use in uses), key=place.__getitem__)
        made = _decoded(graph, first, *match)
        made.type, made.shape = value.type, value.shape
        ir.convenience.replace_all_uses_with(value, made)
        graph.initializers.pop(value.name or "")


def _decoded(graph: ir.Graph, before: ir.Node, levels: Levels, transposed: bool) -> ir.Value:
    codes = np.ascontiguousarray(levels.codes.T if transposed else levels.codes)
    packed = add_constant(graph, before, "codes", codes.astype(ml_dtypes.uint4) if levels.bits == 4 else codes)
    if levels.table is not None:
        wide = emit(before, "Cast", [packed], to=ir.DataType.INT32)
        return emit(before, "Gather", [add_constant(graph, before, "table", levels.table), wide], axis=0)
    assert levels.scales is not None
    wide = emit(before, "Cast", [packed], to=ir.DataType.FLOAT)
    steps = emit(before, "Sub", [wide, add_constant(graph, before, "zero", np.array(CENTER, np.float32))])
    scales = levels.scales.reshape(*levels.scales.shape, *[1] * (codes.ndim - 1))  # [O,blocks,1,...]
    parted = codes.reshape(len(codes), scales.shape[1], -1, *codes.shape[2:]).shape
    if transposed:
        parted, scales = (levels.scales.shape[1], -1, codes.shape[1]), levels.scales.T[:, None, :]
    apart = emit(before, "Reshape", [steps, add_constant(graph, before, "parted", np.array(parted))])
    product = emit(before, "Mul", [apart, add_constant(graph, before, "scales", np.ascontiguousarray(scales))])
    return emit(before, "Reshape", [product, add_constant(graph, before, "size", np.array(codes.shape))])
