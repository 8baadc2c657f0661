"""Products by other names (vectors, inner, bilinear, distances) as matrix products, `einsum` as runtimes take it."""

from __future__ import annotations

import math
import re
import string
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, emit, int_shape, shape, val
from edgekit.graph.spelling import Spelling, spell

__all__ = ["spell_einsum", "spell_products"]

aten = torch.ops.aten
_MOST_DIFFERENCES = 1 << 20
_PLAIN = re.compile("[a-z]*(,[a-z]*)?->[a-z]*")  # an `einsum` that every runtime takes


def spell_products(graph_module: GraphModule) -> int:
    """Spell products with a vector as products with a column, and `inner`, `bilinear` and `cdist` by what they are."""
    return spell(graph_module, _ROWS)


def _matmul(node: Node) -> Node | None:
    left, right = node.args
    first, second = val(left).dim(), val(right).dim()
    if first == second == 1 or 1 not in (first, second):
        return None
    if second == 1:
        product = emit(node, aten.matmul.default, left, emit(node, aten.unsqueeze.default, right, 1))
        return emit(node, aten.squeeze.dim, product, -1)
    product = emit(node, aten.matmul.default, emit(node, aten.unsqueeze.default, left, 0), right)
    return emit(node, aten.squeeze.dim, product, -2)


def _inner(node: Node) -> Node | None:
    left, right = node.args
    if val(right).dim() != 2 or val(left).dim() < 2:
        return None
    return emit(node, aten.matmul.default, left, emit(node, aten.t.default, right))


def _bilinear(node: Node) -> Node | None:
    left, right, weight, bias = (arg(node, name) for name in ("input1", "input2", "weight", "bias"))
    size, kernel = int_shape(node), int_shape(weight)
    if size is None or kernel is None:
        return None
    outputs, inner, across = kernel
    turned = emit(node, aten.permute.default, weight, [1, 0, 2])
    flat = emit(node, aten.reshape.default, turned, [inner, outputs * across])
    half = emit(node, aten.reshape.default, emit(node, aten.matmul.default, left, flat), [*size, across])
    product = emit(node, aten.mul.Tensor, half, emit(node, aten.unsqueeze.default, right, -2))
    summed = emit(node, aten.sum.dim_IntList, product, [-1])
    return summed if bias is None else emit(node, aten.add.Tensor, summed, bias)


def _distances(node: Node) -> Node | None:
    """Norms of all differences where they are few; else the square of a difference by its three terms."""
    left, right, power = arg(node, "x1"), arg(node, "x2"), arg(node, "p")
    size, inner = int_shape(node), int_shape(left)
    if size is None or inner is None:
        return None
    if math.prod(size) * inner[-1] <= _MOST_DIFFERENCES:
        rows, columns = emit(node, aten.unsqueeze.default, left, -2), emit(node, aten.unsqueeze.default, right, -3)
        return emit(node, aten.linalg_vector_norm.default, emit(node, aten.sub.Tensor, rows, columns), power, [-1])
    if power != 2:
        return None
    squares = [
        emit(node, aten.sum.dim_IntList, emit(node, aten.mul.Tensor, side, side), [-1], True) for side in (left, right)
    ]
    across = emit(node, aten.matmul.default, left, emit(node, aten.transpose.int, right, -2, -1))
    lengths = emit(node, aten.add.Tensor, squares[0], emit(node, aten.transpose.int, squares[1], -2, -1))
    gap = emit(node, aten.sub.Tensor, lengths, emit(node, aten.mul.Tensor, across, 2.0))
    return emit(node, aten.sqrt.default, emit(node, aten.clamp.default, gap, 0.0))


_ROWS: dict[Any, Spelling] = {
    aten.matmul.default: _matmul,
    aten.inner.default: _inner,
    aten.bilinear.default: _bilinear,
    aten.cdist.default: _distances,
}


def spell_einsum(graph_module: GraphModule) -> int:
    """Spell an `einsum` in small letters, without an ellipsis and with its result said, and one of three or more
    operands as several of two, from the left, as torch itself does it.
    """
    return spell(graph_module, {aten.einsum.default: _einsum})


def _einsum(node: Node) -> Node | None:
    equation, operands = arg(node, "equation").replace(" ", ""), list(arg(node, "tensors"))
    if _PLAIN.fullmatch(equation):
        return None
    terms, output = _in_letters(equation, [val(operand).dim() for operand in operands])
    if any(len(set(term)) != len(term) for term in terms):
        return None  # a diagonal
    terms, operands = _without_broadcasting(node, terms, operands)
    while len(operands) > 2:
        later = set(output).union(*terms[2:])
        both = "".join(dict.fromkeys(terms[0] + terms[1]))
        kept = "".join(letter for letter in both if letter in later)
        operands[:2] = [_product(node, terms[:2], operands[:2], kept)]
        terms[:2] = [kept]
    return _product(node, terms, operands, output)


def _product(node: Node, terms: list[str], operands: list[Node], output: str) -> Node:
    return emit(node, aten.einsum.default, f"{','.join(terms)}->{output}", operands)


def _in_letters(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The operands' terms and the result's, each with one letter an axis."""
    left, arrow, output = equation.partition("->")
    if not arrow:  # what occurs once, in order
        single = (letter for letter in string.ascii_letters if left.count(letter) == 1)
        output = ("..." if "..." in left else "") + "".join(sorted(single))
    terms = left.split(",")
    counts = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)]
    free = "".join(letter for letter in string.ascii_letters if letter not in equation)[: max(counts)]
    said = [term.replace("...", free[len(free) - count :]) for term, count in zip(terms, counts, strict=True)]
    said.append(output.replace("...", free))
    small = dict(zip(dict.fromkeys("".join(said)), string.ascii_lowercase, strict=False))
    *terms, output = ["".join(small[letter] for letter in term) for term in said]
    return terms, output


def _without_broadcasting(node: Node, terms: list[str], operands: list[Node]) -> tuple[list[str], list[Node]]:
    """Axes of one entry that stand for more in another operand are left out, which says the same."""
    more = {
        letter
        for term, operand in zip(terms, operands, strict=True)
        for letter, length in zip(term, shape(operand), strict=True)
        if length != 1
    }
    new_terms, new_operands = [], []
    for term, operand in zip(terms, operands, strict=True):
        spare = [axis for axis, letter in enumerate(term) if letter in more and shape(operand)[axis] == 1]
        new_terms.append("".join(letter for axis, letter in enumerate(term) if axis not in spare))
        new_operands.append(emit(node, aten.squeeze.dims, operand, spare) if spare else operand)
    return new_terms, new_operands
