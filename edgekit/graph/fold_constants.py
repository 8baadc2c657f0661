"""Work out once what depends on constants alone, and forget what nothing uses."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch._ops import OpOverload
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, constant, getitem, replace

__all__ = ["fold_constants", "remove_dead"]

_MAX_ELEMENTS = 1 << 26


def fold_constants(graph_module: GraphModule, *, decode: bool = True) -> int:
    """Replace each call whose inputs are all constants (position embeddings, attention-bias gathers, `arange`).

    Only calls that feed a non-constant one become constants, in the end; results over 2**26 elements stay calls, and
    without `decode` so do the numbers that integers stand for.
    """
    known: dict[Node, Any] = {}
    for node in graph_module.graph.nodes:
        value = constant(node)
        if value is not None:
            known[node] = value
        elif _foldable(node, decode) and all(source in known for source in node.all_input_nodes):
            args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda source: known[source])
            with torch.no_grad():
                result = node.target(*args, **kwargs)
            if isinstance(result, torch.Tensor) or _tensors(result):
                known[node] = result
    count = 0
    for node, value in known.items():
        read = not node._erased and any(user not in known for user in node.users)
        if read and node.op != "get_attr" and isinstance(value, torch.Tensor):
            replace(node, add_constant(graph_module, value.resolve_conj().resolve_neg().clone(), "folded"))
            count += 1
    return count


def remove_dead(graph_module: GraphModule) -> int:
    """Erase calls and constants that nothing uses."""
    before = len(graph_module.graph.nodes)
    graph_module.graph.eliminate_dead_code()
    return before - len(graph_module.graph.nodes)


def _foldable(node: Node, decode: bool) -> bool:
    if node.op != "call_function" or not _small(node):
        return False
    if not decode and str(node.target).startswith("quantized_decomposed.dequantize"):
        return False
    if node.target is getitem:
        return True
    if not isinstance(node.target, OpOverload) or torch.Tag.nondeterministic_seeded in node.target.tags:
        return False
    leaves = torch.utils._pytree.tree_leaves((node.args, node.kwargs))
    return not node.target._schema.is_mutable and not any(isinstance(leaf, torch.SymInt) for leaf in leaves)


def _small(node: Node) -> bool:
    """Whether the result is a tensor, or several, of fixed shape and of no more than 2**26 elements each."""
    results: Any = node.meta.get("val")
    results = [results] if isinstance(results, torch.Tensor) else results
    if not _tensors(results):
        return False
    fixed = all(type(length) is int for result in results for length in result.shape)
    return fixed and all(math.prod(result.shape) <= _MAX_ELEMENTS for result in results)


def _tensors(results: object) -> bool:
    """Whether an operator gave several tensors."""
    return isinstance(results, (list, tuple)) and all(isinstance(result, torch.Tensor) for result in results)
