"""The driver of the `spell_` rewrites: a table says how an operator that some runtime lacks is spelled in others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, calls, drop_dead, emit, getitem, is_call, operator_of, replace, shape, val

__all__ = ["Spelling", "cast", "constant_like", "gather", "product_along", "spell", "spell_values", "static_tail"]

aten = torch.ops.aten
# A row: what a call is in plainer operators, or None where it is left alone.
Spelling = Callable[[Node], Node | None]


def spell(graph_module: GraphModule, table: Mapping[Any, Spelling]) -> int:
    """Replace each call that a row of `table` spells out. Shape and dtype stay as they were. Returns how many."""
    count = 0
    for node in calls(graph_module, *table):
        if not isinstance(node.meta.get("val"), torch.Tensor) or operator_of(node)._schema.is_mutable:
            continue
        new = table[node.target](node)
        if new is not None:
            replace(node, cast(node, new, val(node).dtype))
            count += 1
    return count


def spell_values(graph_module: GraphModule, table: Mapping[Any, Spelling]) -> int:
    """Replace the values of each call that gives (values, indices), where a row spells it and no index is read."""
    count = 0
    for node in calls(graph_module, *table):
        drop_dead([user for user in node.users if not user.users])
        if node._erased or not all(is_call(user, getitem) and user.args[1] == 0 for user in node.users):
            continue
        new = table[node.target](node)
        if new is not None:
            for user in list(node.users):
                replace(user, new)
            count += 1
    return count


def cast(before: Node, value: Node, dtype: torch.dtype) -> Node:
    """`value` in `dtype`."""
    return value if val(value).dtype == dtype else emit(before, aten.to.dtype, value, dtype)


def constant_like(before: Node, number: float, dtype: torch.dtype, rank: int) -> Node:
    """One number as a constant tensor of so many unit axes."""
    return add_constant(before, torch.full([1] * rank, number, dtype=dtype), "number")


def gather(before: Node, source: Node, axis: int, index: torch.Tensor, size: list[Any], hint: str) -> Node:
    """The rows `index` of `source` along an axis, in the shape `size`; the constant is called `hint`."""
    rows = add_constant(before, index, hint)
    return emit(before, aten.reshape.default, emit(before, aten.index_select.default, source, axis, rows), size)


def static_tail(node: Any, count: int) -> list[int] | None:
    """The last `count` sizes of a tensor where they are fixed, whatever the axes before them; otherwise None."""
    if not isinstance(node, Node) or not isinstance(node.meta.get("val"), torch.Tensor) or val(node).dim() < count:
        return None
    sizes = shape(node)[-count:]
    return sizes if all(type(size) is int for size in sizes) else None


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
