"""The arithmetic of x86 CPUs without VNNI in numpy, and an ONNX file's 8-bit products read without EdgeKit.

Compared bit for bit with ONNX Runtime 1.32 on an emulated CPU with AVX2 alone (tests/targets/onnx/test_emulated.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper


def in_16_bits(image: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """uint8 [M,K] times int8 [N,K] as int64 [M,N], each sum of two neighbouring products cut off at 16 bits."""
    odd = ((0, 0), (0, rows.shape[1] % 2))
    products = np.pad(image, odd).astype(np.int64)[:, None, :] * np.pad(rows, odd).astype(np.int64)[None]
    return np.clip(products[..., 0::2] + products[..., 1::2], -(2**15), 2**15 - 1).sum(axis=-1)


def worst_images(rows: np.ndarray) -> np.ndarray:
    """uint8 [2N,K]: for each channel of int8 [N,K] the activations that make its sums largest, and smallest."""
    return np.concatenate([np.where(rows > 0, 255, 0), np.where(rows < 0, 255, 0)]).astype(np.uint8)


def can_saturate(rows: np.ndarray) -> bool:
    """Whether some activations make a product with int8 [N,K] another one in 16 bits."""
    images = worst_images(rows)
    exact = images.astype(np.int64) @ rows.astype(np.int64).T
    return not np.array_equal(in_16_bits(images, rows), exact)


def products_of(model: onnx.ModelProto) -> Iterator[tuple[str, np.ndarray]]:
    """Output name and weights int8 [N,K] of each product with integers of a file, in the order in which kernels add."""
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    made = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.op_type == "MatMulInteger":
            yield node.output[0], constants[node.input[1]].T
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        image, weight = (made.get(name) for name in node.input[:2])
        turned = weight is not None and weight.op_type == "Transpose"
        if weight is not None and turned:
            weight = made.get(weight.input[0])
        if image is None or weight is None or {image.op_type, weight.op_type} != {"DequantizeLinear"}:
            continue
        levels = constants.get(weight.input[0])
        if levels is None:
            continue  # a product of two activations, both uint8
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        if node.op_type == "Conv":
            if levels.shape[1] > 1 or attributes.get("group", 1) == 1:
                yield node.output[0], levels.transpose(0, 2, 3, 1).reshape(len(levels), -1)
        else:
            yield node.output[0], levels if turned != bool(attributes.get("transB", 0)) else levels.T
