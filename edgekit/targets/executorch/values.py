"""The tensors inside a `.pte`, which XNNPACK gives as outputs of a copy of the file.

ETDump and the Inspector see what goes into a delegate and what comes out: all of an embedder is one delegate, whose
tensors they cannot show. In the copy, every result of XNNPACK's own graph is an output of the delegate and of the
program; its nodes and constants are the file's.
"""

from __future__ import annotations

import copy
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import InputError
from edgekit.support.quiet import quiet
from edgekit.support.text import reason_of
from edgekit.targets.base import Value
from edgekit.targets.executorch.runtime import bindings

__all__ = ["values"]

_XNNPACK = "XnnpackBackend"
_OUTPUT = 2  # XNN_VALUE_FLAG_EXTERNAL_OUTPUT
_INSIDE = 0xFFFFFFFF  # the external id of a tensor that has none
_SIZES = {"xnn_datatype_fp32": 4, "xnn_datatype_fp16": 2, "xnn_datatype_qint8": 1, "xnn_datatype_quint8": 1}
_ALIGNED, _SPARE = 64, 64  # bytes; XNNPACK reads and writes beyond the end of a tensor
_NOT_FINITE = re.compile(r":\s*(-?)(inf|nan)\b")  # as flatc writes them


def values(path: Path, image: np.ndarray) -> Iterator[Value]:
    """Every tensor that XNNPACK makes of one uint8 [H,W,3] image, in the order of its nodes; maps [1,H,W,C].

    Operators that XNNPACK did not take are left out. The embedding comes last.

    Raises:
        InputError: the file cannot be taken apart, or its copy cannot be run.
    """
    with quiet("executorch", native=True):
        try:
            shown, content = _copy(path.read_bytes())
            import torch

            method = bindings()._load_for_executorch_from_buffer(content)
            given = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32))
            outputs = method.forward((given,))
        except Exception as error:  # flatc, the exporter's own readers and the runtime raise what they like
            raise InputError(f"{path}: its inner tensors cannot be had from ExecuTorch ({reason_of(error)})") from error
    for (name, kind, scale, zero), tensor in zip(shown, outputs[len(outputs) - len(shown) :], strict=True):
        array = tensor.numpy()
        yield Value(
            name, kind, array.astype(np.float32) if scale is None else (array.astype(np.float32) - zero) * scale
        )
    yield Value("embedding", "output", outputs[0].numpy())


def _copy(content: bytes) -> tuple[list[tuple[str, str, float | None, int]], bytes]:
    """The names, kinds and steps of what the copy gives beside the embedding, and the copy."""
    from executorch.exir._serialize._program import deserialize_pte_binary, serialize_pte_binary
    from executorch.exir.schema import DelegateCall

    file = deserialize_pte_binary(content)
    program = file.program
    (plan,) = (plan for plan in program.execution_plan if plan.name == "forward")
    shown: list[tuple[str, str, float | None, int]] = []
    for instruction in (item for chain in plan.chains for item in chain.instructions):
        call = instruction.instr_args
        if not isinstance(call, DelegateCall) or plan.delegates[call.delegate_index].id != _XNNPACK:
            continue
        data = program.backend_delegate_data[plan.delegates[call.delegate_index].processed.index]
        graph, constants = _graph_of(data.data)
        for node, value in _results(graph):
            tensor, scale, zero = value
            number = len(shown)
            tensor["external_id"], tensor["flags"] = len(call.args), tensor["flags"] | _OUTPUT
            graph["output_ids"].append(tensor["id_out"])
            graph["num_externs"] += 1
            call.args.append(len(plan.values))
            plan.outputs.append(len(plan.values))
            plan.values.append(_room(plan, tensor))
            shown.append((f"{node['xnode_union_type']}/{number}", node["xnode_union_type"][3:], scale, zero))
        data.data = _packed(graph, constants)
    return shown, bytes(serialize_pte_binary(file))


def _graph_of(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """XNNPACK's graph as flatc shows it, and the constants behind it."""
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    header = XNNHeader.from_bytes(bytes(payload[: XNNHeader.EXPECTED_LENGTH]))
    with tempfile.TemporaryDirectory() as folder:
        schema, binary = _schema(Path(folder)), Path(folder, "graph.bin")
        start = header.flatbuffer_offset
        binary.write_bytes(payload[start : start + header.flatbuffer_size])
        _flatc_decompile(folder, str(schema), str(binary), ["--raw-binary"])
        text = binary.with_suffix(".json").read_text()
    words = {"inf": "Infinity", "nan": "NaN"}
    graph: dict[str, Any] = json.loads(_NOT_FINITE.sub(lambda found: f": {found[1]}{words[found[2]]}", text))
    return graph, bytes(payload[header.constant_data_offset :])


def _packed(graph: dict[str, Any], constants: bytes) -> bytes:
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader
    from executorch.exir._serialize._flatbuffer import _flatc_compile

    with tempfile.TemporaryDirectory() as folder:
        schema, text = _schema(Path(folder)), Path(folder, "graph.json")
        text.write_text(json.dumps(graph))
        _flatc_compile(folder, str(schema), str(text))
        binary = text.with_suffix(".bin").read_bytes()
    start = _up(XNNHeader.EXPECTED_LENGTH)
    after = start + _up(len(binary))
    header = XNNHeader(start, len(binary), after, len(constants)).to_bytes()
    return header.ljust(start, b"\0") + binary.ljust(after - start, b"\0") + constants


def _schema(folder: Path) -> Path:
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import _get_schema_bytes

    path = folder / "graph.fbs"
    path.write_bytes(_get_schema_bytes())
    return path


def _results(graph: dict[str, Any]) -> Iterator[tuple[dict[str, Any], tuple[dict[str, Any], float | None, int]]]:
    """Each node whose result stays inside, with that tensor, and its scale and zero point where it is quantized."""
    tensors: dict[int, tuple[dict[str, Any], float | None, int]] = {}
    for value in graph["xvalues"]:
        union, scale, zero = value["xvalue_union"], None, 0
        if "tensor_value" in union:
            params = union.get("quant_params") or {}
            union, scale, zero = union["tensor_value"], params.get("scale"), params.get("zero_point", 0)
            if scale is None:
                continue
        tensors[union["id_out"]] = union, scale, zero
    for node in graph["xnodes"]:
        found = tensors.get(node["xnode_union"].get("output_id", -1))
        if found is not None and found[0]["external_id"] == _INSIDE and found[0]["datatype"] in _SIZES:
            yield node, found


def _room(plan: Any, tensor: dict[str, Any]) -> Any:
    """A tensor of the program with memory of its own, laid out as XNNPACK has it."""
    from executorch.exir.scalar_type import ScalarType
    from executorch.exir.schema import AllocationDetails

    pattern = next(value for value in reversed(plan.values) if getattr(value.val, "allocation_info", None) is not None)
    made, kind = copy.deepcopy(pattern), tensor["datatype"]
    place = _up(plan.non_const_buffer_sizes[1])
    sizes = [int(size) for size in tensor["dims"]]
    types = {
        "xnn_datatype_fp32": ScalarType.FLOAT,
        "xnn_datatype_fp16": ScalarType.HALF,
        "xnn_datatype_qint8": ScalarType.CHAR,
        "xnn_datatype_quint8": ScalarType.BYTE,
    }
    made.val.scalar_type, made.val.sizes, made.val.dim_order = types[kind], sizes, list(range(len(sizes)))
    made.val.allocation_info = AllocationDetails(1, place & 0xFFFFFFFF, place >> 32)
    plan.non_const_buffer_sizes[1] = place + int(np.prod(sizes)) * _SIZES[kind] + _SPARE
    return made


def _up(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
