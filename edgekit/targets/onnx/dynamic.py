"""Linear layers whose activations are scaled as the model runs: PT2E's operators to the integer ones that ONNX has.

ONNX Runtime fuses DynamicQuantizeLinear, MatMulInteger and the scaling after it into one kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
import torch.ao.quantization.fx._decomposed
from onnxscript import opset20

from edgekit.targets.onnx.edit import add_constant, attribute, constant, each, emit, replace, shape

__all__ = ["multiply_integers", "translations"]

_OUTPUTS = (ir.DataType.UINT8, ir.DataType.FLOAT, ir.DataType.UINT8)


def translations() -> dict[Any, Callable[..., Any]]:
    """ONNX for the operators of dynamic quantization, for `torch.onnx.export`'s custom_translation_table."""
    known = torch.ops.quantized_decomposed
    return {
        known.choose_qparams.tensor: _choose,
        known.quantize_per_tensor.tensor: _quantize,
        known.dequantize_per_tensor.tensor: _dequantize,
    }


def _choose(image: Any, low: int, high: int, eps: float, dtype: int) -> Any:
    _, scale, zero_point = opset20.DynamicQuantizeLinear(image)
    return scale, zero_point


def _quantize(image: Any, scale: Any, zero_point: Any, low: int, high: int, dtype: int) -> Any:
    return opset20.QuantizeLinear(image, scale, zero_point)


def _dequantize(levels: Any, scale: Any, zero_point: Any, low: int, high: int, dtype: int, out_dtype: int = -1) -> Any:
    return opset20.DequantizeLinear(levels, scale, zero_point)


@each("MatMul", "Gemm")
def multiply_integers(graph: ir.Graph, node: ir.Node) -> bool:
    """Products of a dynamically quantized tensor and a weight of 8 bits a channel, on the integers themselves."""
    dynamic, weight = _dynamic(node.inputs[0]), _weight(node)
    if dynamic is None or weight is None:
        return False
    levels, scales = weight
    for output, kind in zip(dynamic.outputs, _OUTPUTS, strict=True):  # torch's zero points are int64 [1]
        output.type = ir.TensorType(kind)
    for output in dynamic.outputs[1:]:
        output.shape = ir.Shape(())
    table = add_constant(graph, node, "levels", levels.T)
    zero = add_constant(graph, node, "zero", np.zeros((), np.int8))
    product = emit(node, "MatMulInteger", [dynamic.outputs[0], table, dynamic.outputs[2], zero])
    scale = emit(node, "Mul", [dynamic.outputs[1], add_constant(graph, node, "scales", scales)])
    result = emit(node, "Mul", [emit(node, "Cast", [product], to=ir.DataType.FLOAT), scale])
    if node.op_type == "Gemm" and len(node.inputs) > 2:
        result = emit(node, "Add", [result, node.inputs[2]])
    replace(node, result)
    return True


def _dynamic(value: ir.Value | None) -> ir.Node | None:
    """The DynamicQuantizeLinear whose integers `value` is made of."""
    back = None if value is None else value.producer()
    if back is None or back.op_type != "DequantizeLinear":
        return None
    scaled = back.inputs[1].producer()
    return scaled if scaled is not None and scaled.op_type == "DynamicQuantizeLinear" else None


def _weight(node: ir.Node) -> tuple[np.ndarray, np.ndarray] | None:
    """The 8-bit levels [out,in] and scales [out] of a product's weight."""
    value, turned = node.inputs[1], False
    made = value.producer()
    if made is not None and made.op_type == "Transpose":
        value, turned = made.inputs[0], True
    elif node.op_type == "Gemm":
        turned = bool(attribute(node, "transB", 0))
    made = value.producer()
    if not turned or made is None or made.op_type != "DequantizeLinear" or len(shape(value)) != 2:
        return None
    levels, scales = constant(made.inputs[0]), constant(made.inputs[1])
    if levels is None or scales is None or levels.dtype != np.int8 or scales.shape != (levels.shape[0],):
        return None
    return levels, scales
