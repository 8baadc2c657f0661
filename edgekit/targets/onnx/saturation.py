"""Products of 8-bit integers whose sums can leave 16 bits, read from an ONNX file's own weights.

On x86 without VNNI, ONNX Runtime multiplies uint8 activations by int8 weights with vpmaddubsw, which adds the products
of two neighbours and cuts the sum off at 16 bits (https://github.com/microsoft/onnxruntime, mlas/lib/amd64). Neighbours
are those that follow each other in a channel's weights, in the order in which the kernels pack them: input channels
within pixels of the kernel, from an even place on. Nothing is added in 16 bits in depthwise convolutions, nor where
weights are uint8.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx_ir as ir

from edgekit.targets.onnx.edit import attribute, constant

__all__ = ["exposed", "exposed_in", "integer_products", "pairs"]

_LARGEST = 255  # activations are uint8, and nothing bounds them further
_ROOM = (2**15 - 1) // _LARGEST


def exposed(graph: ir.Graph) -> dict[str, float]:
    """Output name of each 8-bit product that can saturate -> share of its pairs of weights that can."""
    shares = {}
    for node, rows in integer_products(graph):
        low, high = pairs(rows)
        above = np.maximum(low, 0) + np.maximum(high, 0) > _ROOM
        below = np.minimum(low, 0) + np.minimum(high, 0) < -_ROOM
        share = float((above | below).mean())
        if share:
            shares[str(node.outputs[0].name)] = share
    return shares


def exposed_in(path: Path) -> dict[str, float]:
    """`exposed` of a file."""
    return exposed(ir.load(path).graph)


def pairs(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second of each pair of neighbours in int8 [N,K], both int32 [N,ceil(K/2)]."""
    even = np.pad(rows.astype(np.int32), ((0, 0), (0, rows.shape[1] % 2)))
    return even[:, 0::2], even[:, 1::2]


def integer_products(graph: ir.Graph) -> Iterator[tuple[ir.Node, np.ndarray]]:
    """Each product of quantized activations and int8 weights that is summed in pairs, with its weights as [N,K]."""
    for node in graph:
        if node.domain != "" or node.op_type not in ("MatMulInteger", "MatMul", "Gemm", "Conv"):
            continue
        levels, turned = _levels(node)
        if levels is None or levels.dtype != np.int8:
            continue
        if node.op_type == "Conv":
            group = attribute(node, "group", 1)
            if group == len(levels) and levels.shape[1] == 1 < group:
                continue
            yield node, np.moveaxis(levels, 1, -1).reshape(len(levels), -1)
        else:
            transposed = turned != bool(attribute(node, "transB", 0))
            yield node, levels if transposed else np.moveaxis(levels, -2, -1).reshape(-1, levels.shape[-2])


def _levels(node: ir.Node) -> tuple[np.ndarray | None, bool]:
    """The constant integers of a product's weight, and whether a Transpose stands behind them."""
    weight = node.inputs[1]
    if node.op_type == "MatMulInteger":
        return constant(weight), False
    image = node.inputs[0].producer() if node.inputs[0] is not None else None
    made, turned = weight.producer() if weight is not None else None, False
    if made is not None and made.op_type == "Transpose":
        made, turned = made.inputs[0].producer() if made.inputs[0] is not None else None, True
    if image is None or made is None or {image.op_type, made.op_type} != {"DequantizeLinear"}:
        return None, False
    return constant(made.inputs[0]), turned
