"""Half precision for ONNX: float32 at the borders, in the last normalization, and where a call is marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from edgekit.targets.wide import is_wide

__all__ = ["mark_wide", "name_wide", "to_half"]

TAIL_OPS = ("Div", "Expand", "Clip", "Max", "ReduceL2", "Sqrt", "ReduceSum", "Mul", "Pow", "Reciprocal")
_MARK = "edgekit.float32"  # in a node's `meta`, which is not written to the file
_FROM = "pkg.torch.onnx.fx_node"  # what torch says of each operator: "%name : ..."


def mark_wide(exported: Any) -> None:
    """Mark the operators that `torch.onnx.export` made of marked calls."""
    wide = {node.name for node in exported.exported_program.graph.nodes if is_wide(node)}
    for node in exported.model.graph if wide else ():
        source = node.metadata_props.get(_FROM, "").partition(" ")[0].removeprefix("%")
        node.meta[_MARK] = source in wide


def name_wide(graph: ir.Graph) -> list[str]:
    """The names of the marked operators, given where they have none."""
    wide = [node for node in graph if node.meta.get(_MARK)]
    for number, node in enumerate(wide):
        node.name = node.name or f"float32_{number}"
    return [str(node.name) for node in wide]


def to_half(proto: Any, wide: Sequence[str] = ()) -> Any:
    """Half precision inside, float32 at the borders, in the operators of the names `wide`, and in the last
    normalization, whose epsilon half cannot hold.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    tail, wanted = [], {proto.graph.output[0].name}
    for node in reversed(proto.graph.node):
        if wanted & set(node.output) and node.op_type in TAIL_OPS:
            tail.append(node.name)
            wanted |= set(node.input)
    blocked = [*tail, *wide]
    half = ir.serde.deserialize_model(convert_float_to_float16(proto, keep_io_types=True, node_block_list=blocked))
    half.graph.sort()
    if wide:
        _drop_round_trips(half.graph)
    proto = ir.serde.serialize_model(half)
    del proto.graph.value_info[:]
    return proto


def _drop_round_trips(graph: ir.Graph) -> None:
    """Take float32 values past the pairs of casts, to half and back, that stand between two operators in float32."""
    for back in list(graph):
        there = back.inputs[0].producer() if _casts_to(back, ir.DataType.FLOAT) else None
        if there is None or not _casts_to(there, ir.DataType.FLOAT16) or back.outputs[0].is_graph_output():
            continue
        source = there.inputs[0]
        if source.dtype == ir.DataType.FLOAT:
            ir.convenience.replace_all_uses_with(back.outputs[0], source)
            graph.remove(back, safe=True)
            if not there.outputs[0].uses():
                graph.remove(there, safe=True)


def _casts_to(node: ir.Node, dtype: ir.DataType) -> bool:
    return node.op_type == "Cast" and node.attributes["to"].as_int() == dtype
