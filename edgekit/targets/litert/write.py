"""A draft as the bytes of a `.tflite`: equal drafts give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.targets.litert.draft import Draft, Op, Tensor

__all__ = ["packed"]

_TYPES = {
    "float32": "FLOAT32", "float16": "FLOAT16", "int32": "INT32", "uint8": "UINT8", "int64": "INT64", "bool": "BOOL",
    "int16": "INT16", "int8": "INT8", "int4": "INT4", "float64": "FLOAT64", "uint32": "UINT32",
}  # fmt: skip
# The options tables that are not named after their operator.
_OPTIONS = {
    "AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions", "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "MEAN": "ReducerOptions", "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions", "REDUCE_MIN": "ReducerOptions", "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions", "BATCH_MATMUL": "BatchMatMulOptions", "PADV2": "PadV2Options",
    "LOGISTIC": "", "TANH": "", "RELU": "", "RELU6": "", "SQRT": "", "RSQRT": "", "SIN": "", "LOG": "", "FLOOR": "",
    "CEIL": "", "ROUND": "", "ELU": "",
}  # fmt: skip
# The version of the format's operator that first meant what is written here: of floats, and of integers.
_VERSIONS: dict[str, tuple[int, int]] = {
    "CONV_2D": (1, 3), "DEPTHWISE_CONV_2D": (2, 3), "FULLY_CONNECTED": (5, 5), "DEQUANTIZE": (3, 2),
    "QUANTIZE": (1, 2), "RESIZE_BILINEAR": (3, 3), "RESIZE_NEAREST_NEIGHBOR": (3, 3), "SELECT_V2": (1, 1),
    "GELU": (1, 2), "RESHAPE": (1, 1), "CAST": (1, 1), "BROADCAST_TO": (2, 2), "TRANSPOSE_CONV": (3, 3),
}  # fmt: skip


def packed(draft: Draft, metadata: Mapping[str, str], description: str) -> bytes:
    """The file: one graph with the signature `serving_default`, and `metadata` by name in order of names."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version, model.description = 3, description
    model.buffers, model.operatorCodes = [_buffer(schema, b"")], []
    graph = schema.SubGraphT()
    numbers: dict[Tensor, int] = {}
    graph.tensors = []
    for number, tensor in enumerate(draft.tensors()):
        numbers[tensor] = number
        graph.tensors.append(_tensor(schema, model, tensor, number))
    graph.inputs = [numbers[tensor] for tensor in draft.inputs]
    graph.outputs = [numbers[tensor] for tensor in draft.outputs]
    codes: dict[tuple[str, int], int] = {}
    graph.operators = [_operator(schema, model, codes, numbers, op) for op in draft.ops]
    graph.name = "main"
    model.subgraphs = [graph]
    model.metadata = []
    for name in sorted(metadata):
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(_buffer(schema, metadata[name].encode()))
        model.metadata.append(entry)
    model.signatureDefs = [_signature(schema, draft, numbers)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _buffer(schema: Any, content: bytes) -> Any:
    """A buffer whose bytes lie at multiples of 16, which the schema's own packing forgets."""

    class Aligned(schema.BufferT):
        def Pack(self, builder: Any) -> Any:  # the schema's name
            if content:
                builder.StartVector(1, len(content), 16)
                builder.head -= len(content)
                builder.Bytes[builder.head : builder.head + len(content)] = content
                data = builder.EndVector()
            schema.BufferStart(builder)
            if content:
                schema.BufferAddData(builder, data)
            return schema.BufferEnd(builder)

    return Aligned()


def _tensor(schema: Any, model: Any, tensor: Tensor, number: int) -> Any:
    own = schema.TensorT()
    own.shape, own.type = list(tensor.shape), getattr(schema.TensorType, _TYPES[tensor.dtype])
    own.name = tensor.name if tensor.name in ("image", "embedding") else f"{tensor.name or 'constant'}/{number}"
    own.buffer, own.hasRank = 0, True
    if tensor.data is not None:
        own.buffer = len(model.buffers)
        model.buffers.append(_buffer(schema, _bytes(tensor)))
    if tensor.steps is not None:
        own.quantization = schema.QuantizationParametersT()
        own.quantization.scale = [float(np.float32(scale)) for scale in tensor.steps.scale]
        own.quantization.zeroPoint = [tensor.steps.zero] * len(tensor.steps.scale)
        own.quantization.quantizedDimension = tensor.steps.axis if len(tensor.steps.scale) > 1 else 0
    return own


def _bytes(tensor: Tensor) -> bytes:
    assert tensor.data is not None
    if tensor.dtype != "int4":
        return tensor.data.tobytes()
    halves = tensor.data.astype(np.uint8).ravel() & 15
    halves = np.append(halves, np.zeros(len(halves) % 2, np.uint8))
    return (halves[::2] | halves[1::2] << 4).astype(np.uint8).tobytes()


def _operator(schema: Any, model: Any, codes: dict[tuple[str, int], int], numbers: Mapping[Tensor, int], op: Op) -> Any:
    own = schema.OperatorT()
    version = op.foreign[2] if op.foreign else _version(op)
    key = op.kind, version
    if key not in codes:
        codes[key] = len(model.operatorCodes)
        code = schema.OperatorCodeT()
        code.builtinCode, code.version = getattr(schema.BuiltinOperator, op.kind), version
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        model.operatorCodes.append(code)
    own.opcodeIndex = codes[key]
    own.inputs = [-1 if tensor is None else numbers[tensor] for tensor in op.inputs]
    own.outputs = [numbers[tensor] for tensor in op.outputs]
    if op.foreign:
        own.builtinOptionsType, own.builtinOptions = op.foreign[:2]
        return own
    name = _OPTIONS.get(op.kind, "".join(word.capitalize() for word in op.kind.split("_")) + "Options")
    if name and hasattr(schema.BuiltinOptions, name):
        own.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        own.builtinOptions = getattr(schema, f"{name}T")()
        for field, value in op.options.items():
            if not hasattr(own.builtinOptions, field):
                raise AttributeError(f"{name} has no {field}")
            setattr(own.builtinOptions, field, value)
    return own


def _version(op: Op) -> int:
    plain, integer = _VERSIONS.get(op.kind, (1, 2))
    kinds = {tensor.dtype for tensor in op.inputs if tensor is not None}
    if op.kind == "DEQUANTIZE":
        first = op.inputs[0]
        assert first is not None
        return 3 if first.dtype == "float16" else 2 if first.steps is None or len(first.steps.scale) == 1 else 5
    if {"float32", "int8"} <= kinds:  # activations are scaled as the model runs
        return {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 12}.get(op.kind, integer)
    return integer if "int8" in kinds else plain


def _signature(schema: Any, draft: Draft, numbers: Mapping[Tensor, int]) -> Any:
    own = schema.SignatureDefT()
    own.signatureKey, own.subgraphIndex = "serving_default", 0
    for tensors, name, field in ((draft.inputs, "image", "inputs"), (draft.outputs, "embedding", "outputs")):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, numbers[tensors[0]]
        setattr(own, field, [entry])
    return own
