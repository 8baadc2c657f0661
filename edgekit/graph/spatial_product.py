"""What is linear in a map, axis by axis (resizes, poolings), as products with one constant matrix an axis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.fx import Node

from edgekit.graph.edit import add_constant, emit, val

__all__ = ["product_along"]

aten = torch.ops.aten


def product_along(node: Node, source: Node, matrices: Sequence[torch.Tensor]) -> Node:
    """`source` [..., a, b] times one matrix [a, A], [b, B] for each of its last axes: [..., A, B], in front of `node`.

    The axis that shrinks most goes first.
    """
    rank, count = val(source).dim(), len(matrices)
    result = source
    for place in sorted(range(count), key=lambda index: matrices[index].shape[1] / matrices[index].shape[0]):
        matrix = matrices[place]
        if matrix.shape[0] == matrix.shape[1] and torch.equal(matrix, torch.eye(len(matrix), dtype=matrix.dtype)):
            continue
        axis = rank - count + place
        order = list(range(rank))
        order[axis], order[-1] = order[-1], order[axis]
        turned = result if axis == rank - 1 else emit(node, aten.permute.default, result, order)
        weights = add_constant(node, matrix.to(val(source).dtype), "axis_weights")
        product = emit(node, aten.matmul.default, turned, weights)
        result = product if axis == rank - 1 else emit(node, aten.permute.default, product, order)
    return result
