"""`einsum` as every runtime takes it: letters for an ellipsis, two operands at a time."""

from __future__ import annotations

import re
import string

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, emit, shape, val
from edgekit.graph.spelling import spell

__all__ = ["spell_einsum"]

aten = torch.ops.aten
_PLAIN = re.compile("[a-z]*(,[a-z]*)?->[a-z]*")  # what every runtime takes


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
