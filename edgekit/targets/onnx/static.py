"""Quantize and dequantize as ONNX Runtime wants them: 32-bit biases, unsigned activations, weights that it unpacks."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.targets.onnx.edit import add_constant, attribute, constant, each, emit, nodes, replace

__all__ = ["cast_weights", "own_weights", "quantize_biases", "unsign_activations"]


@each("Conv", "Gemm")
def quantize_biases(graph: ir.Graph, node: ir.Node) -> bool:
    """Biases of layers between integers as integers, in steps of input scale times weight scale.

    ONNX Runtime fuses a convolution with float bias only in part; XNNPACK and Core ML round the bias themselves.
    """
    if len(node.inputs) < 3 or attribute(node, "alpha", 1.0) != 1.0:
        return False
    bias, scales = constant(node.inputs[2]), [_scale(value) for value in node.inputs[:2]]
    if bias is None or scales[0] is None or scales[1] is None or not _ends_in_integers(node):
        return False
    step = np.broadcast_to(scales[0].reshape(()) * scales[1].reshape(-1), bias.shape).astype(np.float32)
    levels = np.rint(bias / step)
    if np.abs(levels).max(initial=0) > 2**30:
        return False  # a weight channel that is all but zero
    parts = {"bias": levels.astype(np.int32), "step": step}
    inputs = [add_constant(graph, node, name, values) for name, values in parts.items()]
    node.replace_input_with(2, emit(node, "DequantizeLinear", inputs, axis=0))
    return True


@each("QuantizeLinear", "DequantizeLinear")
def unsign_activations(graph: ir.Graph, node: ir.Node) -> bool:
    """Signed 8-bit activations as unsigned ones, every level 128 higher: the same values.

    On x86 ONNX Runtime does so itself where a tensor has one user; a layer between both kinds is then not fused.
    """
    zero = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    made = node.inputs[0]
    if zero is None or zero.dtype != np.int8 or zero.size != 1 or made is None or constant(made) is not None:
        return False
    shifted = (zero.astype(np.int16) + 128).astype(np.uint8)
    node.replace_input_with(2, add_constant(graph, node, "zero", shifted))
    if node.op_type == "QuantizeLinear":
        node.outputs[0].type = ir.TensorType(ir.DataType.UINT8)
    return True


@each("DequantizeLinear")
def cast_weights(graph: ir.Graph, node: ir.Node) -> bool:
    """8-bit weights of layers in float as a cast and a product, which ONNX Runtime does once, as it loads the file.

    It runs a DequantizeLinear for each image, also one of a constant.
    """
    levels, scales = constant(node.inputs[0]), constant(node.inputs[1])
    if levels is None or scales is None or levels.dtype != np.int8 or _meets_integers(node):
        return False
    axis = attribute(node, "axis", 1) % levels.ndim
    wide = scales.reshape([-1 if number == axis else 1 for number in range(levels.ndim)]) if scales.size > 1 else scales
    cast = emit(node, "Cast", [node.inputs[0]], to=ir.DataType.FLOAT)
    replace(node, emit(node, "Mul", [cast, add_constant(graph, node, "scales", wide.astype(np.float32))]))
    return True


def own_weights(graph: ir.Graph) -> int:
    """For each user of int8 weights a dequantize of its own, with integers and zero point that no other has.

    With `session.x64quantprecision` ONNX Runtime 1.32 makes uint8 copies of both, named after them, user by user, and
    does not load a file in which two users share one ("Attempt to replace the existing tensor").
    """
    count, taken = 0, set()
    for node in nodes(graph, "DequantizeLinear"):
        levels = constant(node.inputs[0])
        if levels is None or levels.dtype != np.int8 or len(node.inputs) < 3:
            continue
        for slot, name in ((0, "levels"), (2, "zero")):
            value = node.inputs[slot]
            assert value is not None
            if value in taken:
                node.replace_input_with(slot, add_constant(graph, node, name, _known(value)))
                count += 1
            taken.add(node.inputs[slot])
        for user, index in list(node.outputs[0].uses())[1:]:
            parts = {"levels": levels, "scales": _known(node.inputs[1]), "zero": _known(node.inputs[2])}
            own = [add_constant(graph, user, f"weight_{name}", values) for name, values in parts.items()]
            copy = emit(user, "DequantizeLinear", own, axis=attribute(node, "axis", 1))
            copy.type, copy.shape = node.outputs[0].type, node.outputs[0].shape
            user.replace_input_with(index, copy)
            count += 1
    return count


def _known(value: ir.Value | None) -> np.ndarray:
    values = constant(value)
    assert values is not None
    return values


def _meets_integers(node: ir.Node) -> bool:
    """Whether a user of a dequantized weight has another input that comes from integers."""
    for user, _ in node.outputs[0].uses():
        if user.op_type == "Transpose":
            if _meets_integers(user):
                return True
            continue
        for value in user.inputs[:2]:
            made = None if value is None else value.producer()
            if made is not None and made is not node and made.op_type == "DequantizeLinear":
                return True
    return False


def _scale(value: ir.Value | None) -> np.ndarray | None:
    """The constant scales of what a dequantize gives."""
    made = None if value is None else value.producer()
    if made is not None and made.op_type == "Transpose":
        made = made.inputs[0].producer() if made.inputs[0] is not None else None
    return constant(made.inputs[1]) if made is not None and made.op_type == "DequantizeLinear" else None


def _ends_in_integers(node: ir.Node) -> bool:
    return all(user.op_type == "QuantizeLinear" for user, _ in node.outputs[0].uses())
