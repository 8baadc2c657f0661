"""Changes of an exported ONNX graph, numerically equal and in standard operators, that ONNX Runtime runs faster.

ONNX Runtime keeps convolutions in a blocked channel layout (NCHWc) on CPUs with wide vectors, and pays two copies for
each operator in between that it knows only in the plain layout: most passes here are about staying in the blocked one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgekit.targets.onnx.dynamic import multiply_integers
from edgekit.targets.onnx.edit import add_constant, attribute, constant, each, emit, replace, shape
from edgekit.targets.onnx.static import cast_weights, own_weights, quantize_biases, unsign_activations
from edgekit.targets.onnx.transposes import transpose_in_blocks

__all__ = ["blend_by_channel", "fold_affine_into_convolution", "improve", "part_norms_from_sums", "pool_globally"]


def improve(model: ir.Model) -> dict[str, int]:
    """Apply every pass to `model` in place; returns how often each fired, by name."""
    passes: tuple[Callable[[ir.Graph], int], ...] = (
        multiply_integers,
        cast_weights,
        own_weights,
        quantize_biases,
        unsign_activations,
        pool_globally,
        fold_affine_into_convolution,
        blend_by_channel,
        transpose_in_blocks,
        part_norms_from_sums,
    )
    counts = {rewrite.__name__: rewrite(model.graph) for rewrite in passes}
    model.graph.sort()
    return counts


@each("ReduceMean")
def pool_globally(graph: ir.Graph, node: ir.Node) -> bool:
    """Means over both image axes as GlobalAveragePool, which the blocked layout has and ReduceMean is not."""
    image, axes = node.inputs[0], constant(node.inputs[1] if len(node.inputs) > 1 else None)
    if axes is None or len(shape(image)) != 4 or sorted(int(axis) % 4 for axis in axes.ravel()) != [2, 3]:
        return False
    pooled = emit(node, "GlobalAveragePool", [image])
    replace(node, pooled if attribute(node, "keepdims", 1) else emit(node, "Flatten", [pooled], axis=1))
    return True


@each("Conv")
def fold_affine_into_convolution(graph: ir.Graph, conv: ir.Node) -> bool:
    """A scale and shift of each channel in front of a 1x1 convolution, as GroupNorm ends with, into its weights."""
    weight = constant(conv.inputs[1])
    bias = constant(conv.inputs[2]) if len(conv.inputs) > 2 else None
    if weight is None or weight.shape[2:] != (1, 1) or attribute(conv, "group", 1) != 1:
        return False
    if any(attribute(conv, "pads", None) or []) or (len(conv.inputs) > 2 and bias is None):
        return False
    image, folded = conv.inputs[0], False
    bias = np.zeros(weight.shape[0], weight.dtype) if bias is None else bias
    while (step := _channel_step(image)) is not None:
        kind, image, values = step
        if kind == "Add":
            bias = bias + weight[:, :, 0, 0] @ values
        else:
            weight = weight * values[None, :, None, None]
        folded = True
    if folded:
        inputs = [image, add_constant(graph, conv, "weight", weight), add_constant(graph, conv, "bias", bias)]
        replace(conv, emit(conv, "Conv", inputs, **conv.attributes))
    return folded


@each("Add")
def blend_by_channel(graph: ir.Graph, add: ir.Node) -> bool:
    """`a + g * (p - a)` with one g a channel as two batch norms and a sum, which the blocked layout has."""
    for a, product in (add.inputs, tuple(reversed(add.inputs))):
        scaled = _by_channel(product, "Mul")
        if scaled is None or len(product.uses()) != 1:
            continue
        difference, gain = scaled
        sub = difference.producer()
        if sub is None or sub.op_type != "Sub" or sub.inputs[1] is not a or len(difference.uses()) != 1:
            continue
        if len(gain) != int(shape(a)[1]):
            continue
        terms = [_scale(graph, add, sub.inputs[0], gain), _scale(graph, add, a, 1 - gain)]
        replace(add, emit(add, "Add", terms))
        return True
    return False


@each("LayerNormalization")
def part_norms_from_sums(graph: ir.Graph, norm: ir.Node) -> bool:
    """A reshape between a sum and its layer norm, which are each faster than ONNX Runtime's fusion of the two."""
    tokens, size = norm.inputs[0], shape(norm.inputs[0])
    made = None if tokens is None else tokens.producer()
    if made is None or made.op_type != "Add" or len(tokens.uses()) != 1 or len(size) < 3:
        return False
    if attribute(norm, "axis", -1) not in (-1, len(size) - 1) or not all(isinstance(length, int) for length in size):
        return False
    flat = emit(norm, "Reshape", [tokens, add_constant(graph, norm, "flat", np.array([-1, size[-1]]))])
    done = emit(norm, "LayerNormalization", [flat, *norm.inputs[1:]], axis=-1, epsilon=attribute(norm, "epsilon", 1e-5))
    replace(norm, emit(norm, "Reshape", [done, add_constant(graph, norm, "size", np.array(size))]))
    return True


def _channel_step(image: ir.Value) -> tuple[str, ir.Value, np.ndarray] | None:
    """What scales or shifts the channels of `image` last, for this one user alone: (operator, its input, values)."""
    if len(image.uses()) != 1:
        return None
    for kind in ("Add", "Mul"):
        if (operands := _by_channel(image, kind)) is not None:
            return kind, *operands
    return None


def _by_channel(value: ir.Value, kind: str) -> tuple[ir.Value, np.ndarray] | None:
    """The image and the constant [C] that `value` is made of by `kind`, an elementwise operator."""
    node = value.producer()
    if node is None or node.op_type != kind or len(shape(value)) != 4:
        return None
    for image, other in (node.inputs, tuple(reversed(node.inputs))):
        values = constant(other)
        if values is None or values.size != shape(value)[1] or shape(image) != shape(value):
            continue
        if values.ndim >= 3 and values.shape[-3] == values.size:
            return image, values.ravel()
    return None


def _scale(graph: ir.Graph, before: ir.Node, image: ir.Value, gain: np.ndarray) -> ir.Value:
    """`image` times one number a channel, as the batch norm that ONNX Runtime turns into a blocked convolution."""
    zeros, epsilon = np.zeros_like(gain), 1e-5
    variance = np.full_like(gain, 1 - epsilon)
    parts = {"gain": gain, "shift": zeros, "mean": zeros, "variance": variance}
    constants = [add_constant(graph, before, name, values) for name, values in parts.items()]
    return emit(before, "BatchNormalization", [image, *constants], epsilon=epsilon)
