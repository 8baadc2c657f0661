"""Transposes that move single elements, as ones that move rows and blocks.

Window attention and patch unfolding permute five or six axes at once, which ONNX Runtime does element by element.
Bringing the largest axis last by one matrix transpose, and permuting the others with it as a block, is three times
faster. The matrix transposes are written as Einsum, because ONNX Runtime merges neighbouring Transposes into one again.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from edgekit.targets.onnx.edit import add_constant, emit, nodes, replace, shape

__all__ = ["transpose_in_blocks"]

_MIN_BLOCK = 16


def transpose_in_blocks(graph: ir.Graph) -> int:
    """Rewrite each chain of transposes and reshapes whose permutation moves single elements. Returns how many."""
    count = 0
    for last in reversed(list(nodes(graph, "Transpose"))):
        if last.graph is None:
            continue
        chain = _chain(last)
        permutation = _permutation(chain)
        if permutation is not None and (_is_slow(*permutation) or _is_shared(last)):
            _emit_blocks(graph, last, chain[0].inputs[0], *permutation)
            count += 1
    return count


def _chain(last: ir.Node) -> list[ir.Node]:
    """The transposes and reshapes that end in `last`, each used by the next alone, from the first transpose on."""
    chain = [last]
    while (value := chain[0].inputs[0]) is not None and len(value.uses()) == 1:
        node = value.producer()
        if node is None or node.op_type not in ("Transpose", "Reshape"):
            break
        chain.insert(0, node)
    while chain[0].op_type == "Reshape":
        chain.pop(0)
    return chain


def _permutation(chain: list[ir.Node]) -> tuple[list[int], list[int]] | None:
    """The chain as one reshape to `sizes` and one permutation of these; None where it is not one, or not static."""
    shapes = [shape(chain[0].inputs[0]), *(shape(node.outputs[0]) for node in chain)]
    if not all(size and all(isinstance(length, int) for length in size) for size in shapes):
        return None
    layout: list[tuple[int, ...]] = [(axis,) for axis in range(len(shapes[0]))]
    sizes: dict[tuple[int, ...], int] = dict(zip(layout, shapes[0], strict=True))
    groups = [[atom] for atom in layout]
    for node, after in zip(chain, shapes[1:], strict=True):
        if node.op_type == "Transpose":
            perm = node.attributes["perm"].as_ints() if "perm" in node.attributes else range(len(groups))[::-1]
            groups = [groups[axis] for axis in perm]
            continue
        atoms, groups = [atom for group in groups for atom in group], []
        for size in after:
            group, left = [], size
            while left > 1 and atoms:
                atom = atoms.pop(0)
                if left % sizes[atom] == 0:
                    group.append(atom)
                    left //= sizes[atom]
                elif sizes[atom] % left == 0:
                    head, tail = (*atom, 0), (*atom, 1)
                    sizes[head], sizes[tail] = left, sizes[atom] // left
                    at = layout.index(atom)
                    layout[at : at + 1] = [head, tail]
                    atoms = [tail, *atoms]
                    group.append(head)
                    left = 1
                else:
                    return None
            groups.append(group)
    order = [atom for group in groups for atom in group if sizes[atom] > 1]
    layout = [atom for atom in layout if sizes[atom] > 1]
    return _merged([sizes[atom] for atom in layout], [layout.index(atom) for atom in order])


def _merged(sizes: list[int], order: list[int]) -> tuple[list[int], list[int]]:
    """The same permutation with axes that stay neighbours made one."""
    runs: list[list[int]] = []
    for axis in order:
        if runs and runs[-1][-1] == axis - 1:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    by_input = sorted(runs)
    return [prod(sizes[axis] for axis in run) for run in by_input], [by_input.index(run) for run in runs]


def _is_slow(sizes: list[int], order: list[int]) -> bool:
    """Whether single elements move, and more than one axis with them; ONNX Runtime moves one axis fast."""
    if len(order) < 3 or order[-1] == len(order) - 1 or max(sizes) < _MIN_BLOCK:
        return False
    return all([axis for axis in order if axis != moved] != sorted(set(order) - {moved}) for moved in order)


def _is_shared(node: ir.Node) -> bool:
    """Whether ONNX Runtime would pull this transpose into another one behind a reshape, and keep it for others too."""
    users = [use.node for use in node.outputs[0].uses()]
    reshaped = [user.outputs[0] for user in users if user.op_type == "Reshape"]
    return len(users) > 1 and any(use.node.op_type == "Transpose" for value in reshaped for use in value.uses())


def _emit_blocks(graph: ir.Graph, last: ir.Node, value: ir.Value, sizes: list[int], order: list[int]) -> None:
    """Carry the largest axis last, permute the others, and carry it to its place."""
    ends = (order[-1], len(order) - 1)
    carrier = max(range(len(sizes)), key=lambda axis: (sizes[axis] >= _MIN_BLOCK, axis in ends, sizes[axis]))
    rest = [axis for axis in range(len(sizes)) if axis != carrier]
    target = [axis for axis in order if axis != carrier]
    at = order.index(carrier)
    lead = prod(sizes[:carrier])
    if carrier != len(sizes) - 1:
        value = _reshape(graph, last, value, [lead, sizes[carrier], -1])
        value = emit(last, "Einsum", [value], equation="abc->acb")
    value = _reshape(graph, last, value, [*(sizes[axis] for axis in rest), sizes[carrier]])
    if target != rest:
        perm = [*(rest.index(axis) for axis in target), len(rest)]
        value = emit(last, "Transpose", [value], perm=perm)
    if at != len(order) - 1:
        value = _reshape(graph, last, value, [prod(sizes[axis] for axis in target[:at]), -1, sizes[carrier]])
        value = emit(last, "Einsum", [value], equation="abc->acb")
    replace(last, _reshape(graph, last, value, shape(last.outputs[0])))


def _reshape(graph: ir.Graph, near: ir.Node, value: ir.Value, sizes: list[int]) -> ir.Value:
    return emit(near, "Reshape", [value, add_constant(graph, near, "size", np.array(sizes, np.int64))])
