"""Work out once what depends on constants alone, and forget what nothing uses."""

# torch.fx types an argument as a union of sixteen kinds.
# mypy: disable-error-code="union-attr, arg-type, operator, index, attr-defined"

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, constant, int_shape, replace

__all__ = ["fold_constants", "remove_dead"]

_MAX_ELEMENTS = 1 << 26


def fold_constants(graph_module: GraphModule) -> int:
    """Replace each call whose inputs are all constants (position embeddings, attention-bias gathers, `arange`).

    Only calls that feed a non-constant one become constants, in the end; results over 2**26 elements stay calls.
    """
    known: dict[Node, torch.Tensor] = {}
    for node in graph_module.graph.nodes:
        value = constant(node)
        if value is not None:
            known[node] = value
        elif _foldable(node) and all(source in known for source in node.all_input_nodes):
            args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda source: known[source])
            with torch.no_grad():
                result = node.target(*args, **kwargs)
            if isinstance(result, torch.Tensor):
                known[node] = result
    count = 0
    for node in list(known):
        if node.op == "get_attr" or node._erased or all(user in known for user in node.users):
            continue
        replace(node, add_constant(graph_module, known[node].clone(), "folded"))
        count += 1
    return count


def remove_dead(graph_module: GraphModule) -> int:
    """Erase calls and constants that nothing uses."""
    before = len(graph_module.graph.nodes)
    graph_module.graph.eliminate_dead_code()
    return before - len(graph_module.graph.nodes)


def _foldable(node: Node) -> bool:
    size = int_shape(node)
    if node.op != "call_function" or size is None or not hasattr(node.target, "_schema"):
        return False
    if torch.Tag.nondeterministic_seeded in node.target.tags:
        return False
    if node.target._schema.is_mutable or any(isinstance(item, torch.SymInt) for item in _leaves(node)):
        return False
    elements = 1
    for length in size:
        elements *= length
    return elements <= _MAX_ELEMENTS


def _leaves(node: Node) -> list[object]:
    return torch.utils._pytree.tree_leaves((node.args, node.kwargs))
